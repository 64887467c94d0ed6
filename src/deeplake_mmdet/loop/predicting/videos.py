"""Frames of videos, in order, through OpenCV."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError

__all__ = ["Frames", "count_frames", "frame_rate"]


def count_frames(path: str, limit: int | None = None) -> tuple[int, int]:
    """Count the frames that a video holds, and those that it states: only the first number can be trusted.

    Args:
        path: The file.
        limit: Number that is enough.

    Returns:
        Both; 0 and 0 if it is no video that OpenCV reads.
    """
    capture = _opened(path)
    if capture is None:
        return 0, 0
    count = 0
    while (limit is None or count < limit) and capture.grab():
        count += 1
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return count, stated


def frame_rate(path: str) -> float:
    """Frames per second of a video; 25 where it does not say.

    Args:
        path: The file.
    """
    capture = _opened(path)
    rate = 0.0 if capture is None else float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate < 1000 else 25.0


class Frames:
    """The frames of a video by number.

    Frames are passed in order, as a jump by number is exact in few formats; one before the last makes it
    begin anew.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._capture: Any = None
        self._next = 0

    def read(self, number: int) -> NDArray[np.uint8]:
        """Decode a frame.

        Args:
            number: From 0.

        Returns:
            Shape (height, width, 3), BGR.

        Raises:
            ImageError: It cannot be read.
        """
        if self._capture is None or number < self._next:
            self._capture, self._next = _opened(self.path), 0
        while self._capture is not None and self._next < number and self._capture.grab():
            self._next += 1
        read, frame = (False, None) if self._capture is None else self._capture.read()
        self._next += 1
        if not read or frame is None or self._next != number + 1:
            self._capture = None
            raise ImageError(f"Frame {number} cannot be read", where=self.path)
        return np.asarray(frame, np.uint8)


def _opened(path: str) -> Any:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # it tells of everything that is no video
    capture = cv2.VideoCapture(path)
    return capture if capture.isOpened() else None
