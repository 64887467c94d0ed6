"""Whether an encoded image looks whole, without decoding it."""

from __future__ import annotations

import zlib

from deeplake_mmdet.lake.images.signatures import JPEG_START, PNG

__all__ = ["looks_whole"]

_TAIL = 1024  # what cameras and tools leave behind an image
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length


def looks_whole(data: bytes) -> bool:
    """Whether a JPEG has its beginning, its segments and its end, and a PNG all its checksums.

    Args:
        data: The file.

    Returns:
        False does not mean that it cannot be decoded: it is False for all other formats, too. No bytes at all
        count as whole.
    """
    if data.startswith(PNG):
        return _is_whole_png(data)
    if data.startswith(JPEG_START):
        return _is_whole_jpeg(data)
    return not data


def _is_whole_jpeg(data: bytes) -> bool:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker == 0xDA:  # what follows is compressed, up to the end
            return data.rfind(b"\xff\xd9", max(at, len(data) - _TAIL)) >= 0
        elif marker in (0x00, 0xD9):
            return False
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _is_whole_png(data: bytes) -> bool:
    at = len(PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return False
        if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False
