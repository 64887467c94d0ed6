"""Scoring a file of COCO results against a lake: no model, no config."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import (
    AnnotationError,
    ConfigError,
    ImportRefusedError,
)
from deeplake_mmdet.evaluation.coco_metric import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import ClassScore
from deeplake_mmdet.evaluation.lvis_metric import LVISMetric
from deeplake_mmdet.evaluation.prediction_files import Entries, read_entries
from deeplake_mmdet.evaluation.rle import compress
from deeplake_mmdet.evaluation.samples import Found, check_found, check_has_masks
from deeplake_mmdet.evaluation.truth import image_ids, stored_category_ids
from deeplake_mmdet.evaluation.voc.metric import VOCMetric
from deeplake_mmdet.formats import Id, IdIndex, read_id, stated
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, name_difference, open_view
from deeplake_mmdet.lake.images.segmentation import segmentation_fault

__all__ = ["Entries", "Evaluated", "evaluate_predictions", "open_scored", "read_found"]

_log = logging.getLogger("deeplake_mmdet")


@dataclass(frozen=True)
class Evaluated:
    """Scores of a file of predictions.

    Attributes:
        metrics: By key, e.g. ``coco/bbox_mAP``.
        class_scores: By class; empty for metrics that have none.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    class_scores: tuple[ClassScore, ...] = ()


def evaluate_predictions(
    predictions: str | Path | Entries,
    lake: str | Path,
    *,
    metric: str | Sequence[str] = "bbox",
    credentials: str | Mapping[str, Any] | None = None,
    commit: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    view: str | None = None,
    query: str | None = None,
    tensors: Mapping[str, str] | None = None,
    box_format: str | None = None,
    classes: Sequence[str] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Evaluated:
    """Score predictions against a lake. Every image of the lake counts, with predictions or without.

    Args:
        predictions: COCO results: a ``.json`` file or a ``.parquet`` file as ``test --out`` writes it, or the
            entries themselves (``image_id``, ``category_id``, ``score``, ``bbox`` as left, top, width, height
            in pixels of the stored image, ``segmentation``). Ids are those of the lake's source, numbers or
            texts; where there are none, an image's id is its row and a category's its label + 1. Where no id
            is equal, the one that states the same number is meant (``"3"`` for 3). Where an entry has a
            ``category_name``, as those of ``test --out`` do, that name counts, whatever its id.
        lake: Path or URL.
        metric: ``'bbox'``, ``'segm'``, ``'proposal'`` or several of them, by `CocoMetric`; ``'lvis'``, or
            ``['lvis', 'segm']`` and the like, by `LVISMetric`; ``'mAP'`` or ``'recall'``, by `VOCMetric`.
        credentials: None for those of the environment, public options, or a handle; see `DeepLakeDataset`.
        commit: Version.
        branch: Branch.
        tag: Tag.
        view: Saved view.
        query: TQL.
        tensors: Role to column name.
        box_format: How the lake stores boxes.
        classes: Class names to score; predictions of the lake's other classes are left out.
        overwrite: Replace an analysis of the same metric that is in the folder ``analysis``.
        options: Of the metric, e.g. ``classwise=True``.

    Raises:
        ImportRefusedError: There is one.
        SourceNotFoundError: There is no such file or lake.
        AnnotationError: The file is no list of COCO results, or an entry is impossible: an image id,
            category id or name that the lake does not know, a box that is no box, a score not between 0 and
            1.
        DeepLakeMMDetError: See `CocoMetric`.
    """
    names = [metric] if isinstance(metric, str) else list(metric)
    scorer: CocoMetric | VOCMetric
    of_voc, of_lvis = names in (["mAP"], ["recall"]), "lvis" in names
    if (of_voc or of_lvis) and options.pop("analysis", None):
        raise ConfigError("Only CocoMetric has an analysis", where="analysis", advice="leave it out")
    if of_voc:
        scorer = VOCMetric(metric=names[0], **options)
    elif of_lvis:
        names = [name for name in names if name != "lvis"] or ["bbox"]
        scorer = LVISMetric(names, **options)
    else:
        scorer = CocoMetric(metric=names, **options)
    if isinstance(folder := options.get("analysis"), (str, Path)) and not overwrite:
        _check_free(Path(folder).expanduser(), names)
    opened = open_scored(
        lake, names, credentials=credentials, commit=commit, branch=branch, tag=tag, view=view, query=query,
        tensors=tensors, box_format=box_format, classes=classes,
    )  # fmt: skip
    scorer.check_view(opened)
    scorer.results.extend(read_found(predictions, opened, masks="segm" in names))
    metrics = scorer.evaluate(len(scorer.results))
    return Evaluated(metrics, getattr(scorer, "class_scores", ()))


def open_scored(
    lake: str | Path,
    metrics: Sequence[str],
    *,
    credentials: str | Mapping[str, Any] | None = None,
    tensors: Mapping[str, str] | None = None,
    box_format: str | None = None,
    classes: Sequence[str] | None = None,
    **source: str | None,
) -> LakeView:
    """The lake that predictions are scored against; see `evaluate_predictions`.

    Args:
        lake: Path or URL.
        metrics: What is to be scored.
        credentials: None for those of the environment, public options, or a handle.
        tensors: Role to column name.
        box_format: How the lake stores boxes.
        classes: Class names to score.
        source: ``commit``, ``branch``, ``tag``, ``view`` and ``query``.
    """
    opened = open_view(
        Source(str(lake), **source),
        credentials=CredentialRef(credentials),
        tensors=dict(tensors or {}),
        box_format=box_format,
        classes=classes,
    )
    for role, note in opened.notes.items():
        if role != "gt_masks" or "segm" in metrics:
            _log.warning(f"{opened.source.url}: {note}")
    return opened


def read_found(predictions: str | Path | Entries, view: LakeView, *, masks: bool = False) -> list[Found]:
    """Predictions by image, in the lake's order.

    Args:
        predictions: See `evaluate_predictions`.
        view: The lake.
        masks: Whether masks are needed.
    """
    if not isinstance(predictions, (str, Path)):
        return found_in(predictions, view, "predictions", masks=masks)
    return found_in(read_entries(Path(predictions).expanduser()), view, str(predictions), masks=masks)


def _check_free(folder: Path, metrics: Sequence[str]) -> None:
    """Refuse a folder that holds the analysis of one of some metrics; those of others stay there."""
    file = folder / "metrics.json"
    try:
        there = json.loads(file.read_text()) if file.exists() else {}
    except (OSError, ValueError):
        there = metrics  # whatever it is, it is not ours to replace
    if not isinstance(there, Mapping) or any(metric in there for metric in metrics):
        raise ImportRefusedError(
            "There is an analysis already",
            where=str(file),
            advice="choose another folder, or add --overwrite (overwrite=True)",
        )


def found_in(entries: Entries, view: LakeView, where: str, *, masks: bool = False) -> list[Found]:
    """COCO results as predictions by image, in the lake's order.

    Args:
        entries: COCO results.
        view: The lake.
        where: Name of the file, for messages.
        masks: Whether masks are needed.

    Raises:
        AnnotationError: See `evaluate_predictions`.
        ColumnError: Masks are needed and the lake has none.
    """
    if masks:
        check_has_masks(view)
    places: NDArray[np.int64] = np.arange(len(entries))
    rows = _rows(_column(entries, "image_id", where), view, where)
    labels = _labels(entries, view, where)
    keep = labels >= 0
    if left_out := int((~keep).sum()):
        _log.info(f"{where}: {left_out} predictions of classes that are not selected are left out")
    order = np.argsort(rows, kind="stable")
    order = order[keep[order]]
    places, rows, labels = places[order], rows[order], labels[order]
    scores = np.array([_number(entries[place], place, where) for place in places.tolist()], np.float64)
    boxes = np.array([_box(entries[place], place, where, masks) for place in places.tolist()], np.float64)
    boxes = boxes.reshape(-1, 4)
    bounds = np.searchsorted(rows, np.arange(len(view.table) + 1))
    found = []
    for row, (start, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        own = slice(start, end)
        # Sizes are checked, and kept, as they are written: corners would round them.
        _check_sizes(boxes[own], places[own], where)
        corners = np.concatenate([boxes[own, :2], boxes[own, :2] + boxes[own, 2:]], axis=1)
        check_found(view, row, corners, scores[own], labels[own])
        rle = _masks(entries, places[own].tolist(), view, row, where) if masks else None
        found.append(Found(view.key, row, corners, scores[own], labels[own], rle, xywh=boxes[own]))
    return found


def _column(entries: Entries, name: str, where: str) -> list[Id]:
    return [_id(entry, name, place, where) for place, entry in enumerate(entries)]


def _id(entry: Mapping[str, Any], name: str, place: int, where: str) -> Id:
    given = entry.get(name)
    value = read_id(given.item() if isinstance(given, np.generic) else given)
    if value is None:
        raise _refuse(f"{name} must be a whole number or a text, got {given!r:.80}", place, where)
    return value


def _rows(ids: list[Id], view: LakeView, where: str) -> NDArray[np.int64]:
    known = image_ids(view)
    order = np.argsort(known, kind="stable")
    twice = np.flatnonzero(np.diff(known[order]) == 0)
    if len(twice):
        raise ConfigError(
            f"Image id {view.table.image_id(int(order[twice[0]]))!r} stands for several rows, so predictions "
            "cannot be told apart",
            where=f"lake {view.source.url}",
            advice="select one of them with query=",
        )
    rows = _by_source_id(ids, view) if view.table.source_ids is not None else _by_number(ids, known, order)
    wrong = np.flatnonzero(rows < 0)
    if len(wrong):
        raise _refuse(
            f"The lake has no image with the id {ids[wrong[0]]!r} ({len(wrong)} such predictions)",
            int(wrong[0]), where, f"score against the lake that was predicted on, not {view.source.url}",
        )  # fmt: skip
    return rows


def _by_source_id(ids: list[Id], view: LakeView) -> NDArray[np.int64]:
    """The row of each id, shape (n,), -1 where there is none; for lakes with ids of all kinds."""
    row_of = {view.table.image_id(row): row for row in range(len(view.table))}
    index = IdIndex(row_of)
    found = (index.find(name) for name in ids)
    return np.array([-1 if one is None else row_of[one[0]] for one in found], np.int64)


def _by_number(ids: list[Id], known: NDArray[np.int64], order: NDArray[np.intp]) -> NDArray[np.int64]:
    """The row of each image id, in lakes whose ids are whole numbers: no Python object for each image."""
    numbers = [stated(name) for name in ids]
    fits = [isinstance(number, int) and -(2**63) <= number < 2**63 for number in numbers]
    wanted = np.array([number if fit else 0 for number, fit in zip(numbers, fits, strict=True)], np.int64)
    places = np.searchsorted(known[order], wanted).clip(max=len(known) - 1)
    rows = order[places]
    return np.where(np.array(fits, bool) & (known[rows] == wanted), rows, -1)


def _labels(entries: Entries, view: LakeView, where: str) -> NDArray[np.int64]:
    """The label of each entry, by its category's name, else by its id; -1 for classes not selected."""
    stored = stored_category_ids(view)
    index = IdIndex(stored)
    of_name = dict.fromkeys(view.lake_classes, -1) | {name: place for place, name in enumerate(view.classes)}
    of_id = dict(zip(stored, (of_name[name] for name in view.lake_classes), strict=True))
    labels, others = np.zeros(len(entries), np.int64), 0
    for place, entry in enumerate(entries):
        name = entry.get("category_name")
        if name is not None:
            if not isinstance(name, str) or name not in of_name:
                raise _refuse(f"The lake has no class {name!r:.80}", place, where, _unlike(entries, view))
            labels[place] = of_name[name]
            given = entry.get("category_id")
            others += isinstance(given, (int, str)) and of_id.get(given, labels[place]) != labels[place]
            continue
        given = _id(entry, "category_id", place, where)
        found = index.find(given)
        if found is None:
            listed = ", ".join(f"{i} ({known})" for i, known in zip(stored, view.lake_classes, strict=True))
            raise _refuse(f"The lake has no category with the id {given!r}", place, where, f"it has {listed}")
        labels[place] = of_id[found[0]]
    if others:
        _log.warning(
            f"{where}: {others} predictions have the id of another category of the lake than the one they "
            "name; the name counts"
        )
    return labels


def _unlike(entries: Entries, view: LakeView) -> str:
    used = dict.fromkeys(str(name) for entry in entries if (name := entry.get("category_name")) is not None)
    extra = [name for name in used if name not in view.lake_classes]
    differs = name_difference(view.lake_classes, [*view.lake_classes, *extra])
    known = ", ".join(view.lake_classes[:20])
    return f"score against the lake that was predicted on; this one's classes are {known}; {differs}"


def _number(entry: Mapping[str, Any], place: int, where: str) -> float:
    try:
        return float(entry["score"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _refuse(f"score must be a number, got {entry.get('score')!r:.80}", place, where) from None


def _box(entry: Mapping[str, Any], place: int, where: str, masks: bool) -> list[float]:
    box = entry.get("bbox")
    if box is None and masks:
        return [0.0, 0.0, 0.0, 0.0]  # masks are compared, boxes are not
    try:
        left, top, width, height = map(float, box)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _refuse(f"bbox must be (left, top, width, height), got {box!r:.80}", place, where) from None
    return [left, top, width, height]


def _check_sizes(boxes: NDArray[np.float64], places: NDArray[np.int64], where: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1))
    if len(wrong):
        text = f"A box is not finite or of negative size: {boxes[wrong[0]].tolist()}"
        raise _refuse(text, int(places[wrong[0]]), where)


def _masks(entries: Entries, places: list[int], view: LakeView, row: int, where: str) -> list[bytes]:
    height, width = int(view.table.heights[row]), int(view.table.widths[row])
    masks = []
    for place in places:
        segmentation = entries[place].get("segmentation")
        if isinstance(segmentation, Mapping):
            segmentation = {"size": [height, width], **segmentation}
            if isinstance(segmentation.get("counts"), np.ndarray):
                segmentation["counts"] = segmentation["counts"].tolist()
        if (fault := segmentation_fault(segmentation, (height, width))) is not None:
            raise _refuse(f"The mask cannot be used: {fault}", place, where)
        try:
            masks.append(compress(segmentation, height, width))
        except (ValueError, KeyError, TypeError) as error:
            raise _refuse(f"The mask cannot be used: {error}", place, where) from None
    return masks


def _refuse(what: str, place: int, where: str, advice: str | None = None) -> AnnotationError:
    return AnnotationError(what, where=f"{where}, entry {place}", advice=advice)
