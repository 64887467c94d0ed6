"""Blocks of a view: rows whose images lie in one chunk of the lake, neighbours in the view or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowBlocks", "blocks_between", "blocks_of_chunks"]


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """Which rows of a view are best fetched together.

    Attributes:
        bounds: Place in ``order`` of each block's first row, and the number of rows; shape (blocks + 1,).
        order: Rows, block after block, ascending within each; shape (rows,). None if that is all rows as they
            come.
        ids: Block of each row, shape (rows,); None where ``order`` is.
    """

    bounds: NDArray[np.int64]
    order: NDArray[np.integer[Any]] | None = None
    ids: NDArray[np.integer[Any]] | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def of(self, rows: Any) -> NDArray[np.integer[Any]]:
        """The blocks of some rows, shape (k,).

        Args:
            rows: Row numbers of the view, shape (k,).
        """
        found: NDArray[np.integer[Any]] = (
            np.searchsorted(self.bounds, rows, side="right") - 1 if self.ids is None else self.ids[rows]
        )
        return found

    def rows_of(self, block: int) -> range | NDArray[np.integer[Any]]:
        """The rows of a block, ascending.

        Args:
            block: Its number.
        """
        start, stop = self.bounds[block : block + 2].tolist()
        return range(start, stop) if self.order is None else self.order[start:stop]


def blocks_between(bounds: NDArray[np.int64]) -> RowBlocks:
    """Make blocks of neighbouring rows.

    Args:
        bounds: First row of each block, and the number of rows; shape (blocks + 1,), int64.
    """
    return RowBlocks(bounds)


def blocks_of_chunks(bounds: NDArray[np.int64], base_rows: NDArray[np.int64]) -> RowBlocks:
    """Make a block of each chunk in which rows of a view lie.

    Args:
        bounds: First row of each chunk of the whole lake, and its number of rows.
        base_rows: The view's rows as row numbers of the whole lake, shape (rows,).
    """
    chunks = np.searchsorted(bounds, base_rows, side="right") - 1
    used, ids = np.unique(chunks, return_inverse=True)
    ids = ids.astype(np.int32)
    ends = np.cumsum(np.bincount(ids, minlength=len(used)))
    starts = np.concatenate([[0], ends]).astype(np.int64)
    if (np.diff(ids) >= 0).all():
        return RowBlocks(starts)
    return RowBlocks(starts, np.argsort(ids, kind="stable"), ids)
