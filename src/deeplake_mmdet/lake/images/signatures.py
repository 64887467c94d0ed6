"""The bytes that image files begin with."""

from __future__ import annotations

__all__ = ["JPEG", "JPEG_START", "LOSSLESS_JPEG", "PNG", "TIFF", "detect_format"]

JPEG_START = b"\xff\xd8"  # the first marker alone: libjpeg skips what stands before the next one
JPEG = b"\xff\xd8\xff"
# As imports write it: components are RGB as they stand (Adobe's marker), and the process is the lossless one.
LOSSLESS_JPEG = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00\xff\xc3"
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*")
_SIGNATURES = (
    ("jpeg", 0, JPEG),
    ("png", 0, PNG),
    ("bmp", 0, b"BM"),
    ("gif", 0, b"GIF8"),
    *(("tiff", 0, mark) for mark in TIFF),
    ("tiff", 0, b"II+\0"),
    ("tiff", 0, b"MM\0+"),
    ("webp", 8, b"WEBP"),
    ("avif", 4, b"ftypavif"),
    ("avif", 4, b"ftypavis"),
    ("heic", 4, b"ftyphei"),
    ("heic", 4, b"ftypmif1"),
    ("jpeg 2000", 4, b"jP  \r\n\x87\n"),
    ("jpeg 2000", 0, b"\xff\x4f\xff\x51"),
    ("jpeg xl", 0, b"\xff\x0a"),
    ("jpeg xl", 4, b"JXL \r\n\x87\n"),
    ("openexr", 0, b"\x76\x2f\x31\x01"),
    ("radiance hdr", 0, b"#?"),
    ("sun raster", 0, b"\x59\xa6\x6a\x95"),
    *(("netpbm", 0, b"P" + digit) for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"F", b"f")),
)


def detect_format(head: bytes) -> str | None:
    """Name the format of an image file by the bytes that it begins with.

    Args:
        head: The first twelve bytes, or more.

    Returns:
        ``'jpeg'``, ``'png'``, ``'bmp'`` ...; None for an unknown format.
    """
    return next((name for name, at, mark in _SIGNATURES if head.startswith(mark, at)), None)
