"""The check that an image decodes in training, and whole: OpenCV's reading, and libjpeg-turbo's warnings.

JPEGs are read in full but written out at about an eighth of their size: all that libjpeg-turbo has to say of
a file it says while it reads the coded data, whatever it makes of them afterwards. That takes half of the
time.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.images.headers import OPENCV_VARIABLE, check_stated_size, stated_size
from deeplake_mmdet.lake.images.signatures import JPEG, PNG

__all__ = ["check_image", "decode", "examine_image", "read_header"]

_PNG_HEAD = 33  # bytes up to the end of its header
_FEW_PIXELS = 2**20  # cost no memory to speak of, whatever the header claims
_PIXELS_AT_ONCE = 2**27  # of all threads together; a decoder takes three to nine bytes for each
_PLAIN = ("YCbCr", "Gray")
_FOUR = ("CMYK", "YCCK")
_SMALLEST = {"min_height": 32, "min_width": 36, "min_factor": 1}  # what a perceptual hash needs
# libjpeg's warnings of pixels that are not in the file. Its others tell of bytes too many and of headers that
# were written carelessly, which harm no pixel.
_DAMAGE = ("premature end", "bad Huffman code", "bad arithmetic code", "instead of RST")


def check_image(data: bytes) -> tuple[int, int]:
    """Width and height of the stored pixels of an encoded image that can be decoded as a whole.

    Files that OpenCV reads but fills up, since a part of them is missing, do not count as whole; bytes after
    the image, damaged metadata and sizes beyond other libraries' limits do no harm.

    Args:
        data: The file.

    Raises:
        ImageError: It cannot be decoded, is damaged, or has more pixels than `most_pixels`. ``what`` is the
            reason, the same for all images, ``where`` what is known of this one.
    """
    return examine_image(data)[0]


def examine_image(data: bytes) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """What `check_image` gives, and the image itself in grey and, if it is a JPEG, smaller.

    Args:
        data: The file.

    Returns:
        Width and height of the stored pixels; and the pixels as they are stored, turned by nothing, shape
        (h, w), uint8: a JPEG's at an eighth to a whole of its size, but at least 32 high and 36 wide if the
        image is.

    Raises:
        ImageError: As `check_image`.
    """
    with _room_for(data):
        found = _check_jpeg(data) if data.startswith(JPEG) else None
        if found is not None:
            return found
        pixels = _decoded(data, True)
        height, width = pixels.shape[:2]
        grey: Any = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        return (width, height), grey


def read_header(data: bytes) -> tuple[int, int] | None:
    """Width and height of the stored pixels as the header of a JPEG or PNG states them; None if it does not.

    Args:
        data: The file.

    Raises:
        ImageError: They are more than `most_pixels`, or than the file can hold.
    """
    check_stated_size(data, "")
    if data.startswith(JPEG):
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return None
        return width, height
    if data.startswith(PNG) and data[12:16] == b"IHDR" and len(data) >= _PNG_HEAD:
        width, height = struct.unpack_from(">II", data, 16)
        return (width, height) if width and height else None
    return None


class _Room:
    """Lets threads decode as many pixels at once as take a bounded memory; one image always may."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0

    @contextlib.contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Wait for room for so many pixels, and hold it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= _PIXELS_AT_ONCE)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_room = _Room()


def _room_for(data: bytes) -> contextlib.AbstractContextManager[None]:
    """Refuse an image beyond the limit, and have threads wait with those that take much memory."""
    check_stated_size(data, "")
    size = stated_size(data)
    pixels = _PIXELS_AT_ONCE if size is None else size[0] * size[1]
    return contextlib.nullcontext() if pixels <= _FEW_PIXELS else _room.of(pixels)


def decode(data: bytes, *, ignore_orientation: bool = False) -> NDArray[np.uint8]:
    """The pixels that training decodes from an encoded image, shape (height, width, 3), uint8, BGR.

    Args:
        data: The file.
        ignore_orientation: Do not turn a JPEG or PNG by its EXIF orientation; OpenCV turns TIFF always.

    Raises:
        ImageError: It cannot be decoded, or has more pixels than `most_pixels`.
    """
    with _room_for(data):
        return _decoded(data, ignore_orientation)


def _decoded(data: bytes, ignore_orientation: bool) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if ignore_orientation else 0)
    try:
        # The type stub does not know that there may be no image.
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise ImageError(
                "image has more pixels than OpenCV reads",
                where="{} x {} by its header".format(*stated_size(data) or ("?", "?")),
                advice=f"{OPENCV_VARIABLE} sets OpenCV's own limit",
            ) from None
        raise ImageError("image cannot be decoded", where=str(error.err or error).strip()) from None
    except MemoryError:
        raise ImageError("image cannot be decoded", where="it does not fit the memory") from None
    if image is None:
        raise ImageError("image cannot be decoded", where=_why_not(data))
    pixels: NDArray[np.uint8] = image
    return pixels


def _check_jpeg(data: bytes) -> tuple[tuple[int, int], NDArray[np.uint8]] | None:
    """Size and small image, if libjpeg-turbo decodes without a warning; None if OpenCV has to tell."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    try:
        if colours in _PLAIN:
            grey: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "GRAY", **_SMALLEST)
        else:
            simplejpeg.decode_jpeg(data, "CMYK" if colours in _FOUR else "BGR")
    except ValueError as error:
        if "Premature end" in str(error):
            raise ImageError("image cannot be decoded", where="the file ends before the image does") from None
        if any(mark in str(error) for mark in _DAMAGE):
            raise ImageError("image is damaged", where=str(error)) from None
        return None
    except MemoryError:
        raise ImageError("image cannot be decoded", where="it does not fit the memory") from None
    return ((width, height), grey[..., 0]) if colours in _PLAIN else None


def _why_not(data: bytes) -> str:
    whole = True
    if data.startswith(PNG):
        whole = b"IEND" in data
    elif data.startswith(JPEG):
        whole = b"\xff\xd9" in data[data.rfind(b"\xff\xda") :]  # the end after the last scan
    return "" if whole else "the file ends before the image does"
