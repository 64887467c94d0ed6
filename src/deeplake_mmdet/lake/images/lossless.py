"""Image arrays as encoded files that decode to the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.images.signatures import LOSSLESS_JPEG

__all__ = ["CHANNELS", "channel_error", "encode_array", "for_any_loader"]

CHANNELS = (1, 3, 4)


def encode_array(array: NDArray[Any], where: str) -> bytes:
    """Encode an image array as a file that decodes to the same pixels.

    Eight-bit grey and colour become BMP, which costs a copy only; four channels and 16 bit become
    uncompressed PNG.

    Args:
        array: Shape (height, width) or (height, width, channels), uint8 or uint16; channels as RGB or RGBA.
        where: The cell, for errors.

    Raises:
        ImageError: The array has no pixels, or other dimensions, channels or elements.
    """
    import cv2

    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"An image array is uint8 or uint16 of shape (height, width, channels), not {array.dtype} of "
            f"shape {array.shape}",
            where=where,
            advice="name another column in tensors=dict(img=...), or store the images so",
        )
    if array.shape[2] not in CHANNELS:
        raise channel_error(array.shape[2], where)
    if not array.size:
        raise ImageError("The image cell is empty", where=where)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    pixels = np.ascontiguousarray(array[:, :, order])
    if array.dtype == np.uint8 and len(order) < 4:
        done, data = cv2.imencode(".bmp", pixels)
    else:
        done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    if not done:
        raise ImageError(f"An array of shape {array.shape} cannot be encoded", where=where)
    return data.tobytes()


def for_any_loader(data: bytes) -> bytes:
    """An encoded image as every loader of MMDetection reads it: a lossless JPEG of an import as BMP.

    libjpeg converts no colours of lossless JPEGs, so that ``color_type='grayscale'`` would get none.

    Args:
        data: The file; others are given back as they are.
    """
    if not data.startswith(LOSSLESS_JPEG):
        return data
    import cv2

    # The type stub does not know that there may be no image.
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return data if pixels is None else encode_array(pixels[..., ::-1], "")


def channel_error(channels: int, where: str) -> ImageError:
    """Make the error for images that have other than 1, 3 or 4 channels.

    Args:
        channels: How many there are.
        where: The place, for the message.
    """
    return ImageError(
        f"The image has {channels} channels, where MMDetection's loaders take 1 (grey), 3 (RGB) or 4 (RGBA)",
        where=where,
        advice="store (height, width, channels); keep the three or four channels that the model needs in a "
        "column of their own and name it in tensors=dict(img=...)",
    )
