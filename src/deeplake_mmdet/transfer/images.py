"""Image files on their way into a lake: checked, and converted where they must be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.images.headers import neutralise_orientation, read_orientation
from deeplake_mmdet.transfer.decoder import check_image, decode, read_header
from deeplake_mmdet.transfer.encodings import detect_format, read_file
from deeplake_mmdet.transfer.lossless_jpeg import LONGEST_SIDE, encode_lossless_jpeg

__all__ = ["VERIFY_MODES", "ReadImage", "converted", "read_image"]

VERIFY_MODES = ("decode", "header", "none")


@dataclass(frozen=True)
class ReadImage:
    """An image file that was verified as far as was asked for.

    Attributes:
        data: The file.
        kind: Its encoding, as `detect_format` has it; ``'other'`` if it has no name for it.
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: By which stock MMDetection turns it, 1 to 8; see `read_orientation`.
        decoded: Whether it was decoded; else the size is what its header or its annotation states.
    """

    data: bytes
    kind: str
    width: int
    height: int
    orientation: int
    decoded: bool = True


def read_image(
    path: Path,
    encoding: str,
    *,
    convert: bool = False,
    verify: str = "decode",
    stated: tuple[int, int] | None = None,
) -> ReadImage:
    """Read a file and verify it, so that what training could not decode is found now.

    Args:
        path: The file.
        encoding: The lake's, ``'jpeg'`` or ``'png'``. Files are told by signature, not by extension.
        convert: Whether it may be of another encoding.
        verify: ``'decode'``: all of it; ``'header'``: that its header can be read, which tells its size;
            ``'none'``: as ``'header'``, but the stated size is believed where there is one and no EXIF
            orientation. Images to be converted, and those whose header tells nothing, are decoded always.
        stated: Width and height in pixels by the annotation, for ``'none'``.

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
    orientation = read_orientation(data)
    try:
        size = None
        if verify == "none" and kind == encoding and orientation == 1:
            size = stated
        if verify != "decode" and kind == encoding and size is None:
            size = read_header(data)
        decoded = size is None
        if size is None:
            size = check_image(neutralise_orientation(data) if kind == "tiff" else data)
    except ImageError as error:
        what = error.what
        if kind is None and what == "image cannot be decoded":
            what = "not an image that OpenCV reads"
        raise ImageError(what, where=f"{path} ({error.where})" if error.where else str(path)) from None
    return ReadImage(data, kind or "other", *size, orientation, decoded)


def converted(image: ReadImage, encoding: str, turned: bool) -> bytes:
    """A file of another encoding with exactly the pixels that training would decode from the image.

    Args:
        image: The image.
        encoding: ``'png'``, where grey images take one channel, or ``'jpeg'``: a lossless one.
        turned: Whether it is turned by its orientation; the new file has none.

    Raises:
        ImageError: It cannot be decoded or encoded.
    """
    pixels = decode(image.data if turned else neutralise_orientation(image.data))
    if encoding == "jpeg":
        return _lossless_jpeg(pixels)
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


def _lossless_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    if max(pixels.shape) > LONGEST_SIDE:
        where = f"{pixels.shape[1]} x {pixels.shape[0]} pixels, and a JPEG has at most {LONGEST_SIDE} a side"
        raise ImageError("image cannot be converted to JPEG", where=where)
    encoded = encode_lossless_jpeg(pixels)
    try:
        same = np.array_equal(decode(encoded), pixels)
    except ImageError:
        same = False
    if not same:  # an OpenCV that was built with an older libjpeg
        where = f"OpenCV {cv2.__version__} as built here does not decode lossless JPEG"
        raise ImageError("image cannot be converted to JPEG", where=where)
    return encoded
