"""How many pixels an image may have, told from its header before anything is allocated for it."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import struct
from collections.abc import Iterator

from deeplake_mmdet.errors import ConfigError, ImageError

__all__ = [
    "LIMIT_VARIABLE",
    "OPENCV_VARIABLE",
    "check_stated_size",
    "most_bytes",
    "most_pixels",
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
    """How long an image file may be."""
    return _BYTES_PER_PIXEL * max(most_pixels(), _DEFAULT)


def check_stated_size(data: bytes, where: str) -> None:
    """Refuse an encoded image whose header claims more pixels than `most_pixels`, or than its bytes can hold.

    Args:
        data: The file.
        where: What names it.

    Raises:
        ImageError: It does; ``what`` is the same for all images.
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
    if data.startswith(b"\xff\xd8") and pixels > _PIXELS_PER_BYTE * len(data):
        raise ImageError(
            "image cannot be decoded",
            where=_joined(where, f"the file is too short for {stated} pixels, which its header states"),
        )


def _joined(where: str, detail: str) -> str:
    return f"{where} ({detail})" if where else detail


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a file's header claims; None for kinds and headers that are not understood.

    Of kinds that claim several, as a tile within a TIFF, the largest.
    """
    found: list[tuple[int, int]] = []
    # The file may end within its header, after a claim.
    with contextlib.suppress(struct.error, ValueError, OverflowError):
        for size in _sizes(data):
            found.append(size)
    return max(found, key=lambda size: size[0] * size[1], default=None)


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """All sizes that are claimed, of the kinds that OpenCV and simplejpeg decode."""
    head = data[:16]
    if head.startswith(b"\xff\xd8"):
        yield from _of_jpeg(data)
    elif head.startswith(b"\x89PNG"):
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
    """Of all frames before the first scan; libjpeg skips what stands between markers."""
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
    """Of the first directory, which is the one that is decoded; also of BigTIFF."""
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
