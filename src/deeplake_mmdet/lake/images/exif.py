"""The orientation of encoded images, from EXIF or TIFF: read it, or set it to upright."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

__all__ = ["neutralise_orientation", "read_orientation"]

_ORIENTATION = 0x0112
_TIFF_LONG = 4
_PNG = b"\x89PNG\r\n\x1a\n"


class _Tag(NamedTuple):
    """Where the orientation's value stands, how it is written, and the PNG chunk around it, if any."""

    at: int
    order: str
    kind: int
    value: int
    chunk: tuple[int, int] | None  # type field and end of the content


def neutralise_orientation(data: bytes) -> bytes:
    """Set the orientation of an encoded JPEG, PNG or TIFF to 1 (upright), leaving every other byte alone.

    A lake's boxes and sizes belong to the stored pixels, while cv2 would turn the image by its EXIF tag.
    Malformed metadata stays as it is.
    """
    tag = _find(data)
    if tag is None or tag.value == 1:
        return data
    # cv2 reads two bytes whatever the entry's type says, others heed the type.
    one = struct.pack(tag.order + ("I" if tag.kind == _TIFF_LONG else "H"), 1)
    upright = data[: tag.at] + one + data[tag.at + len(one) :]
    if tag.chunk is None:
        return upright
    start, end = tag.chunk
    check = zlib.crc32(upright[start:end]).to_bytes(4, "big")
    return upright[:end] + check + upright[end + 4 :]


def read_orientation(data: bytes) -> int:
    """The orientation by which cv2 turns an encoded JPEG, PNG or TIFF, 1 to 8; 1 means upright.

    cv2 turns no others: it reads no EXIF of WebP and AVIF, and BigTIFF has tags of its own.

    From 5 on, the displayed image has width and height of the stored pixels exchanged.
    """
    tag = _find(data)
    return tag.value if tag is not None and 1 <= tag.value <= 8 else 1


def _find(data: bytes) -> _Tag | None:
    if data[:2] == b"\xff\xd8":
        return _find_in_jpeg(data)
    if data[:8] == _PNG:
        return _find_in_png(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _find_in_tiff(data, 0, len(data))
    return None


def _find_in_jpeg(data: bytes) -> _Tag | None:
    """EXIF is a TIFF directory in an APP1 segment (Exif 2.32, section 4.5); of several the first counts."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:  # start of scan: no more headers
            return None
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _find_in_tiff(data, at + 10, at + 2 + size)
        at += 2 + size
    return None


def _find_in_png(data: bytes) -> _Tag | None:
    """EXIF is the content of the eXIf chunk; its CRC covers type and content (PNG 3, section 11.3.3.1)."""
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + size
        if kind == b"eXIf" and end + 4 <= len(data):
            tag = _find_in_tiff(data, at + 8, end)
            return tag._replace(chunk=(at + 4, end)) if tag else None
        at = end + 4
    return None


def _find_in_tiff(data: bytes, start: int, end: int) -> _Tag | None:
    end = min(end, len(data))
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None or start + 8 > end:
        return None
    (directory,) = struct.unpack_from(order + "I", data, start + 4)
    at = start + directory
    if at + 2 > end:
        return None
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, end - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", data, entry)
        if tag == _ORIENTATION:
            return _Tag(entry + 8, order, kind, value, None)
    return None
