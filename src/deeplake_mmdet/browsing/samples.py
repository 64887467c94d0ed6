"""What a pipeline has made of a sample: the image and its objects, whatever packed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.report.annotate import as_bgr

__all__ = ["Shown", "shown_sample"]


@dataclass(frozen=True, eq=False)
class Shown:
    """A sample to look at.

    Attributes:
        image: Shape (height, width, 3), uint8, BGR.
        boxes: (left, top, right, bottom) in pixels of that image, shape (n, 4).
        labels: Shape (n,).
        ignored: Objects that take no part in the loss, shape (n,), bool.
        masks: Of each object a mask of shape (height, width), or polygons ``[[x, y, ...], ...]``; None
            where the pipeline loads none.
        name: Where the image is from.
        has_truth: Whether the pipeline loads objects at all.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    masks: list[Any] | None
    name: str
    has_truth: bool


def shown_sample(sample: Any, norm: Mapping[str, Any] | None = None) -> Shown:
    """What is in a sample.

    Args:
        sample: What a dataset gives: ``inputs`` and ``data_samples`` as ``PackDetInputs`` packs them, several
            branches of these, of which the first is shown, or a pipeline's results before packing.
        norm: ``mean``, ``std`` and ``to_rgb`` by which the pipeline normalises; taken back.

    Raises:
        ConfigError: There is no image in it.
    """
    if not isinstance(sample, Mapping):
        raise ConfigError(f"The pipeline gives a {type(sample).__name__}, not a sample", where="pipeline")
    inputs, told = sample.get("inputs"), sample.get("data_samples")
    if isinstance(inputs, Mapping):
        branch = next(iter(inputs))
        inputs, told = inputs[branch], told[branch] if isinstance(told, Mapping) else told
    if isinstance(inputs, (list, tuple)):
        inputs, told = inputs[0], told[0] if isinstance(told, (list, tuple)) else told
    if inputs is None and "img" not in sample:
        raise ConfigError(
            "The pipeline gives samples without images", where="pipeline", advice="end it with PackDetInputs"
        )
    if inputs is None:
        return _unpacked(sample, norm)
    pixels = np.asarray(inputs).transpose(1, 2, 0)
    facts = dict(getattr(told, "metainfo", {}))
    parts = [getattr(told, name, None) for name in ("gt_instances", "ignored_instances")]
    found = [part for part in parts if part is not None and "bboxes" in part]
    boxes = [_corners(part.bboxes) for part in found]
    labels = [
        np.asarray(part.labels if "labels" in part else np.zeros(len(box), np.int64), np.int64)
        for part, box in zip(found, boxes, strict=True)
    ]
    ignored = [np.full(len(box), part is parts[1]) for part, box in zip(found, boxes, strict=True)]
    masks: list[Any] = []
    for part, box in zip(found, boxes, strict=True):
        masks += _masks(part.masks) if "masks" in part else [None] * len(box)
    return Shown(
        _pixels(pixels, norm),
        np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate([np.zeros(0, np.int64), *labels]),
        np.concatenate([np.zeros(0, bool), *ignored]),
        masks if any("masks" in part for part in found) else None,
        str(facts.get("img_path") or facts.get("img_id", "")),
        bool(found),
    )


def _unpacked(results: Mapping[str, Any], norm: Mapping[str, Any] | None) -> Shown:
    boxes = _corners(results.get("gt_bboxes", np.zeros((0, 4))))
    labels = np.asarray(results.get("gt_bboxes_labels", np.zeros(len(boxes))), np.int64)
    ignored = np.asarray(results.get("gt_ignore_flags", np.zeros(len(boxes))), bool)
    masks = _masks(results["gt_masks"]) if "gt_masks" in results else None
    image = _pixels(np.asarray(results["img"]), norm)
    name, has_truth = str(results.get("img_path", "")), "gt_bboxes" in results
    return Shown(image, boxes, labels, ignored, masks, name, has_truth)


def _corners(boxes: Any) -> NDArray[np.float64]:
    if hasattr(boxes, "convert_to"):  # of another kind than corners: rotated boxes and the like
        boxes = boxes.convert_to("hbox") if type(boxes).__name__ != "HorizontalBoxes" else boxes
    return np.asarray(getattr(boxes, "tensor", boxes), np.float64).reshape(-1, 4)


def _masks(masks: Any) -> list[Any]:
    found = getattr(masks, "masks", masks)
    if isinstance(found, np.ndarray):
        return list(found)
    return [[np.asarray(part, np.float64).reshape(-1).tolist() for part in parts] for parts in found]


def _pixels(image: NDArray[Any], norm: Mapping[str, Any] | None) -> NDArray[np.uint8]:
    if image.dtype.kind != "f" or norm is None:
        return as_bgr(image)
    image = image * np.asarray(norm["std"], np.float64) + np.asarray(norm["mean"], np.float64)
    return as_bgr(np.clip(image[..., ::-1] if norm.get("to_rgb") else image, 0, 255).astype(np.uint8))
