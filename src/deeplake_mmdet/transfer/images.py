"""Image files on their way into a lake: read ahead in order, checked, and converted where they must be."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.images.headers import neutralise_orientation, read_orientation
from deeplake_mmdet.transfer.decoder import check_image, decode
from deeplake_mmdet.transfer.encodings import detect_format, read_file

__all__ = ["ReadImage", "convert_to_png", "read_ahead", "read_image"]

_AHEAD = 4  # images held per thread

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class ReadImage:
    """An image file that can be decoded.

    Attributes:
        data: The file.
        kind: Its encoding, as `detect_format` has it; ``'other'`` if it has no name for it.
        width: Of the stored pixels.
        height: Likewise.
        orientation: By which stock MMDetection turns it, 1 to 8; see `read_orientation`.
    """

    data: bytes
    kind: str
    width: int
    height: int
    orientation: int


def read_image(path: Path, encoding: str, *, convert: bool = False) -> ReadImage:
    """Read a file and decode it once, so that a truncated one is found now and not in training.

    Args:
        path: The file.
        encoding: The lake's, ``'jpeg'`` or ``'png'``. Files are told by signature, not by extension.
        convert: Whether it may be of another encoding.

    Raises:
        ImageError: It is missing, unreadable, of another encoding, damaged, or cannot be decoded. ``what`` is
            the reason alone, the same for all files, and ``where`` the file with details.
    """
    data = read_file(path)
    kind = detect_format(data[:16])
    if kind != encoding and not convert:
        if kind is None:
            raise ImageError("neither JPEG nor PNG", where=str(path))
        raise ImageError(f"{kind.upper()} in a lake of {encoding.upper()} images", where=str(path))
    try:
        width, height = check_image(neutralise_orientation(data) if kind == "tiff" else data)
    except ImageError as error:
        what = error.what
        if kind is None and what == "image cannot be decoded":
            what = "not an image that OpenCV reads"
        raise ImageError(what, where=f"{path} ({error.where})" if error.where else str(path)) from None
    return ReadImage(data, kind or "other", width, height, read_orientation(data))


def convert_to_png(image: ReadImage, turned: bool) -> bytes:
    """A PNG of exactly the pixels that training would decode from the file; grey ones take one channel.

    Args:
        image: The image.
        turned: Whether it is turned by its orientation; the PNG has none.

    Raises:
        ImageError: It cannot be decoded or encoded.
    """
    data = image.data if turned else neutralise_orientation(image.data)
    pixels = decode(data)
    grey = pixels[..., 0]
    if np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2]):
        pixels = np.ascontiguousarray(grey)
    try:
        done, encoded = cv2.imencode(".png", pixels)
    except cv2.error as error:
        raise ImageError("image cannot be converted to PNG", where=str(error.err or error)) from None
    if not done:
        raise ImageError("image cannot be converted to PNG")
    return encoded.tobytes()


def read_ahead(
    items: Iterable[In], read: Callable[[In], Out], workers: int | None = None
) -> Iterator[tuple[In, Out]]:
    """Apply ``read`` in threads; results come in the order of ``items`` and a bounded number is held.

    ``items`` is drawn from in the calling thread only.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    source = iter(items)
    waiting: deque[tuple[In, Future[Out]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="image-reader") as pool:
        try:
            while True:
                while len(waiting) < workers * _AHEAD:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    waiting.append((item, pool.submit(read, item)))
                if not waiting:
                    return
                item, future = waiting.popleft()
                yield item, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
