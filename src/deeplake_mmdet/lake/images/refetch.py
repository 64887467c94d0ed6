"""Fetching an image anew that cannot be decoded, before its row is blamed."""

from __future__ import annotations

import logging
from collections import Counter

import cv2
import numpy as np

from deeplake_mmdet.errors import ImageError, StorageError
from deeplake_mmdet.lake.images.cells import fetch_images
from deeplake_mmdet.lake.views import LakeView, find_view

__all__ = ["image_anew"]

_FETCHES = 3

_log = logging.getLogger("deeplake_mmdet")
_damaged: Counter[str] = Counter()  # images of each pinned lake


def image_anew(view: LakeView, row: int, before: bytes | None) -> bytes | None:
    """Fetch an image that cannot be decoded once more from the storage, past all caches.

    Its entry in the chunk cache is dropped, and Deep Lake's handle, which keeps what it reads, opened anew.

    Args:
        view: The lake.
        row: Row number.
        before: The image as it came; None to fetch it the usual way.

    Returns:
        The encoded image; None if ``before`` can be decoded.

    Raises:
        ImageError: It cannot be decoded, and came twice with the same bytes: the row is to blame.
        StorageError: It comes with other bytes each time.
    """
    if before is None:
        before = view.images([row])[0]
    if _decodes(before):
        return None
    column = view.columns[view.roles.img]
    where = f"lake {view.source.url}, column {column.name!r}, row {row}"
    for _ in range(_FETCHES):
        # The file backend may have it from the cache of another dataset on the same data.
        for each in {id(found): found for found in (view, find_view(view.key))}.values():
            each.cell_reader().forget([row])
        fresh = fetch_images(view.handle, column, [row], apply_exif=view.turning)[0]
        if isinstance(fresh, ImageError):
            raise fresh
        if _decodes(fresh):
            _tell(view, where)
            return fresh
        if fresh == before:
            raise ImageError(
                "The image cannot be decoded",
                where=where,
                advice="repair or delete this row, leave it out with query=, or use on_error='skip'",
            ) from None
        before = fresh
    raise StorageError(
        "The storage gives other bytes each time, and no image",
        where=where,
        advice="check the network, and proxies on the way",
    ) from None


def _tell(view: LakeView, where: str) -> None:
    _damaged[view.source.key] += 1
    count = _damaged[view.source.key]
    if count & (count - 1) == 0:  # 1, 2, 4, 8, ...
        _log.warning("An image came damaged and was fetched anew (%d so far): %s", count, where)


def _decodes(data: bytes) -> bool:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    except (cv2.error, MemoryError):  # the former of more pixels than OpenCV reads
        return False
