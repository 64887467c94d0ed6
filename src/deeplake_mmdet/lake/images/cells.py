"""Encoded images out of a lake, whatever its image column holds: files, arrays or links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ColumnError, ImageError
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cell_reader import StoredCells, check_rows
from deeplake_mmdet.lake.images.headers import check_stated_size, neutralise_orientation
from deeplake_mmdet.lake.images.links import read_addresses, read_links
from deeplake_mmdet.lake.images.lossless import encode_array
from deeplake_mmdet.lake.schema.columns import ColumnFacts

__all__ = [
    "Cells",
    "Turning",
    "check_image_column",
    "fetch_images",
    "holds_files",
    "image_extension",
    "images_of",
    "raised",
    "read_images",
    "unencoded_cells",
]

_FILES = ("jpeg", "png")
Turning = bool | NDArray[np.bool_]  # of all images, or by row of the lake
Cells = Callable[[Sequence[int]], Sequence[Any]]
"""Reads the cells of some rows, each once: files, arrays, or what links lead to. None where there is none."""


def check_image_column(column: ColumnFacts) -> None:
    """Refuse image columns whose images cannot be had, or not with the right pixels.

    Args:
        column: Facts of the image column.

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
    """Whether the column's cells are encoded files that Deep Lake gives out unchanged.

    Args:
        column: Facts of the image column.
    """
    return column.sample_compression in _FILES and not column.is_link


def image_extension(column: ColumnFacts) -> str:
    """File extension, without a dot, of the images that `read_images` gives for this column.

    Args:
        column: Facts of the image column.
    """
    return "jpg" if column.sample_compression == "jpeg" else "png"


def read_images(
    lake: OpenLake, column: ColumnFacts, rows: Sequence[int], *, apply_exif: Turning = False
) -> list[bytes]:
    """Read the images of some rows as `fetch_images` does, but raise the first error among them.

    Args:
        lake: Open lake.
        column: Facts of the image column.
        rows: Row numbers.
        apply_exif: Leave EXIF orientations in place, see `images_of`.

    Returns:
        One encoded image for each entry of ``rows``.

    Raises:
        ImageError: A cell is empty or cannot be had as an image.
        DeepLakeMMDetError: As `fetch_images`.
    """
    found = fetch_images(lake, column, rows, apply_exif=apply_exif)
    return [raised(image) for image in found]


def fetch_images(
    lake: OpenLake, column: ColumnFacts, rows: Sequence[int], *, apply_exif: Turning = False
) -> list[bytes | ImageError]:
    """Read the images of some rows through Deep Lake.

    Args:
        lake: Open lake.
        column: Facts of the image column.
        rows: Row numbers.
        apply_exif: Leave EXIF orientations in place, see `images_of`.

    Returns:
        One encoded image, or one error, for each entry of ``rows``, see `images_of`.

    Raises:
        DeepLakeMMDetError: As `CellReader.get_bytes`; or the storage of a linked file failed.
    """
    cells: Cells = StoredCells(lambda: lake, column.name).get_bytes
    return images_of(
        cells if holds_files(column) else unencoded_cells(lake, column), column, rows, apply_exif=apply_exif
    )


def unencoded_cells(lake: OpenLake, column: ColumnFacts) -> Cells:
    """Make the function that reads the cells of an image column of links or arrays.

    Args:
        lake: Open lake.
        column: Facts of the column.

    Returns:
        Takes row numbers; gives a file (or None, or an `ImageError`) for each link, else an array of shape
        (height, width) or (height, width, channels), uint8 or uint16.
    """

    def read(rows: Sequence[int]) -> Sequence[Any]:
        chosen = list(rows)
        if not chosen:
            return []
        check_rows(chosen, len(lake), f"column {column.name!r}")
        if column.is_link:
            return read_links(lake, column.name, chosen, read_addresses(lake, column.name, chosen))
        return list(lake[column.name][chosen])

    return read


def images_of(
    cells: Cells, column: ColumnFacts, rows: Sequence[int], *, apply_exif: Turning = False
) -> list[bytes | ImageError]:
    """The images of some rows as encoded files.

    Files are given as stored, except for a neutralised EXIF orientation; arrays in a lossless container
    (see `encode_array`).

    Args:
        cells: Reads cells of the column, in one call.
        column: Facts of the image column.
        rows: Row numbers. Each is read once, however often it occurs. A ``range`` is handed on as such.
        apply_exif: Leave EXIF orientations in place, so that the decoder turns images by them; of all images,
            or by row of the lake, shape (n,).

    Returns:
        One entry for each entry of ``rows``. An error, not raised, stands for a cell that is empty, cannot
        be had as an image, or is a link that leads nowhere.

    Raises:
        DeepLakeMMDetError: What ``cells`` raises.
    """
    if isinstance(rows, range):
        return [_served(column, row, cell, apply_exif) for row, cell in zip(rows, cells(rows), strict=True)]
    chosen = list(dict.fromkeys(int(row) for row in rows))
    served = {
        row: _served(column, row, cell, apply_exif) for row, cell in zip(chosen, cells(chosen), strict=True)
    }
    return [served[int(row)] for row in rows]


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


def raised(image: bytes | ImageError) -> bytes:
    """Give an image, or raise the error that stands for it.

    Args:
        image: One of what `images_of` gives.

    Raises:
        ImageError: It is one.
    """
    if isinstance(image, ImageError):
        raise image
    return image
