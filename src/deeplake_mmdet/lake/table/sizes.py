"""Image sizes of a whole lake, without decoding where that can be done."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, ImageError, listed
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cells import Turning, fetch_images, holds_files, read_images
from deeplake_mmdet.lake.images.headers import read_orientation
from deeplake_mmdet.lake.images.links import read_addresses, sizes_of_links
from deeplake_mmdet.lake.images.lossless import CHANNELS, channel_error
from deeplake_mmdet.lake.images.signatures import JPEG, PNG
from deeplake_mmdet.lake.schema.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.source.queries import UNQUOTABLE

__all__ = ["read_sizes"]

_BLOCK = 64  # rows whose images are in memory at once
_OWN = {"jpeg": JPEG, "png": PNG}
_TURNED = 5  # EXIF orientations from here on exchange width and height


def read_sizes(
    handle: OpenLake, column: str | ColumnFacts, *, allow_bad: bool = False, displayed: Turning = False
) -> NDArray[np.int32]:
    """Heights and widths of all images, shape (n, 2), in pixels as stored.

    Encoded files and arrays are measured by ``SHAPE()``, which decodes nothing and yet finds files that
    cannot be decoded (not all: a file without its tail keeps its shape). Linked files are measured by their
    headers if they are local. Nullable arrays and other links have to be fetched, all of them, once, and so
    have columns whose names cannot stand in a query, and files of another type than the column's (a PNG
    among JPEGs, say), which Deep Lake does not measure but the decoder of a training reads.

    Args:
        handle: Open lake.
        column: Image column.
        allow_bad: Give (0, 0) for images that cannot be decoded, instead of raising.
        displayed: Measure images as turned by their EXIF orientation, all or by row, shape (n,). This fetches
            each of them once.

    Raises:
        ImageError: Images cannot be decoded, are missing, or have too many channels.
        ConfigError: ``displayed`` is asked of linked files of which Deep Lake gives decoded pixels only.
        StorageError: A linked file cannot be read.
    """
    facts = describe_columns(handle)[column] if isinstance(column, str) else column
    first = None
    if facts.is_link:
        sizes, first = _sizes_of_links(handle, facts)
    elif facts.is_nullable:
        sizes = _sizes_of_arrays(handle, facts)
    elif any(mark in facts.name for mark in UNQUOTABLE):
        sizes = _decoded(handle, facts, np.zeros((len(handle), 2), np.int32), len(handle))
    else:
        sizes = _shapes(handle, facts)
        if holds_files(facts) and (unknown := int((sizes <= 0).any(axis=1).sum())):
            sizes = _decoded(handle, facts, sizes, unknown, foreign=True)
    bad = np.flatnonzero((sizes <= 0).any(axis=1))
    sizes[bad] = 0
    if len(bad) and not allow_bad:
        if first is not None:
            raise ImageError(
                f"{len(bad)} of {len(sizes)} linked images cannot be had; of the first: {first.what}",
                where=f"{first.where}; rows {listed(bad)}",
                advice=f"{first.advice or 'repair these rows'}; select others with query=, or use "
                "on_error='skip'",
            )
        raise ImageError(
            f"{len(bad)} of {len(sizes)} images cannot be decoded"
            + (f" as {str(facts.sample_compression).upper()}" if holds_files(facts) else ""),
            where=f"column {facts.name!r}, rows {listed(bad)}",
            advice="repair or delete these rows, select others with query=, or use on_error='skip'",
        )
    turned = np.broadcast_to(np.asarray(displayed), len(sizes)) & (sizes[:, 0] > 0)
    if turned.any() and (holds_files(facts) or facts.is_link):
        _turn(handle, facts, sizes, np.flatnonzero(turned))
    return sizes


def _shapes(handle: OpenLake, facts: ColumnFacts) -> NDArray[np.int32]:
    found = handle.query(f'SELECT SHAPE("{facts.name}") AS s')["s"][:]
    shapes = np.zeros((len(found), 3), np.int64)
    if isinstance(found, np.ndarray) and found.ndim == 2:
        shapes[:, : found.shape[1]] = found[:, :3]
    else:
        for row, shape in enumerate(found):
            shapes[row, : len(shape)] = np.asarray(shape)[:3]
    if not holds_files(facts):  # files of any number of channels go to the decoder unchanged
        wrong = np.flatnonzero((shapes[:, 2] > 0) & ~np.isin(shapes[:, 2], CHANNELS) & (shapes[:, 0] > 0))
        if len(wrong):
            raise channel_error(
                int(shapes[wrong[0], 2]), f"column {facts.name!r}, rows {listed(wrong)}"
            ) from None
    return shapes[:, :2].astype(np.int32)


def _decoded(
    handle: OpenLake, facts: ColumnFacts, sizes: NDArray[np.int32], unknown: int, *, foreign: bool = False
) -> NDArray[np.int32]:
    """Fill in unknown sizes by decoding images as a training would.

    Args:
        handle: Open lake.
        facts: Image column.
        sizes: Shape (n, 2), 0 where not known.
        unknown: How many are not.
        foreign: Whether files of the column's own type are past help: Deep Lake could not decode these.
    """
    import cv2

    found, own = 0, _OWN.get(facts.sample_compression or "", ())
    for rows in _blocks(np.flatnonzero((sizes <= 0).any(axis=1))):
        for row, data in zip(rows, fetch_images(handle, facts, rows), strict=True):
            if isinstance(data, ImageError) or (foreign and data.startswith(own)):
                continue
            try:
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            except cv2.error:
                continue
            if pixels is not None:
                sizes[row] = pixels.shape[:2]
                found += 1
    if foreign and found:
        logging.getLogger("deeplake_mmdet").warning(
            "Column %r holds %d files of another type than %s (of %d that Deep Lake cannot decode): they "
            "are decoded as what they are",
            facts.name,
            found,
            str(facts.sample_compression).upper(),
            unknown,
        )
    return sizes


def _sizes_of_links(handle: OpenLake, facts: ColumnFacts) -> tuple[NDArray[np.int32], ImageError | None]:
    """Sizes, and what is wrong with the first link that has none."""
    sizes = np.zeros((len(handle), 2), np.int32)
    first = None
    for rows in _blocks(np.arange(len(handle))):
        found = sizes_of_links(handle, facts.name, rows, read_addresses(handle, facts.name, rows))
        for row, size in zip(rows, found, strict=True):
            if isinstance(size, tuple):
                sizes[row] = size
            elif first is None:
                first = size or ImageError("there is no address", where=f"column {facts.name!r}, row {row}")
    return sizes, first


def _sizes_of_arrays(handle: OpenLake, facts: ColumnFacts) -> NDArray[np.int32]:
    """Sizes of the images of a nullable column, by reading them: ``SHAPE()`` gives no shapes of these."""
    sizes = np.zeros((len(handle), 2), np.int32)
    for rows in _blocks(np.arange(len(handle))):
        for row, cell in zip(rows, handle[facts.name][rows], strict=True):
            if cell is not None and np.ndim(cell) >= 2:
                sizes[row] = np.shape(cell)[:2]
    return sizes


def _turn(handle: OpenLake, facts: ColumnFacts, sizes: NDArray[np.int32], turned: NDArray[np.int64]) -> None:
    for rows in _blocks(turned):
        for row, data in zip(rows, read_images(handle, facts, rows, apply_exif=True), strict=True):
            if not data.startswith((JPEG, PNG)):
                raise _without_exif(facts)
            if read_orientation(data) >= _TURNED:
                sizes[row] = sizes[row, ::-1].copy()


def _without_exif(facts: ColumnFacts) -> ConfigError:
    return ConfigError(
        f"Deep Lake gives only decoded pixels of the files that column {facts.name!r} links to, without "
        "their EXIF orientation",
        where="dataset key 'apply_exif'",
        advice="set apply_exif=False, link to local files, or store them in a column of type Image",
    )


def _blocks(rows: NDArray[np.int64]) -> Iterator[list[int]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK].tolist()
