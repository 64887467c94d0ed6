"""Encoded images out of a lake, whatever its image column holds: files, arrays or links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ColumnError, ImageError
from deeplake_mmdet.lake.calls.handle import NO_BYTES
from deeplake_mmdet.lake.images.exif import neutralise_orientation
from deeplake_mmdet.lake.images.limit import check_stated_size
from deeplake_mmdet.lake.images.links import read_addresses, read_links
from deeplake_mmdet.lake.images.lossless import encode_array
from deeplake_mmdet.lake.schema.columns import ColumnFacts

__all__ = [
    "Turning",
    "check_image_column",
    "encoded_cells",
    "fetch_images",
    "fetch_span",
    "holds_files",
    "image_extension",
    "read_images",
]

_FILES = ("jpeg", "png")
Turning = bool | NDArray[np.bool_]  # of all images, or by row of the lake


def check_image_column(column: ColumnFacts) -> None:
    """Refuse image columns whose images cannot be had, or not with the right pixels.

    Raises:
        ColumnError: The column holds sequences, or arrays of other elements or dimensions, or files behind
            a nullable type.
    """
    name, where = column.name, "dataset key 'tensors', role 'img'"
    if column.is_sequence:
        raise ColumnError(
            f"Image column {name!r} holds sequences",
            where=where,
            advice="name a column with one image in each row",
        )
    if column.dtype not in ("uint8", "uint16") or (
        column.kind != "image" and column.dimensions not in (2, 3)
    ):
        raise ColumnError(
            f"Column {name!r} of type {column} holds no images",
            where=where,
            advice="name a column of type Image, or of uint8 or uint16 arrays (height, width, channels)",
        )
    if column.is_nullable and column.sample_compression:
        raise ColumnError(
            f"Image column {name!r} holds {column.sample_compression.upper()} files behind a nullable type",
            where=where,
            advice="store them in a column of type Image that is not nullable, with b'' for missing images: "
            "of nullable ones Deep Lake gives decoded pixels only, wrong ones for grey images and palettes",
        )


def holds_files(column: ColumnFacts) -> bool:
    """Whether the column's cells are encoded files that Deep Lake gives out unchanged."""
    return column.sample_compression in _FILES and not column.is_link


def image_extension(column: ColumnFacts) -> str:
    """File extension, without a dot, of the images that `read_images` gives for this column."""
    return "jpg" if column.sample_compression == "jpeg" else "png"


def read_images(
    handle: Any, column: ColumnFacts, rows: Sequence[int], *, apply_exif: Turning = False
) -> list[bytes]:
    """The same as `fetch_images`, with the first `ImageError` raised."""
    found = fetch_images(handle, column, rows, apply_exif=apply_exif)
    return [_raised(image) for image in found]


def fetch_images(
    handle: Any, column: ColumnFacts, rows: Sequence[int], *, apply_exif: Turning = False
) -> list[bytes | ImageError]:
    """Fetch the images of some rows in one concurrent call, as encoded files.

    Files are given as stored, except for a neutralised EXIF orientation; arrays in a lossless container
    (see `encode_array`).

    Args:
        handle: Open lake.
        column: Facts of the image column.
        rows: Row numbers. Each is fetched once, however often it occurs.
        apply_exif: Leave EXIF orientations in place, so that the decoder turns images by them; of all images,
            or by row of the lake, shape (n,).

    Returns:
        One entry for each entry of ``rows``. An error, not raised, stands for a cell that is empty, cannot
        be had as an image, or is a link that leads nowhere.

    Raises:
        StorageError: The storage failed, or that of a linked file.
    """
    chosen = list(dict.fromkeys(int(row) for row in rows))
    cells = _cells(handle, column, chosen) if chosen else []
    served = {row: _served(column, row, cell, apply_exif) for row, cell in zip(chosen, cells, strict=True)}
    return [served[int(row)] for row in rows]


def fetch_span(
    handle: Any, column: ColumnFacts, start: int, stop: int, *, apply_exif: Turning = False
) -> list[bytes | ImageError]:
    """The same for the rows from ``start`` to before ``stop``, by as few requests as can be.

    Of encoded files each chunk of the lake that the span touches is fetched by one request, as a whole.
    """
    rows = range(start, stop)
    if not rows or not holds_files(column):
        return fetch_images(handle, column, rows, apply_exif=apply_exif)
    cells = encoded_cells(handle[column.name], rows)
    return [_served(column, row, cell, apply_exif) for row, cell in zip(rows, cells, strict=True)]


def _cells(handle: Any, column: ColumnFacts, rows: list[int]) -> list[Any]:
    if column.is_link:
        return read_links(handle, column.name, rows, read_addresses(handle, column.name, rows))
    reader = handle[column.name]
    return encoded_cells(reader, rows) if holds_files(column) else list(reader[rows])


def encoded_cells(reader: Any, rows: Sequence[int]) -> list[Any]:
    """Encoded cells of some rows of a column, or of a range of them; None where there is none."""
    try:
        if len(rows) == 1:  # the call for one row is the cheaper one
            return [reader.get_bytes(rows[0])]
        return list(reader.get_bytes(slice(rows.start, rows.stop) if isinstance(rows, range) else rows))
    except RuntimeError as error:
        # Rows that are older than their column hold None, which spoils the call for all others.
        if NO_BYTES not in str(error):
            raise
    if len(rows) == 1:
        return [None]
    half = len(rows) // 2
    return encoded_cells(reader, rows[:half]) + encoded_cells(reader, rows[half:])


def _served(column: ColumnFacts, row: int, cell: Any, apply_exif: Turning) -> bytes | ImageError:
    if isinstance(cell, ImageError):
        return cell
    if cell is None or len(cell) == 0:
        return ImageError(
            "The image cell is empty",
            where=f"column {column.name!r}, row {row}",
            advice="repair or delete this row, leave it out with query=, or use on_error='skip'",
        )
    if not (column.is_link or holds_files(column)):
        try:
            return encode_array(np.asarray(cell), f"column {column.name!r}, row {row}")
        except ImageError as error:
            return error
    data = bytes(cell)
    try:
        check_stated_size(data, f"column {column.name!r}, row {row}")
    except ImageError as error:
        return error
    turned = apply_exif if isinstance(apply_exif, bool) else apply_exif[row]
    return data if turned else neutralise_orientation(data)


def _raised(image: bytes | ImageError) -> bytes:
    if isinstance(image, ImageError):
        raise image
    return image
