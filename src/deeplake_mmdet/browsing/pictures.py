"""Images made small by their decoder, as JPEG files; and a picture of a text where there is no image."""

from __future__ import annotations

import threading
from html import escape
from textwrap import wrap
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError, readable
from deeplake_mmdet.lake import image_format, stated_size

__all__ = ["Picture", "as_picture", "decoded", "jpeg_of", "notice"]

_SCALED_BY_DECODER = ("jpeg", "jpg")
_MOST_PIXELS = 64_000_000  # of formats that can only be decoded as a whole, at four bytes each
_LARGE = 24_000_000  # pixels from which images are decoded one after the other
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_QUALITY = 85

_one_large = threading.Lock()


class Picture(NamedTuple):
    """A file for the browser.

    Attributes:
        content: The file.
        kind: Its media type.
    """

    content: bytes
    kind: str


def as_picture(encoded: bytes | ImageError, side: int) -> Picture:
    """An image as a JPEG of at most some size; what is wrong, as a picture, where that cannot be had.

    Args:
        encoded: The image's file, or why there is none.
        side: Of the longer side, pixels; smaller images stay as they are.
    """
    try:
        image = decoded(encoded, side)
    except ImageError as error:
        return notice(error.what)
    return jpeg_of(image, side)


def jpeg_of(image: NDArray[np.uint8], side: int) -> Picture:
    """Pixels as a JPEG of at most some size.

    Args:
        image: Shape (height, width, 3), BGR.
        side: Of the longer side, pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Picture(content.tobytes(), "image/jpeg") if done else notice("The image cannot be shown")


def decoded(encoded: bytes | ImageError, side: int | None = None) -> NDArray[np.uint8]:
    """The pixels of an image, at least ``side`` on the longer side, but no more than needed if that is cheap.

    Args:
        encoded: The image's file, or why there is none.
        side: Pixels; None for all of them.

    Returns:
        Shape (height, width, 3), BGR, turned as its EXIF orientation says where that was left in the file.

    Raises:
        ImageError: There is no image, it cannot be decoded, or it is too large to be decoded as a whole.
    """
    if isinstance(encoded, ImageError):
        raise encoded
    width, height = stated_size(encoded) or (0, 0)
    flag = cv2.IMREAD_COLOR
    if image_format(encoded) in _SCALED_BY_DECODER:
        if side is not None:
            flag = next((way for by, way in _REDUCED.items() if max(width, height) >= by * side), flag)
    elif width * height > _MOST_PIXELS:
        raise ImageError(
            f"{width} x {height} pixels: too large to be shown; only JPEGs can be decoded in a smaller size"
        )
    if width * height > _LARGE:
        with _one_large:
            return _imdecode(encoded, flag)
    return _imdecode(encoded, flag)


def notice(text: str) -> Picture:
    """A picture of a text, for the place of an image.

    Args:
        text: What it says; of any characters.
    """
    lines = wrap(readable(text), 34)[:6]
    parts = "".join(
        f'<text x="160" y="{(120 - 9 * len(lines)) + 22 * number + 16}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" width="320" height="240">'
        '<rect width="320" height="240" fill="#8a8a8a"/>'
        f'<g font-family="sans-serif" font-size="15" fill="#fff" text-anchor="middle">{parts}</g></svg>'
    )
    return Picture(drawing.encode(), "image/svg+xml")


def _imdecode(encoded: bytes, flag: int) -> NDArray[np.uint8]:
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise ImageError("The image cannot be decoded")
    return np.asarray(image, np.uint8)
