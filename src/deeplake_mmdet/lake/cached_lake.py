"""An open lake whose encoded images come through a `ChunkCache`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.chunk_cache import ChunkCache

__all__ = ["CachedLake"]


class CachedLake:
    """Reads like a lake; opens it only for what is not in the cache.

    Args:
        cache: The cache.
        bounds: First rows of all chunks, and the number of rows.
        open_lake: Gives the open lake.
        read: Reads rows, or a range of them, of a column of the open lake.
        scattered: See `ChunkCache.cells`.
    """

    def __init__(
        self,
        cache: ChunkCache,
        bounds: NDArray[np.int64],
        open_lake: Callable[[], Any],
        read: Callable[[Any, Sequence[int]], list[Any]],
        *,
        scattered: bool = False,
    ) -> None:
        self._cache = cache
        self._bounds = bounds
        self._open_lake = open_lake
        self._read = read
        self._scattered = scattered

    def __getitem__(self, column: str) -> Any:
        return self if column == self._cache.column else self._open_lake()[column]

    def get_bytes(self, index: Any) -> Any:
        """Encoded cells: one for a number, a list for a slice with both ends or a list of numbers."""
        if isinstance(index, slice):
            index = range(index.start, index.stop)
        rows = [int(index)] if np.ndim(index) == 0 else [int(row) for row in index]
        cells = self._cache.cells(self._bounds, rows, self._from_lake, scattered=self._scattered)
        return cells[0] if np.ndim(index) == 0 else cells

    def _from_lake(self, rows: Sequence[int]) -> list[Any]:
        return self._read(self._open_lake()[self._cache.column], rows)
