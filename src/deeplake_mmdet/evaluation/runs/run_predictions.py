"""A run's predictions on its validation or test split, kept in one file beside the scores."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError, StorageError
from deeplake_mmdet.evaluation.runs.recorded_lakes import record_of
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import find_view

__all__ = ["RunPredictions", "gathered_predictions", "read_run_predictions", "write_run_predictions"]

_FORMAT = 1
_ARRAYS = {
    "lake": np.int32,
    "rows": np.int64,
    "starts": np.int64,
    "boxes": np.float32,
    "labels": np.int32,
    "scores_of_boxes": np.float32,
}


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """Predictions on n images, m in all, ordered by lake and row.

    Attributes:
        split: ``'val'`` or ``'test'``.
        epoch: Epochs that the model had been trained for.
        iteration: Iterations that it had been trained for.
        scores: What the metrics gave, by name.
        class_names: By label.
        lakes: What opens each lake again, see `deeplake_mmdet.evaluation.runs.recorded_lakes.record_of`.
        lake: Which of ``lakes`` each image is of, shape (n,), int32.
        rows: Its row there, shape (n,), int64.
        starts: Image i owns predictions ``starts[i]:starts[i + 1]``, shape (n + 1,), int64.
        boxes: (left, top, right, bottom) in pixels of the stored image, shape (m, 4), float32.
        labels: Shape (m,), int32.
        scores_of_boxes: Shape (m,), float32, 0 to 1.
        masks: COCO's compressed run lengths of all masks, one behind the other, shape (bytes,), uint8; None
            without masks.
        mask_starts: Prediction j owns bytes ``mask_starts[j]:mask_starts[j + 1]``, shape (m + 1,), int64; it
            owns none if it has no mask. None without masks.
    """

    split: str
    epoch: int
    iteration: int
    scores: Mapping[str, float]
    class_names: tuple[str, ...]
    lakes: tuple[Mapping[str, Any], ...]
    lake: NDArray[np.int32]
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    scores_of_boxes: NDArray[np.float32]
    masks: NDArray[np.uint8] | None = field(default=None, repr=False)
    mask_starts: NDArray[np.int64] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def span(self, image: int) -> slice:
        """Which predictions an image has.

        Args:
            image: Its place, from 0.
        """
        return slice(int(self.starts[image]), int(self.starts[image + 1]))

    def mask(self, prediction: int) -> bytes:
        """A prediction's mask as COCO's compressed run lengths, as large as its image; empty without one.

        Args:
            prediction: Its place among all.
        """
        if self.masks is None or self.mask_starts is None:
            return b""
        return self.masks[self.mask_starts[prediction] : self.mask_starts[prediction + 1]].tobytes()


def gathered_predictions(
    results: Iterable[Found],
    *,
    split: str,
    epoch: int,
    iteration: int,
    scores: Mapping[str, float],
) -> tuple[RunPredictions, list[str]]:
    """Predictions as a metric has kept them, as flat arrays: an image that comes twice counts once.

    Args:
        results: By image, in any order; of an image that comes with and without masks, those with.
        split: ``'val'`` or ``'test'``.
        epoch: Epochs trained.
        iteration: Iterations trained.
        scores: By name.

    Returns:
        The predictions; and the addresses of lakes left out because their classes are not the first one's.
    """
    unique: dict[tuple[str, int], Found] = {}
    for found in results:
        place = (found.key, found.row)
        if place not in unique or found.masks is not None:
            unique[place] = found
    views = {key: find_view(key) for key in {key for key, _ in unique}}
    keys = sorted(views, key=lambda key: (views[key].source.url, key))
    names = views[keys[0]].classes if keys else ()
    kept = [key for key in keys if views[key].classes == names]
    left_out = [views[key].source.url for key in keys if key not in kept]
    number = {key: place for place, key in enumerate(kept)}
    ordered = sorted(
        (one for one in unique.values() if one.key in number), key=lambda one: (number[one.key], one.row)
    )
    counts = [len(one.labels) for one in ordered]
    boxes = [np.reshape(one.boxes, (-1, 4)) if one.xywh is None else _corners(one.xywh) for one in ordered]
    masks, mask_starts = _joined_masks(ordered)
    predictions = RunPredictions(
        split, epoch, iteration, {name: float(value) for name, value in scores.items()}, tuple(names),
        tuple(record_of(views[key]) for key in kept),
        np.array([number[one.key] for one in ordered], np.int32),
        np.array([one.row for one in ordered], np.int64),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
        np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32),
        np.concatenate([np.zeros(0), *(one.labels for one in ordered)]).astype(np.int32),
        np.concatenate([np.zeros(0), *(one.scores for one in ordered)]).astype(np.float32),
        masks, mask_starts,
    )  # fmt: skip
    return predictions, left_out


def write_run_predictions(path: str | os.PathLike[str], predictions: RunPredictions) -> Path:
    """Write predictions to one ``.npz`` file; at any time the old file or the new one stands there.

    Args:
        path: The file; its folder is made where missing.
        predictions: The predictions.

    Returns:
        The path.

    Raises:
        StorageError: It cannot be written.
    """
    out = Path(path)
    lakes = [{key: value for key, value in lake.items() if key != "row_order"} for lake in predictions.lakes]
    facts = {
        "format": _FORMAT,
        "split": predictions.split,
        "epoch": predictions.epoch,
        "iteration": predictions.iteration,
        "scores": dict(predictions.scores),
        "class_names": list(predictions.class_names),
        "lakes": lakes,
    }
    arrays: dict[str, Any] = {name: getattr(predictions, name) for name in _ARRAYS}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    for number, lake in enumerate(predictions.lakes):
        if lake.get("row_order") is not None:
            arrays[f"row_order_{number}"] = lake["row_order"]
    if predictions.masks is not None:
        arrays |= {"masks": predictions.masks, "mask_starts": predictions.mask_starts}
    beside = out.with_name(f".{out.name}.{secrets.token_hex(6)}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"The predictions cannot be written: {error.strerror or error}", where=str(out)
        ) from None
    return out


def read_run_predictions(path: str | os.PathLike[str]) -> RunPredictions:
    """Read what `write_run_predictions` wrote.

    Args:
        path: The file.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceFormatError: It is none of ours, of a later version, or damaged.
    """
    file = Path(path)
    if not file.is_file():
        raise SourceNotFoundError("There are no predictions of a run here", where=str(file))
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return _read(arrays)
    except (OSError, EOFError, KeyError, TypeError, ValueError, MemoryError, zipfile.BadZipFile) as error:
        raise SourceFormatError(
            f"This file does not hold the predictions of a run: {type(error).__name__}: {error}",
            where=str(file),
            advice="validate or test again: deeplake-mmdet test writes it anew",
        ) from None


def _read(arrays: Any) -> RunPredictions:
    facts = json.loads(arrays["facts"].tobytes())
    if facts["format"] != _FORMAT:
        raise ValueError(f"format {facts['format']}, of which this version knows {_FORMAT} only")
    found = {name: arrays[name] for name in _ARRAYS}
    lakes = [dict(lake, row_order=None) for lake in facts["lakes"]]
    for number, lake in enumerate(lakes):
        if f"row_order_{number}" in arrays:
            lake["row_order"] = arrays[f"row_order_{number}"]
    masks = {name: arrays[name] for name in ("masks", "mask_starts") if "masks" in arrays}
    kinds = {**_ARRAYS, "masks": np.uint8, "mask_starts": np.int64}
    for name, values in {**found, **masks}.items():
        if values.dtype != kinds[name] or values.shape[1:] != ((4,) if name == "boxes" else ()):
            raise ValueError(f"{name} has type {values.dtype} and shape {values.shape}")
    names = tuple(map(str, facts["class_names"]))
    images, count = len(found["rows"]), len(found["labels"])
    _check_starts("starts", found["starts"], images, count)
    if masks:
        _check_starts("mask_starts", masks["mask_starts"], count, len(masks["masks"]))
    if not len(found["boxes"]) == len(found["scores_of_boxes"]) == count or len(found["lake"]) != images:
        raise ValueError("its arrays differ in length")
    for name, values, end in (("labels", found["labels"], len(names)), ("lake", found["lake"], len(lakes))):
        if len(values) and not 0 <= values.min() <= values.max() < end:
            raise ValueError(f"{name} reach from {values.min()} to {values.max()}, of {end}")
    for number, lake in enumerate(lakes):
        rows = found["rows"][found["lake"] == number]
        if len(rows) and not 0 <= rows.min() <= rows.max() < int(lake["rows"]):
            raise ValueError(f"rows reach from {rows.min()} to {rows.max()}, of {lake['rows']}")
    return RunPredictions(
        str(facts["split"]), int(facts["epoch"]), int(facts["iteration"]),
        {str(name): float(value) for name, value in facts["scores"].items()}, names, tuple(lakes),
        **found, **masks,
    )  # fmt: skip


def _check_starts(name: str, starts: NDArray[np.int64], owners: int, owned: int) -> None:
    if len(starts) != owners + 1 or starts[0] != 0 or starts[-1] != owned or (np.diff(starts) < 0).any():
        raise ValueError(f"{name} do not fit {owners} owners of {owned}")


def _corners(xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def _joined_masks(
    ordered: Sequence[Found],
) -> tuple[NDArray[np.uint8] | None, NDArray[np.int64] | None]:
    if all(one.masks is None for one in ordered):
        return None, None
    parts = [mask for one in ordered for mask in (one.masks or [b""] * len(one.labels))]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    blob: NDArray[np.uint8] = np.frombuffer(b"".join(parts), np.uint8)
    return blob, np.concatenate([np.zeros(1, np.int64), ends])
