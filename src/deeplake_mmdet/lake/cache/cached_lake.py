"""An open lake whose encoded images come through a `ChunkCache`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.images.soundness import looks_whole

__all__ = ["CachedLake"]

_TRIES = 3


class CachedLake:
    """Reads like a lake; opens it only for what is not in the cache.

    Args:
        cache: The cache.
        bounds: First rows of all chunks, and the number of rows.
        open_lake: Gives the open lake.
        read: Reads rows, or a range of them, of a column of the open lake.
        direct: Reads like the column, without Deep Lake; None if it has to read.
        scattered: See `ChunkCache.cells`.
    """

    def __init__(
        self,
        cache: ChunkCache,
        bounds: NDArray[np.int64],
        open_lake: Callable[[], Any],
        read: Callable[[Any, Sequence[int]], list[Any]],
        *,
        direct: Any = None,
        scattered: bool = False,
    ) -> None:
        self._cache = cache
        self._bounds = bounds
        self._open_lake = open_lake
        self._read = read
        self._direct = direct
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
        column = self._open_lake()[self._cache.column] if self._direct is None else self._direct
        cells = self._read(column, rows)
        return self._made_sure(rows, cells) if isinstance(rows, range) else cells

    def _made_sure(self, rows: Sequence[int], cells: list[Any]) -> list[Any]:
        """A whole chunk, which will be kept: what does not look like an image is read once more.

        Of buckets that `ChunkObjects` reads, checksums have found whatever is wrong. Elsewhere this finds
        all that is wrong with PNG files, and with JPEG files what breaks their form.

        Raises:
            StorageError: It comes otherwise each time.
        """
        at = [place for place, cell in enumerate(cells) if not looks_whole(bytes(cell or b""))]
        for _ in range(_TRIES):
            if not at:
                break
            lake = self._open_lake()
            lake.close()  # it keeps what it has read
            others = self._read(lake[self._cache.column], [rows[place] for place in at])
            left = []
            for place, other in zip(at, others, strict=True):
                if bytes(other or b"") != bytes(cells[place] or b""):
                    cells[place] = other
                    if not looks_whole(bytes(other or b"")):
                        left.append(place)
            at = left
        if at:
            told = ", ".join(str(rows[place]) for place in at[:10])
            raise StorageError(
                "The storage gives other bytes each time",
                where=f"column {self._cache.column!r}, rows {told}",
                advice="check the network, and proxies on the way",
            )
        return cells
