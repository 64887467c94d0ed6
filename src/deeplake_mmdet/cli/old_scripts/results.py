"""What a detector found, in the form of MMDetection 2.x: per class an (n, 5) array of boxes and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

__all__ = ["OldBoxes", "OldResult", "instances_of", "to_old"]


class _Both:
    """Mixin: what 2.x's form does not have is looked for on MMDetection 3.x's data sample.

    Attributes:
        sample: MMDetection 3.x's ``DetDataSample``.
    """

    sample: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "sample" not in vars(self):
            raise AttributeError(name)
        return getattr(self.sample, name)


class OldBoxes(_Both, list[Any]):
    """Per class the boxes, shape (n, 5), float32: left, top, right, bottom in pixels, and the score.

    Args:
        boxes: The arrays.
        sample: Where they come from.
    """

    def __init__(self, boxes: Sequence[Any], sample: Any) -> None:
        super().__init__(boxes)
        self.sample = sample

    def __reduce__(self) -> Any:
        return list, (list(self),)


class OldResult(_Both, tuple[Any, ...]):
    """Boxes per class, and masks per class in the same order.

    Args:
        boxes: As `OldBoxes`.
        masks: Per class a list of boolean arrays (height, width), or of RLE dicts.
        sample: Where they come from.
    """

    def __new__(cls, boxes: Sequence[Any], masks: Sequence[Any], sample: Any) -> OldResult:
        """A pair."""
        made = super().__new__(cls, (list(boxes), list(masks)))
        made.sample = sample
        return made

    def __reduce__(self) -> Any:
        return tuple, (list(self),)


def to_old(sample: Any, classes: int) -> Any:
    """A data sample's predictions in 2.x's form.

    Args:
        sample: ``DetDataSample``.
        classes: Number of classes.

    Returns:
        `OldBoxes`, with masks `OldResult`; a sample without instances (panoptic) as it is.
    """
    found = sample.get("pred_instances")
    if found is None:
        return sample
    labels = _array(found.labels).astype(np.int64)
    rows = np.concatenate([_array(found.bboxes).reshape(-1, 4), _array(found.scores).reshape(-1, 1)], axis=1)
    classes = max(classes, int(labels.max(initial=-1)) + 1)
    chosen = [np.flatnonzero(labels == number) for number in range(classes)]
    boxes = [rows[numbers].astype(np.float32) for numbers in chosen]
    if "masks" not in found:
        return OldBoxes(boxes, sample)
    masks = found.masks
    masks = masks if isinstance(masks, list) else list(_array(masks).astype(bool))
    return OldResult(boxes, [[masks[number] for number in numbers] for numbers in chosen], sample)


def instances_of(result: Any) -> InstanceData:
    """2.x's form as 3.x's instances, on the CPU.

    Args:
        result: Boxes per class, or a pair of boxes and masks per class; masks dense or as RLE.
    """
    boxes, masks = result if isinstance(result, tuple) else (result, None)
    arrays = [np.asarray(rows, np.float32).reshape(-1, 5) for rows in boxes]
    rows = np.concatenate(arrays) if arrays else np.empty((0, 5), np.float32)
    labels = np.repeat(np.arange(len(arrays)), [len(part) for part in arrays])
    found = InstanceData(
        bboxes=torch.from_numpy(rows[:, :4].copy()),
        scores=torch.from_numpy(rows[:, 4].copy()),
        labels=torch.from_numpy(labels),
    )
    if masks is not None:
        flat = [mask for part in masks for mask in part]
        if flat and isinstance(flat[0], dict):
            found.masks = flat
        else:
            found.masks = (
                torch.from_numpy(np.array(flat, bool)) if flat else torch.empty((0, 0, 0), dtype=torch.bool)
            )
    return found


def _array(values: Any) -> Any:
    values = getattr(values, "tensor", values)
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
