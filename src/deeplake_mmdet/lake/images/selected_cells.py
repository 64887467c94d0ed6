"""Reading the cells of a view out of its whole lake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.images.cell_reader import CellReader, check_rows

__all__ = ["SelectedCells"]

_LEAST_SHARE = 1 / 4  # of a chunk's rows: from here on, all of it comes sooner than these by themselves


class SelectedCells:
    """A `CellReader` of some rows of a lake, over one of all rows.

    Args:
        under: Reads the whole lake.
        rows: Its rows in the view's order, shape (n,), int64.
        bounds: First rows of the whole lake's chunks, and its number of rows, where a chunk comes by one
            request; None where the reader below is best asked for rows as they are wanted.
        where: The view, for messages.
    """

    def __init__(
        self, under: CellReader, rows: NDArray[np.int64], bounds: NDArray[np.int64] | None, where: str
    ) -> None:
        self._under = under
        self._rows = rows
        self._bounds = bounds
        self._where = where

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """See `CellReader.get_bytes`; a ``range`` counts in the view's order."""
        if isinstance(rows, range):
            return self.get_together(rows)
        return self._under.get_bytes(self._of_lake(rows).tolist())

    def get_together(self, rows: Sequence[int]) -> list[bytes | None]:
        """Read rows as `get_bytes` does, by whole chunks of the lake where many rows of one are wanted.

        Args:
            rows: Row numbers of the view.

        Raises:
            DeepLakeMMDetError: As `CellReader.get_bytes`.
        """
        wanted = self._of_lake(rows)
        if self._bounds is None:
            return self._under.get_bytes(wanted.tolist())
        chunks = np.searchsorted(self._bounds, wanted, side="right") - 1
        found: list[bytes | None] = [None] * len(wanted)
        alone: list[int] = []
        for chunk in np.unique(chunks).tolist():
            places = np.flatnonzero(chunks == chunk).tolist()
            start, stop = self._bounds[chunk : chunk + 2].tolist()
            if len(places) < _LEAST_SHARE * (stop - start):
                alone += places
                continue
            cells = self._under.get_bytes(range(start, stop))
            for place in places:
                found[place] = cells[int(wanted[place]) - start]
        if alone:
            cells = self._under.get_bytes(wanted[alone].tolist())
            for place, cell in zip(alone, cells, strict=True):
                found[place] = cell
        return found

    def forget(self, rows: Sequence[int]) -> None:
        """See `CellReader.forget`."""
        self._under.forget(self._of_lake(rows).tolist())

    def _of_lake(self, rows: Sequence[int]) -> NDArray[np.int64]:
        check_rows(rows, len(self._rows), self._where)
        return self._rows[np.asarray(rows, np.int64)]
