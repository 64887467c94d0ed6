"""Masks as COCO's compressed run lengths: never dense once they are here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["compress", "compress_dense", "rle_areas"]

# pycocotools' area() keeps the number of masks in eight bits.
_AT_ONCE = 200


def compress(segmentation: Any, height: int, width: int) -> bytes:
    """One object's mask, all its parts joined, as ``COCO.annToRLE`` makes it.

    Args:
        segmentation: Polygons ``[[x, y, x, y, ...], ...]`` in pixels, or an RLE dict with ``size`` and
            ``counts`` (a list, text or bytes).
        height: Of the image, pixels.
        width: Of the image, pixels.

    Raises:
        ValueError: It is none of these, holds no polygon of three points, or is of another size.
    """
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"the mask has the size {list(segmentation['size'])}, not [{height}, {width}]")
        counts = segmentation["counts"]
        if isinstance(counts, bytes):
            return counts
    from pycocotools import mask

    if isinstance(segmentation, dict):
        if isinstance(counts, (list, tuple, np.ndarray)):
            counts = mask.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)[
                "counts"
            ]
        return counts.encode() if isinstance(counts, str) else bytes(counts)
    parts = [part for part in segmentation or () if len(part) >= 6]
    if not parts:
        raise ValueError("there is no mask, or no polygon of three points")
    # A polygon of two points would be taken for a box.
    joined = mask.merge(mask.frPyObjects([list(part) for part in parts], height, width))
    return bytes(joined["counts"])


def compress_dense(masks: NDArray[Any]) -> list[bytes]:
    """Compress dense masks of one image.

    Args:
        masks: Shape (k, height, width), zero or false outside the objects.
    """
    from pycocotools import mask

    if not len(masks):
        return []
    # COCO runs down the columns; this is the one copy that needs.
    columns = np.ascontiguousarray(np.asarray(masks, np.bool_).transpose(0, 2, 1)).view(np.uint8)
    return [entry["counts"] for entry in mask.encode(columns.transpose(2, 1, 0))]


def rle_areas(masks: Sequence[bytes], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Square pixels of each mask, shape (n,).

    Args:
        masks: Compressed run lengths.
        sizes: (height, width), shape (n, 2).
    """
    from pycocotools import mask

    if not len(masks):
        return np.zeros(0)
    found = []
    for start in range(0, len(masks), _AT_ONCE):
        some = zip(masks[start : start + _AT_ONCE], sizes[start : start + _AT_ONCE].tolist(), strict=True)
        found.append(mask.area([{"size": size, "counts": counts} for counts, size in some]))
    areas: NDArray[np.float64] = np.concatenate(found).astype(np.float64)
    return areas
