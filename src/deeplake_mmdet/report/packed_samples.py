"""Samples as a pipeline has made them for the model, as items of a mosaic."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake import find_view, parse_uri
from deeplake_mmdet.report.mosaic import MosaicItem

__all__ = ["packed_item", "packed_items"]


def packed_items(data_batch: Any, most: int, *, rgb: bool = False) -> list[MosaicItem]:
    """Items of a batch as a loader gives it to the model.

    Args:
        data_batch: With ``inputs`` (a list of tensors (channels, height, width), or one of all) and
            ``data_samples``.
        most: How many at most.
        rgb: Whether the channels are red, green, blue.

    Raises:
        TypeError: It is another kind of batch, as in semi-supervised training.
    """
    if not isinstance(data_batch, dict) or not {"inputs", "data_samples"} <= data_batch.keys():
        raise TypeError("batches are not of images with their samples")
    if isinstance(data_batch["inputs"], dict):
        raise TypeError("batches have several branches")
    pairs = zip(list(data_batch["inputs"])[:most], list(data_batch["data_samples"])[:most], strict=True)
    return [packed_item(image, sample, rgb=rgb) for image, sample in pairs]


def packed_item(inputs: Any, sample: Any, *, rgb: bool = False) -> MosaicItem:
    """The item of one sample, with the boxes and masks that its pipeline gives.

    Args:
        inputs: The image, shape (channels, height, width); numbers that are no bytes, as of a pipeline that
            normalises, are spread from the lowest to the highest.
        sample: A ``DetDataSample``.
        rgb: Whether the channels are red, green, blue.
    """
    # A copy: batches may lie in memory that the loader uses again.
    pixels = np.moveaxis(np.array(inputs.numpy(force=True)), 0, -1)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min(initial=np.inf)), float(pixels.max(initial=-np.inf))
        pixels = ((pixels - low) / max(high - low, 1e-9) * 255).astype(np.uint8)
    if rgb and pixels.shape[-1] == 3:
        pixels = pixels[..., ::-1]
    boxes, labels, masks = _objects(getattr(sample, "gt_instances", None))
    ignored_boxes, ignored_labels, ignored_masks = _objects(getattr(sample, "ignored_instances", None))
    aside = np.arange(len(labels) + len(ignored_labels)) >= len(labels)
    both = [*(masks or [None] * len(labels)), *(ignored_masks or [None] * len(ignored_labels))]
    return MosaicItem(
        pixels,
        np.concatenate([boxes, ignored_boxes]),
        np.concatenate([labels, ignored_labels]),
        np.zeros((0, 4)),
        [],
        [],
        _name(sample),
        both if masks or ignored_masks else None,
        ignored=aside,
    )


def _objects(instances: Any) -> tuple[NDArray[np.float64], NDArray[np.int64], list[Any] | None]:
    if instances is None or "bboxes" not in instances:
        return np.zeros((0, 4)), np.zeros(0, np.int64), None
    boxes = getattr(instances.bboxes, "tensor", instances.bboxes)
    corners = np.asarray(boxes.numpy(force=True), np.float64).reshape(-1, 4)
    labels = np.asarray(instances.labels.numpy(force=True), np.int64)
    masks = instances.get("masks")
    if masks is None or not len(masks):
        return corners, labels, None
    return corners, labels, list(np.asarray(masks.to_ndarray(), bool))


def _name(sample: Any) -> str:
    path = str(sample.get("img_path") or "")
    if not path.startswith("deeplake://"):
        return PurePath(path).name
    try:
        key, _, row = parse_uri(path)
        names = find_view(key).file_names([row])
    except DeepLakeMMDetError:
        return ""
    return (names[0] if names else "") or f"row {row}"
