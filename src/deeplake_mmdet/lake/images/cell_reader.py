"""Reading the encoded files in a column's cells: what all readers promise, and Deep Lake's own reading.

Readers stand on each other. Each answers what it can and asks the one below for the rest, from the top:

    images.SelectedCells    rows of a view, by their numbers in the whole lake
    cache.CachedCells       whole chunks, kept on a local disk
    direct.ChunkFiles       straight out of a local lake's files; or
    direct.ChunkObjects     whole chunks straight out of a bucket
    StoredCells             Deep Lake, which can read everything
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake.calls.handle import NO_BYTES
from deeplake_mmdet.lake.calls.protocols import OpenColumn, OpenLake

__all__ = ["CellReader", "StoredCells", "check_rows"]


class CellReader(Protocol):
    """Reads encoded cells of one column of one pinned lake.

    Safe to use from several threads. It belongs to one process and is never pickled.
    """

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """Read some cells.

        Args:
            rows: Row numbers from 0, in any order; they may repeat. A ``range`` asks for neighbours, which
                are read by as few requests as can be: chunks of the lake (about 8 MB) come as a whole.

        Returns:
            For each row the very bytes that the lake stores; None for a cell without bytes, whether it is
            empty or was never written.

        Raises:
            ConfigError: The lake has no such row.
            SourceNotFoundError: Another lake stands there now, or none.
            StorageError: The storage failed; or what it gives is not what the lake has written.
            CredentialError: The storage refused access.
        """

    def forget(self, rows: Sequence[int]) -> None:
        """Drop what is remembered of some rows, here and in the readers below, because they came damaged.

        Args:
            rows: Row numbers from 0.
        """


class StoredCells:
    """Deep Lake's own reading: a `CellReader` with none below it.

    Args:
        lake: Gives the open lake.
        column: Column name.
        where: The lake, for messages.
    """

    def __init__(self, lake: Callable[[], OpenLake], column: str, where: str = "") -> None:
        self._lake = lake
        self._column = column
        self._where = where or f"column {column!r}"

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """See `CellReader.get_bytes`."""
        if not len(rows):
            return []
        lake = self._lake()
        check_rows(rows, len(lake), self._where)
        cells = _stored(lake[self._column], rows)
        return [bytes(cell) if cell else None for cell in cells]

    def forget(self, rows: Sequence[int]) -> None:
        """Have Deep Lake drop all that it has read, not only these rows. See `CellReader.forget`."""
        lake = self._lake()
        if hasattr(lake, "close"):
            lake.close()


def _stored(column: OpenColumn, rows: Sequence[int]) -> list[Any]:
    try:
        if len(rows) == 1:  # the call for one row is the cheaper one
            return [column.get_bytes(int(rows[0]))]
        if isinstance(rows, range) and rows.step == 1:
            return list(column.get_bytes(slice(rows.start, rows.stop)))
        return list(column.get_bytes([int(row) for row in rows]))
    except RuntimeError as error:
        # Rows that are older than their column hold None, which spoils the call for all others.
        if NO_BYTES not in str(error):
            raise
    if len(rows) == 1:
        return [None]
    half = len(rows) // 2
    return _stored(column, rows[:half]) + _stored(column, rows[half:])


def check_rows(rows: Sequence[int], count: int, where: str) -> None:
    """Refuse row numbers that do not exist; Deep Lake would count negative ones from the end and cut slices.

    Args:
        rows: Row numbers.
        count: How many rows there are.
        where: The lake or column, for the message.

    Raises:
        ConfigError: One is negative, or beyond the last.
    """
    if not len(rows):
        return
    ends = (rows[0], rows[-1]) if isinstance(rows, range) else rows
    if not 0 <= min(ends) <= max(ends) < count:
        raise ConfigError(
            f"This view has {count} rows; asked for rows {min(ends)} to {max(ends)}", where=where
        )
