"""Decoding of JPEG files with OpenCV's result in less time, where that can be had."""

from __future__ import annotations

import functools
import itertools
import logging
import os
from collections.abc import Callable
from typing import Any

import cv2
import mmcv.transforms
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.images.signatures import JPEG

__all__ = ["Allocator", "decode_jpeg", "decoder_name", "load_quickly"]

_log = logging.getLogger("deeplake_mmdet")

SWITCH = "DEEPLAKE_MMDET_DECODER"
Allocator = Callable[[tuple[int, int, int]], NDArray[np.uint8]]
_SUBSAMPLINGS = {"444": 0x111111, "422": 0x211111, "420": 0x221111}
_SIZES = ((8, 8), (37, 53), (64, 129))


def load_quickly(
    step: Any, results: dict[str, Any], encoded: bytes | None, allocate: Allocator | None = None
) -> dict[str, Any] | None:
    """What stock ``LoadImageFromFile`` makes of a data-info; None if the step had better do it itself.

    Args:
        step: A pipeline step.
        results: What the step would get. Gains ``img``, ``img_shape`` and ``ori_shape``.
        encoded: The file at ``results['img_path']``, if it is at hand and no EXIF tag turns it.
        allocate: Gives memory of (height, width, channels) for the image.
    """
    if encoded is None or not _is_plain(step):
        return None
    image = decode_jpeg(encoded, allocate)
    if image is None:
        return None
    results["img"] = image
    results["img_shape"] = results["ori_shape"] = image.shape[:2]
    return results


def _is_plain(step: Any) -> bool:
    return (
        type(step) is mmcv.transforms.LoadImageFromFile
        and step.color_type == "color"
        and step.imdecode_backend == "cv2"
        and not step.to_float32
        and step.backend_args is None
        and step.file_client_args is None
    )


def decode_jpeg(encoded: bytes, allocate: Allocator | None = None) -> NDArray[np.uint8] | None:
    """The very pixels of ``cv2.imdecode(encoded, cv2.IMREAD_COLOR)``, an eighth faster.

    libjpeg-turbo without OpenCV's layer around it. Whatever is out of the ordinary is left to OpenCV: other
    formats, other colour spaces, and any file that libjpeg-turbo has a warning for.

    Args:
        encoded: A file, upright by its EXIF orientation, which is not looked at.
        allocate: Gives memory of (height, width, channels) for the image.

    Returns:
        Shape (height, width, 3), BGR; or None: use OpenCV.
    """
    decoder = _checked_decoder()
    if decoder is None or not encoded.startswith(JPEG):
        return None
    return _decoded(decoder, encoded, allocate)


def _decoded(decoder: Any, encoded: bytes, allocate: Allocator | None = None) -> NDArray[np.uint8] | None:
    try:
        height, width, colours, subsampling = decoder.decode_jpeg_header(encoded)
        if colours != "Gray" and (colours != "YCbCr" or subsampling not in _SUBSAMPLINGS):
            return None
        memory = None if allocate is None else allocate((height, width, 3))
        image: NDArray[np.uint8] = decoder.decode_jpeg(encoded, "BGR", buffer=memory)
    except ValueError:  # damaged, also if only a little: OpenCV decides what comes out
        return None
    return image


def decoder_name() -> str:
    """What JPEG files are decoded with here: ``'simplejpeg'`` or ``'cv2'``."""
    return "cv2" if _checked_decoder() is None else "simplejpeg"


@functools.cache
def _checked_decoder() -> Any:
    """The decoder, if it gives OpenCV's pixels with the versions installed here."""
    if os.environ.get(SWITCH, "") == "cv2":
        return None
    try:
        import simplejpeg
    except ImportError:
        return None
    for encoded in _samples():
        image = _decoded(simplejpeg, encoded)
        expected = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR))
        if image is None or not np.array_equal(image, expected):
            _log.info("simplejpeg's pixels differ from this OpenCV's: images are decoded by OpenCV")
            return None
    return simplejpeg


def _samples() -> list[bytes]:
    """Small JPEG files of all kinds that are decoded here."""
    random = np.random.default_rng(0)
    found = []
    kinds = itertools.product(_SIZES, _SUBSAMPLINGS.values(), (0, 1), (75, 98))
    for (height, width), factor, progressive, quality in kinds:
        slope = np.linspace(0, 200, height * width * 3).reshape(height, width, 3)
        image = (slope + random.integers(0, 56, slope.shape)).astype(np.uint8)
        told = [
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            factor,
            cv2.IMWRITE_JPEG_PROGRESSIVE,
            progressive,
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
        ]
        found.append(cv2.imencode(".jpg", image, told)[1].tobytes())
        found.append(cv2.imencode(".jpg", image[..., 0], told[2:])[1].tobytes())
    return found
