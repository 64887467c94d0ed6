"""Encoded images out of a lake, whatever its image column holds: files, arrays or links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ColumnError, ImageError
from deeplake_mmdet.lake.columns import ColumnFacts
from deeplake_mmdet.lake.containers import encode_array
from deeplake_mmdet.lake.exif import neutralise_orientation
from deeplake_mmdet.lake.links import read_addresses, read_link

__all__ = ["check_image_column", "holds_files", "image_extension", "read_images"]

_FILES = ("jpeg", "png")


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
    handle: Any, column: ColumnFacts, rows: Sequence[int], *, apply_exif: bool = False
) -> list[bytes]:
    """Fetch the images of some rows in one concurrent call, as encoded files.

    Files are given as stored, except for a neutralised EXIF orientation; arrays in a lossless container
    (see `encode_array`).

    Args:
        handle: Open lake.
        column: Facts of the image column.
        rows: Row numbers; at least one.
        apply_exif: Leave EXIF orientations in place, so that the decoder turns images by them.

    Raises:
        ImageError: A cell is empty, cannot be had as an image, or is a link that leads nowhere.
        StorageError: A linked file cannot be read.
    """
    chosen = [int(row) for row in rows]
    if holds_files(column):
        found = _files(handle, column.name, chosen)
    elif column.is_link:
        addresses = read_addresses(handle, column.name, chosen)
        found = [
            read_link(handle, column.name, row, _filled(address, column.name, row))
            for row, address in zip(chosen, addresses, strict=True)
        ]
    else:
        cells = handle[column.name][chosen]
        return [
            encode_array(np.asarray(_filled(cell, column.name, row)), f"column {column.name!r}, row {row}")
            for row, cell in zip(chosen, cells, strict=True)
        ]
    return found if apply_exif else [neutralise_orientation(data) for data in found]


def _files(handle: Any, column: str, rows: list[int]) -> list[bytes]:
    try:
        reader = handle[column]
        # The call for one row is the cheaper one.
        cells = [reader.get_bytes(rows[0])] if len(rows) == 1 else reader.get_bytes(rows)
    except RuntimeError as error:
        if "not a bytes array" not in str(error):
            raise
        # Rows that are older than their column hold None; find the one that spoilt the call.
        for row in rows:
            _filled(handle[column][[row]][0], column, row)
        raise
    return [bytes(_filled(data, column, row)) for row, data in zip(rows, cells, strict=True)]


def _filled(cell: Any, column: str, row: int) -> Any:
    if cell is None or len(cell) == 0:
        raise ImageError(
            "The image cell is empty",
            where=f"column {column!r}, row {row}",
            advice="repair or delete this row, leave it out with query=, or use on_error='skip'",
        )
    return cell
