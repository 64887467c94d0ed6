"""Predictions as COCO results: original image and category ids."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.evaluation.prediction_files import need_pyarrow
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.evaluation.truth import Scope, category_ids
from deeplake_mmdet.formats import Id

__all__ = [
    "check_target",
    "ids_as_column",
    "replaced",
    "results_of",
    "write_coco_results",
    "write_list",
    "write_parquet",
    "write_predictions",
]

_NAMES = 4096  # of files, read at a time


def results_of(
    scope: Scope, key: str, *, with_masks: bool = False, with_names: bool = False
) -> Iterator[dict[str, Any]]:
    """COCO result entries of one lake: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height in
    pixels), ``score`` and, with masks, ``segmentation``, with names, ``category_name`` and, if the lake has
    it, ``file_name``. Ids are that lake's own.

    Args:
        scope: The images that were scored.
        key: The lake's view key.
        with_masks: Whether to give masks.
        with_names: Whether to give the names of classes and files.
    """
    view = scope.views[key]
    categories = list(zip(category_ids(view), scope.classes, strict=True))
    for found, file in _with_files(scope, key, wanted=with_names):
        scores = found.mask_scores if with_masks and found.mask_scores is not None else found.scores
        image, height, width = view.table.image_id(found.row), view.table.heights, view.table.widths
        columns = (found.labels.tolist(), found.boxes_xywh().tolist(), scores.tolist())
        for number, (label, box, score) in enumerate(zip(*columns, strict=True)):
            category, name = categories[label]
            entry = {"image_id": image, "category_id": category, "bbox": box, "score": score}
            if with_names:
                entry["category_name"] = name
            if file is not None:
                entry["file_name"] = file
            if with_masks:
                counts = (found.masks or ())[number].decode()
                size = [int(height[found.row]), int(width[found.row])]
                entry["segmentation"] = {"size": size, "counts": counts}
            yield entry


def _with_files(scope: Scope, key: str, *, wanted: bool) -> Iterator[tuple[Found, str | None]]:
    """What was found in one lake, with the names of its files; these are read some at a time."""
    mine = (found for found in scope.found if found.key == key)
    while some := list(itertools.islice(mine, _NAMES)):
        names = scope.views[key].file_names([found.row for found in some]) if wanted else None
        yield from zip(some, names or itertools.repeat(None), strict=names is not None)


def write_coco_results(scope: Scope, prefix: str | Path) -> list[Path]:
    """Write ``<prefix>.bbox.json`` and, if there are masks, ``<prefix>.segm.json``, as MMDetection does.

    Image ids are unique within a lake only, so with several lakes each has files of its own,
    ``<prefix>.lake<number>.bbox.json``, in the order of their view keys.

    Args:
        scope: The images that were scored.
        prefix: Path of the files, without the endings.

    Returns:
        The files.
    """
    kinds = ("bbox", "segm") if _all_masks(scope.found) else ("bbox",)
    options = {kind: {"with_masks": kind == "segm"} for kind in kinds}
    return [
        _write_json(Path(f"{prefix}{lake}.{kind}.json"), results_of(scope, key, **options[kind]))
        for key, lake in _numbered(scope, ".lake")
        for kind in kinds
    ]


def _numbered(scope: Scope, text: str) -> Iterator[tuple[str, str]]:
    """The key of each lake, and what tells its file from the others'; nothing if it is the only one."""
    for number, key in enumerate(scope.views):
        yield key, f"{text}{number}" if len(scope.views) > 1 else ""


def _write_json(file: Path, entries: Iterator[dict[str, Any]]) -> Path:
    with replaced(file) as part, part.open("w") as stream:
        write_list(stream, entries)
    return file


def write_parquet(scope: Scope, file: str | Path, *, with_masks: bool = False) -> Path:
    """Write all predictions as one Parquet table, a row per prediction.

    Columns: ``lake`` (address), ``row``, ``image_id``, ``file_name`` (if a lake has it), ``category_id``,
    ``category_name``, ``x``, ``y``, ``width``, ``height`` (pixels), ``score`` and, with masks, ``counts``
    (COCO's compressed run lengths).
    Ids that are not all 64-bit integers are written as texts.

    Args:
        scope: The images that were scored.
        file: The file.
        with_masks: Whether to write masks.

    Raises:
        InstallError: pyarrow is not installed.
    """
    need_pyarrow(file)
    import pyarrow
    import pyarrow.parquet

    objects = scope.predictions(with_masks=with_masks)
    numbers = objects.images
    rows = np.array([found.row for found in scope.found], np.int64)
    keys = list(scope.views)
    lakes = np.array([keys.index(found.key) for found in scope.found], np.int64)
    ids = ids_as_column([scope.views[found.key].table.image_id(found.row) for found in scope.found])
    categories = ids_as_column([number for view in scope.views.values() for number in category_ids(view)])
    columns: dict[str, Any] = {
        "lake": pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(lakes[numbers]), [view.source.url for view in scope.views.values()]
        ),
        "row": rows[numbers],
        "image_id": ids[numbers],
        **_file_names(scope, numbers),
        "category_id": categories[lakes[numbers] * len(scope.classes) + objects.labels],
        "category_name": pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(objects.labels), list(scope.classes)
        ),
        **dict(zip(("x", "y", "width", "height"), objects.xywh.T, strict=True)),
        "score": objects.confidence(),
    }
    if with_masks:
        columns["counts"] = list(objects.masks or ())
    target = Path(file)
    with replaced(target) as part:
        pyarrow.parquet.write_table(pyarrow.table(columns), part)
    return target


def _file_names(scope: Scope, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """The column of names; none if no lake has any."""
    names = [name for key in scope.views for _, name in _with_files(scope, key, wanted=True)]
    if all(name is None for name in names):
        return {}
    import pyarrow

    return {"file_name": pyarrow.array(names, pyarrow.string()).take(pyarrow.array(numbers))}


def write_predictions(scope: Scope, file: str | Path) -> list[Path]:
    """Write predictions to one ``.json`` (COCO results) or ``.parquet`` file, with masks if there are any.

    Each names its class beside the category id, so that `evaluate_predictions` can score them against a lake
    that numbers its categories in another way.

    Raises:
        ConfigError: The file has another ending, or JSON is asked for several lakes with one file.
        InstallError: See `write_parquet`.
    """
    target = check_target(file)
    with_masks = _all_masks(scope.found)
    if target.suffix == ".parquet":
        return [write_parquet(scope, target, with_masks=with_masks)]
    return [
        _write_json(
            target.with_name(f"{target.stem}{lake}.json"),
            results_of(scope, key, with_masks=with_masks, with_names=True),
        )
        for key, lake in _numbered(scope, ".lake")
    ]


def check_target(file: str | Path, *, overwrite: bool = True) -> Path:
    """The file, if predictions can be written to it.

    Args:
        file: The file.
        overwrite: Whether it, or what it would be split into by lakes, may be there already.

    Raises:
        ImportRefusedError: It is there, or is a folder.
        ConfigError: It ends neither in ``.json`` nor in ``.parquet``, or its folder cannot be written to.
        InstallError: It is Parquet and pyarrow is not installed.
    """
    target = Path(file).expanduser()
    if target.suffix not in (".json", ".parquet"):
        raise ConfigError(
            f"Predictions cannot be written as {target.suffix or 'a file without ending'!r}",
            where=str(target),
            advice="choose a .json or a .parquet file",
        )
    if target.suffix == ".parquet":
        need_pyarrow(target)
    parts = target.parent.glob(f"{glob.escape(target.stem)}.lake*.json") if target.suffix == ".json" else ()
    for there in (target, *parts):
        if there.is_dir() or (there.exists() and not overwrite):
            raise ImportRefusedError(
                f"There is a {'folder' if there.is_dir() else 'file'} already",
                where=str(there),
                advice="choose another name"
                + ("" if there.is_dir() else ", or add --overwrite (overwrite=True)"),
            )
    folder = next(place for place in target.absolute().parents if place.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"Predictions cannot be written: {folder} {'is a file' if folder.is_file() else 'is read-only'}",
            where=str(target),
            advice="choose another place",
        )
    return target


@contextlib.contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A file beside, which becomes the one that is meant when it is complete; its folder is made.

    Args:
        file: The one that is meant.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def ids_as_column(values: list[Id]) -> NDArray[Any]:
    """Ids as one column, shape (n,): 64-bit integers, or texts if they are not all such.

    Args:
        values: n ids.
    """
    whole = all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in values)
    return np.array(values, np.int64) if whole else np.array([str(value) for value in values], object)


def _all_masks(found: tuple[Found, ...]) -> bool:
    return bool(found) and all(one.masks is not None for one in found)


def write_list(stream: Any, entries: Iterator[dict[str, Any]]) -> None:
    """One entry per line: large files can be read in pieces, and never exist twice in memory.

    Args:
        stream: An open file.
        entries: What JSON takes.
    """
    stream.write("[")
    for number, entry in enumerate(entries):
        stream.write(",\n" if number else "\n")
        stream.write(json.dumps(entry))
    stream.write("\n]\n")
