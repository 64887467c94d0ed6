"""What an encoded image's header says: its size, which has a limit, and its orientation.

The size is told before anything is allocated for the image; the orientation, from EXIF or TIFF, can be set to
upright in the bytes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake.images.signatures import JPEG_START, PNG, TIFF

__all__ = [
    "LIMIT_VARIABLE",
    "OPENCV_VARIABLE",
    "check_stated_size",
    "most_bytes",
    "most_pixels",
    "neutralise_orientation",
    "read_orientation",
    "stated_size",
]

LIMIT_VARIABLE = "DEEPLAKE_MMDET_MAX_PIXELS"
OPENCV_VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"
# 14 142 pixels squared: more than any camera's. A decoder takes three bytes for each, and up to nine if it is
# a progressive JPEG, so that one image stays below 2 GB; OpenCV's own limit, 2^30, would be 10.
_DEFAULT = 200_000_000
_FEW_PIXELS = 2**24  # cost no memory to speak of, whatever the header claims
_PIXELS_PER_BYTE = 512  # of a JPEG: a block of 64 pixels takes a bit at the least
_BYTES_PER_PIXEL = 4  # of a file: more than any compressed one has

_NO_FRAME = frozenset((0xC4, 0xC8, 0xCC))  # of 0xC0 to 0xCF, which begin a frame otherwise
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length behind them
_MOST_SEGMENTS = 10_000
_NETPBM = re.compile(rb"P[1-7]\s(?:\s*#[^\n]*\n)*\s*(\d+)\s(?:\s*#[^\n]*\n)*\s*(\d+)")
_PAM = re.compile(rb"(WIDTH|HEIGHT)\s+(\d+)")
_RADIANCE = re.compile(rb"[+-][XY]\s+(\d+)\s+[+-][XY]\s+(\d+)")
_TIFF_SIZES = (256, 257), (322, 323)  # of the image, of a tile: either is allocated as it says
_ORIENTATION = 0x0112  # a tag of TIFF
_TIFF_LONG = 4


def most_pixels() -> int:
    """Width times height that an image may have.

    ``DEEPLAKE_MMDET_MAX_PIXELS``, else OpenCV's ``OPENCV_IO_MAX_IMAGE_PIXELS``, else 200 million.

    Raises:
        ConfigError: The variable is no positive whole number.
    """
    return _limit(os.environ.get(LIMIT_VARIABLE, ""), os.environ.get(OPENCV_VARIABLE, ""))


@functools.lru_cache
def _limit(own: str, of_opencv: str) -> int:
    name, text = (LIMIT_VARIABLE, own.strip()) if own.strip() else (OPENCV_VARIABLE, of_opencv.strip())
    if not text:
        return _DEFAULT
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ConfigError(
            f"The limit of pixels must be a positive whole number, got {text!r}",
            where=f"environment variable {name}",
        )
    return int(text)


def most_bytes() -> int:
    """How many bytes an image file may have: four for each pixel that it may have."""
    return _BYTES_PER_PIXEL * max(most_pixels(), _DEFAULT)


def check_stated_size(data: bytes, where: str) -> None:
    """Refuse an encoded image whose header claims more pixels than `most_pixels`, or than its bytes can hold.

    Args:
        data: The file.
        where: The image's place, for the message.

    Raises:
        ImageError: It does. Only ``where`` names the image, so that equal faults can be counted by ``what``.
    """
    size = stated_size(data)
    if size is None or (pixels := size[0] * size[1]) <= min(_FEW_PIXELS, most_pixels()):
        return
    stated = f"{size[0]} x {size[1]}"
    if pixels > most_pixels():
        raise ImageError(
            f"image has more pixels than the limit of {most_pixels()} ({LIMIT_VARIABLE})",
            where=_joined(where, f"{stated} by its header"),
            advice=f"cut it into tiles, or raise the limit by {LIMIT_VARIABLE}",
        )
    if data.startswith(JPEG_START) and pixels > _PIXELS_PER_BYTE * len(data):
        raise ImageError(
            "image cannot be decoded",
            where=_joined(where, f"the file is too short for {stated} pixels, which its header states"),
        )


def _joined(where: str, detail: str) -> str:
    return f"{where} ({detail})" if where else detail


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that a file's header states, without decoding it.

    Args:
        data: The file, or its first bytes.

    Returns:
        (width, height), the largest where a header states several, as with tiles within a TIFF. None for
        formats and headers that are not understood.
    """
    found: list[tuple[int, int]] = []
    # The file may end within its header, after a claim.
    with contextlib.suppress(struct.error, ValueError, OverflowError):
        for size in _sizes(data):
            found.append(size)
    return max(found, key=lambda size: size[0] * size[1], default=None)


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """All sizes that a header states, for the formats that OpenCV and simplejpeg decode."""
    head = data[:16]
    if head.startswith(JPEG_START):
        yield from _of_jpeg(data)
    elif head.startswith(PNG):
        yield struct.unpack_from(">II", data, 16)
    elif head.startswith(b"GIF8"):
        yield struct.unpack_from("<HH", data, 6)
    elif head.startswith(b"BM"):
        if int.from_bytes(data[14:18], "little") == 12:
            yield struct.unpack_from("<HH", data, 18)
        else:
            width, height = struct.unpack_from("<ii", data, 18)
            yield abs(width), abs(height)
    elif head[8:12] == b"WEBP":
        yield _of_webp(data)
    elif head[:2] in (b"II", b"MM"):
        yield from _of_tiff(data)
    elif head[4:8] == b"ftyp":
        yield from (struct.unpack_from(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data))
    elif head[4:8] == b"jP  " or head.startswith(b"\xff\x4f\xff\x51"):
        right, bottom, left, top = struct.unpack_from(">IIII", data, data.index(b"\xff\x4f\xff\x51") + 8)
        yield right - left, bottom - top
    elif head.startswith(b"\x59\xa6\x6a\x95"):
        yield struct.unpack_from(">II", data, 4)
    elif head.startswith(b"P7"):
        found = {match[1]: int(match[2][:12]) for match in _PAM.finditer(data[:2000])}
        yield found.get(b"WIDTH", 0), found.get(b"HEIGHT", 0)
    elif match := (_RADIANCE.search(data[:4000]) if head.startswith(b"#?") else _NETPBM.match(data[:4000])):
        yield int(match[1][:12]), int(match[2][:12])


def _of_jpeg(data: bytes) -> Iterator[tuple[int, int]]:
    """The sizes of all frames before the first scan; bytes between markers are skipped, as libjpeg does."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None or (marker := found[1][0]) in (0xDA, 0xD9):
            return
        at = found.end()
        if marker in _BARE:
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 3)
            yield width, height
        at += int.from_bytes(data[at : at + 2], "big")


def _of_webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return tuple(int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))  # type: ignore[return-value]
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _of_tiff(data: bytes) -> Iterator[tuple[int, int]]:
    """The sizes in the first directory, which is the one that is decoded; also of BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    counts, offset, value, length = ("Q", "Q", 12, 20) if big else ("H", "I", 8, 12)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + counts, data, at)
    at += struct.calcsize(counts)
    tags: dict[int, int] = {}
    for entry in range(at, min(at + length * min(count, _MOST_SEGMENTS), len(data) - length + 1), length):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if any(tag in pair for pair in _TIFF_SIZES):
            size = {1: "B", 3: "H", 16: "Q"}.get(kind, "I")
            tags.setdefault(tag, struct.unpack_from(order + size, data, entry + value)[0])
    for wide, high in _TIFF_SIZES:
        yield tags.get(wide, 0), tags.get(high, 0)


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

    Args:
        data: The file.

    Returns:
        The file with the tag (and a PNG's checksum of it) changed; ``data`` itself if it has no such tag, is
        upright already, is of another format, or has malformed metadata.
    """
    tag = _tag_in(data)
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
    """The orientation by which cv2 turns an encoded JPEG, PNG or TIFF.

    cv2 turns no others: it reads no EXIF of WebP and AVIF, and BigTIFF has tags of its own.

    Args:
        data: The file.

    Returns:
        1 to 8, as in EXIF; 1 means upright. From 5 on, the displayed image has width and height of the stored
        pixels exchanged.
    """
    tag = _tag_in(data)
    return tag.value if tag is not None and 1 <= tag.value <= 8 else 1


def _tag_in(data: bytes) -> _Tag | None:
    if data.startswith(JPEG_START):
        return _tag_in_jpeg(data)
    if data.startswith(PNG):
        return _tag_in_png(data)
    if data.startswith(TIFF):
        return _tag_in_tiff(data, 0, len(data))
    return None


def _tag_in_jpeg(data: bytes) -> _Tag | None:
    """EXIF is a TIFF directory in an APP1 segment (Exif 2.32, section 4.5); of several the first counts."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:  # start of scan: no more headers
            return None
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _tag_in_tiff(data, at + 10, at + 2 + size)
        at += 2 + size
    return None


def _tag_in_png(data: bytes) -> _Tag | None:
    """EXIF is the content of the eXIf chunk; its CRC covers type and content (PNG 3, section 11.3.3.1)."""
    at = len(PNG)
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + size
        if kind == b"eXIf" and end + 4 <= len(data):
            tag = _tag_in_tiff(data, at + 8, end)
            return tag._replace(chunk=(at + 4, end)) if tag else None
        at = end + 4
    return None


def _tag_in_tiff(data: bytes, start: int, end: int) -> _Tag | None:
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
