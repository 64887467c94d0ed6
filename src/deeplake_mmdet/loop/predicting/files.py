"""Predictions as a file of COCO results or Parquet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.evaluation.export import replaced, write_list
from deeplake_mmdet.loop.predicting.images import Images
from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["entries_of", "write_json", "write_parquet"]

_AT_ONCE = 4096  # images


def entries_of(
    predictions: Iterable[Prediction], images: Images, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """COCO result entries: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height in pixels),
    ``score``, ``category_name`` and, if known, ``file_name``; ``segmentation`` where there are masks.

    Args:
        predictions: In the order of their images.
        images: What these are called.
        classes: Names of the classes.
    """
    ids = list(images.category_ids)
    for some, names in _with_names(predictions, images):
        for one, file in zip(some, names, strict=True):
            scores = one.extras.get("mask_scores", one.scores)
            boxes = _xywh(one)
            image = images.image_id(one.index)
            for place, label in enumerate(one.labels.tolist()):
                entry = {
                    "image_id": image,
                    "category_id": ids[label],
                    "bbox": boxes[place].tolist(),
                    "score": float(scores[place]),
                    "category_name": classes[label],
                }
                if file is not None:
                    entry["file_name"] = file.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                if one.masks is not None:
                    entry["segmentation"] = dict(one.masks[place])
                yield entry


def write_json(file: Path, predictions: Iterable[Prediction], images: Images, classes: Sequence[str]) -> None:
    """Write them as COCO results, all or nothing.

    Args:
        file: The file.
        predictions, images, classes: See `entries_of`.
    """
    with replaced(file) as part, part.open("w") as stream:
        write_list(stream, entries_of(predictions, images, classes))


def write_parquet(
    file: Path, predictions: Iterable[Prediction], images: Images, classes: Sequence[str], *, masks: bool
) -> None:
    """Write them as a Parquet table with a row for each object, all or nothing.

    The columns are those of `test`'s: see `deeplake_mmdet.evaluation.export.write_parquet`; of files without
    ``lake`` and ``row``.

    Args:
        file: The file.
        predictions, images, classes: See `entries_of`.
        masks: Whether to write the model's masks.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    text, number = pyarrow.string(), pyarrow.float64()
    named = pyarrow.dictionary(pyarrow.int64(), text)
    whole = all(isinstance(value, int) for value in images.category_ids)
    has_names = images.listing is not None or images.file_names([0]) is not None
    fields: list[tuple[str, Any]] = [
        *((("lake", named), ("row", pyarrow.int64())) if images.address else ()),
        ("image_id", pyarrow.int64() if images.whole_ids else text),
        *((("file_name", text),) if has_names else ()),
        ("category_id", pyarrow.int64() if whole else text),
        ("category_name", named),
        *((name, number) for name in ("x", "y", "width", "height", "score")),
        *((("counts", text),) if masks else ()),
    ]
    ids = list(images.category_ids) if whole else [str(value) for value in images.category_ids]
    with replaced(file) as part, ParquetWriter(part, pyarrow.schema(fields)) as writer:
        for some, files in _with_names(predictions, images):
            counts = [len(one.labels) for one in some]
            labels = np.concatenate([one.labels for one in some])
            image_ids = [images.image_id(one.index) for one in some]
            boxes = np.concatenate([_xywh(one) for one in some])
            scores = [one.extras.get("mask_scores", one.scores) for one in some]
            columns: dict[str, Any] = {
                "lake": pyarrow.DictionaryArray.from_arrays(
                    np.zeros(len(labels), np.int64), pyarrow.array([images.address])
                ),
                "row": np.repeat([one.index for one in some], counts),
                "image_id": _repeated(image_ids if images.whole_ids else list(map(str, image_ids)), counts),
                "file_name": _repeated(files, counts),
                "category_id": [ids[label] for label in labels.tolist()],
                "category_name": pyarrow.DictionaryArray.from_arrays(labels, pyarrow.array(list(classes))),
                **dict(zip(("x", "y", "width", "height"), boxes.T, strict=True)),
                "score": np.concatenate(scores).astype(np.float64),
                "counts": [mask["counts"] for one in some for mask in one.masks or ()],
            }
            arrays = [pyarrow.array(columns[name], kind) for name, kind in fields]
            writer.write_table(pyarrow.table(arrays, schema=pyarrow.schema(fields)))


def _repeated(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _xywh(one: Prediction) -> Any:
    corners = one.boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _with_names(
    predictions: Iterable[Prediction], images: Images
) -> Iterator[tuple[list[Prediction], Sequence[str | None]]]:
    stream = iter(predictions)
    while some := list(itertools.islice(stream, _AT_ONCE)):
        names = images.file_names([one.index for one in some])
        yield some, [None] * len(some) if names is None else names
