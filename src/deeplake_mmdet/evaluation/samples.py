"""What a model found on one image, checked against the lake it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, ColumnError, ConfigError
from deeplake_mmdet.evaluation.rle import compress, compress_dense
from deeplake_mmdet.lake import LakeView, find_view, parse_uri

__all__ = ["Found", "check_found", "check_has_masks", "read_sample", "within_reach"]

# Scores of float32 networks may round to a little more than one.
_HIGHEST_SCORE = 1 + 1e-6
# Where a coordinate that overflowed is put: such a box overlaps with nothing and is larger than any that
# counts (COCO's largest area is 1e10), but its area is a number, in float32 too.
_FAR = 1e15


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """Predictions on one image; small to keep and to ship between processes.

    No tuple: MMDetection's ``MultiDatasetsEvaluator`` would take it apart.

    Attributes:
        key: View key of the lake.
        row: Row of the image.
        boxes: (left, top, right, bottom) in pixels of the stored image, shape (k, 4).
        scores: Shape (k,), from 0 to 1, in any order.
        labels: Index into the view's classes, shape (k,).
        masks: Compressed run lengths of k masks as large as the image; None if there are none.
        mask_scores: Shape (k,), for models that score masks apart; None otherwise.
        xywh: The boxes as (left, top, width, height) where that is how they were given; corners would round.
        endless: How many of the boxes reached to infinity, and now end 10¹⁵ pixels away.
    """

    key: str
    row: int
    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any]
    masks: list[bytes] | None = None
    mask_scores: NDArray[Any] | None = None
    xywh: NDArray[np.float64] | None = None
    endless: int = 0

    def boxes_xywh(self) -> NDArray[np.float64]:
        """(left, top, width, height), shape (k, 4), float64."""
        if self.xywh is not None:
            return self.xywh
        corners = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def read_sample(
    sample: Mapping[str, Any], metric: str, *, masks: Literal["no", "any", "scored"] = "no"
) -> Found:
    """Take the predictions out of a data sample.

    A head that is not trained yet may overflow, as YOLOX's exp() does: such boxes are found to overlap with
    nothing, as in pycocotools, and are counted.

    Args:
        sample: With ``img_path`` and ``pred_instances``: (k, 4) xyxy ``bboxes`` in pixels of the stored
            image, (k,) ``scores``, (k,) ``labels`` and, perhaps, ``masks`` (dense, or RLE dicts) and
            ``mask_scores``.
        metric: Name of the metric, for messages.
        masks: ``'no'`` drops them, ``'any'`` keeps them if there are any, ``'scored'`` demands them.

    Raises:
        ConfigError: The sample does not come from a `DeepLakeDataset`, or lacks masks.
        ColumnError: Masks are to be scored and the lake has none.
        AnnotationError: The predictions are impossible; see `check_found`.
    """
    path = str(sample.get("img_path", ""))
    if not path.startswith("deeplake://"):
        raise ConfigError(
            f"This metric scores samples of a DeepLakeDataset, not {path!r}",
            where=f"evaluator type 'deeplake_mmdet.{metric}'",
            advice=f"keep 'img_path' among PackDetInputs' meta_keys, or use mmdet's {metric}",
        )
    key, _, row = parse_uri(path)
    view = find_view(key)
    instances = sample["pred_instances"]
    boxes, scores, labels = (_array(instances[name]) for name in ("bboxes", "scores", "labels"))
    boxes, endless = within_reach(boxes)
    check_found(view, row, boxes, scores, labels)
    if masks == "no" or (masks == "any" and "masks" not in instances):
        return Found(key, row, boxes, scores, labels, endless=endless)
    if masks == "scored":
        check_has_masks(view)
    if "masks" not in instances:
        raise ConfigError(
            "The model predicts no masks", where="evaluator key 'metric'", advice="use metric='bbox'"
        )
    mask_scores = _array(instances["mask_scores"]) if "mask_scores" in instances else None
    kept = _masks(instances["masks"], view, row, len(labels))
    return Found(key, row, boxes, scores, labels, kept, mask_scores, endless=endless)


def within_reach(boxes: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Boxes without infinite coordinates, and how many had some.

    Args:
        boxes: (left, top, right, bottom), shape (k, 4).
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        total = np.add.reduce(boxes, axis=None)
    if math.isfinite(total) or not (infinite := np.isinf(boxes)).any():
        return boxes, 0
    return np.clip(boxes, -_FAR, _FAR), int(infinite.any(axis=-1).sum())


def check_has_masks(view: LakeView) -> None:
    """Refuse a lake without masks.

    Args:
        view: The lake.

    Raises:
        ColumnError: It has none.
    """
    if view.roles.gt_masks is None:
        raise ColumnError(
            "Masks cannot be scored: this lake has none",
            where=f"evaluator key 'metric', lake {view.source.url}",
            advice="use metric='bbox', or import the lake with segmentations",
        )


def check_found(
    view: LakeView, row: int, boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]
) -> None:
    """Refuse predictions that no model in its right mind makes.

    Args:
        view: The lake.
        row: Row number.
        boxes: Shape (k, 4), (left, top, right, bottom) in pixels.
        scores: Shape (k,), 0 to 1.
        labels: Class indices, shape (k,).

    Raises:
        AnnotationError: The row does not exist; boxes, scores and labels differ in number; a box is not
            finite or of negative size; a score is not between 0 and 1; a label is outside the classes.
    """
    if not 0 <= row < len(view.table):
        raise _refuse(
            view, row, f"There is no such row: the lake has {len(view.table)}", "use the same version"
        )
    count = len(labels)
    if boxes.shape != (count, 4) or scores.shape != (count,) or labels.ndim != 1:
        shapes = f"bboxes {boxes.shape}, scores {scores.shape}, labels {labels.shape}"
        raise _refuse(
            view, row, f"Boxes, scores and labels differ in number: {shapes}", "look at the model's head"
        )
    if not count:
        return
    if not math.isfinite(np.add.reduce(boxes, axis=None)) and not np.isfinite(boxes).all():
        raise _refuse(
            view, row, "A predicted box is not finite", "training has diverged, or the head divides by 0"
        )
    if np.minimum.reduce(boxes[:, 2:] - boxes[:, :2], axis=None) < 0:
        place = int((boxes[:, 2:] < boxes[:, :2]).any(axis=1).argmax())
        raise _refuse(
            view, row, f"Predicted box {place} has a negative size: {boxes[place].tolist()}",
            "give boxes as (left, top, right, bottom)",
        )  # fmt: skip
    low, high = np.minimum.reduce(scores), np.maximum.reduce(scores)
    if not (low >= 0 and high <= _HIGHEST_SCORE):  # NaN fails both
        raise _refuse(
            view, row, f"Scores must lie between 0 and 1, these lie between {low} and {high}",
            "apply a sigmoid or softmax",
        )  # fmt: skip
    low, high = np.minimum.reduce(labels), np.maximum.reduce(labels)
    if low < 0 or high >= len(view.classes) or labels.dtype.kind not in "iu":
        raise _refuse(
            view, row,
            f"Labels must be whole numbers below {len(view.classes)}, these reach from {low} to {high}",
            "set the head's num_classes to the dataset's number of classes",
        )  # fmt: skip


def _refuse(view: LakeView, row: int, what: str, advice: str) -> AnnotationError:
    return AnnotationError(what, where=f"predictions for row {row} of lake {view.source.url}", advice=advice)


def _array(values: Any) -> NDArray[Any]:
    return values.numpy(force=True) if hasattr(values, "detach") else np.asarray(values)


def _masks(masks: Any, view: LakeView, row: int, count: int) -> list[bytes]:
    height, width = int(view.table.heights[row]), int(view.table.widths[row])
    if len(masks) != count:
        raise _refuse(
            view, row, f"There are {len(masks)} masks for {count} boxes", "look at the model's mask head"
        )
    if isinstance(masks, Sequence):
        try:
            return [compress(mask, height, width) for mask in masks]
        except ValueError as error:
            raise _refuse(view, row, f"A predicted mask cannot be used: {error}", _RESCALE) from None
    dense = _array(masks)
    if dense.shape != (count, height, width):
        what = f"Masks have the shape {dense.shape}, the image is {height} × {width} (height × width)"
        raise _refuse(view, row, what, _RESCALE)
    return compress_dense(dense)


_RESCALE = "masks must be as large as the stored image: predict with rescale=True"
