"""Encoded images out of a lake, and their sizes, without decoding."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ColumnError, ImageError
from deeplake_mmdet.lake.columns import ColumnFacts

__all__ = ["check_image_column", "image_extension", "neutralise_orientation", "read_encoded", "read_sizes"]

_EXIF_ORIENTATION = 0x0112
_TIFF_LONG = 4


def check_image_column(column: ColumnFacts) -> None:
    """Refuse image columns whose cells are not encoded files.

    Raises:
        ColumnError: The column holds links, sequences or uncompressed arrays.
    """
    if column.is_link or column.is_sequence or column.sample_compression not in ("jpeg", "png"):
        what = "links" if column.is_link else "sequences" if column.is_sequence else "uncompressed arrays"
        raise ColumnError(
            f"Image column {column.name!r} holds {what}, not JPEG or PNG files",
            where="dataset key 'tensors', role 'img'",
            advice="name a column of type Image with sample_compression 'jpeg' or 'png'",
        )


def image_extension(column: ColumnFacts) -> str:
    """File extension, without a dot, of the images that `read_encoded` gives for this column."""
    return "jpg" if column.sample_compression == "jpeg" else "png"


def read_encoded(handle: Any, column: str, rows: Sequence[int]) -> list[bytes]:
    """Fetch the encoded images of some rows in one concurrent call.

    Args:
        handle: Open lake.
        column: Image column.
        rows: Row numbers; at least one.

    Raises:
        ImageError: A cell is empty.
    """
    found = handle[column].get_bytes([int(row) for row in rows])
    for row, data in zip(rows, found, strict=True):
        if not data:
            raise ImageError("The image cell is empty", where=f"column {column!r}, row {row}")
    return [bytes(data) for data in found]


def read_sizes(handle: Any, column: str) -> NDArray[np.int32]:
    """Heights and widths of all images, shape (n, 2), from ``SHAPE()``: no image is decoded.

    Sizes are those of the stored pixels; an EXIF orientation does not turn them.

    Raises:
        ImageError: Deep Lake cannot tell the shape of an image, which means it cannot be decoded.
    """
    shapes = handle.query(f'SELECT SHAPE("{column}") AS s')["s"][:]
    if isinstance(shapes, list):
        shapes = np.array([np.resize(np.asarray(shape), 3) if len(shape) else (0, 0, 0) for shape in shapes])
    sizes = np.asarray(shapes).reshape(-1, np.asarray(shapes).shape[-1] if len(shapes) else 3)[:, :2]
    bad = np.flatnonzero((sizes <= 0).any(axis=1))
    if len(bad):
        listed = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise ImageError(
            f"{len(bad)} of {len(sizes)} images cannot be decoded",
            where=f"column {column!r}, rows {listed}",
            advice="repair or delete these rows, or select others with query=",
        )
    return sizes.astype(np.int32)


def neutralise_orientation(data: bytes) -> bytes:
    """Set the EXIF orientation of an encoded JPEG or PNG to 1 (upright), leaving every other byte alone.

    A lake's boxes and sizes belong to the stored pixels, while cv2 would turn the image by its EXIF tag.
    Malformed metadata stays as it is.
    """
    if data[:2] == b"\xff\xd8":
        return _upright_jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _upright_png(data)
    return data


def _upright_jpeg(data: bytes) -> bytes:
    """EXIF is a TIFF directory in an APP1 segment (Exif 2.32, section 4.5)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:  # start of scan: no more headers
            return data
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _upright(data, at + 10, at + 2 + size)
        at += 2 + size
    return data


def _upright_png(data: bytes) -> bytes:
    """EXIF is the content of the eXIf chunk; its CRC covers type and content (PNG 3, section 11.3.3.1)."""
    at = 8
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + size
        if kind == b"eXIf" and end + 4 <= len(data):
            upright = _upright(data, at + 8, end)
            if upright is data:
                return data
            check = zlib.crc32(upright[at + 4 : end]).to_bytes(4, "big")
            return upright[:end] + check + upright[end + 4 :]
        at = end + 4
    return data


def _upright(data: bytes, start: int, end: int) -> bytes:
    """Rewrite the orientation in the TIFF directory between ``start`` and ``end``."""
    end = min(end, len(data))
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None or start + 8 > end:
        return data
    (directory,) = struct.unpack_from(order + "I", data, start + 4)
    at = start + directory
    if at + 2 > end:
        return data
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, end - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", data, entry)
        if tag == _EXIF_ORIENTATION and value != 1:
            # cv2 reads two bytes whatever the entry's type says, others heed the type.
            one = struct.pack(order + ("I" if kind == _TIFF_LONG else "H"), 1)
            return data[: entry + 8] + one + data[entry + 8 + len(one) :]
    return data
