"""Reading encoded cells through the cache of chunks (`ChunkCache`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import StorageError, listed
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.images.cell_reader import CellReader
from deeplake_mmdet.lake.images.soundness import looks_whole

__all__ = ["CachedCells"]

_TRIES = 3


class CachedCells:
    """A `CellReader` that asks the one below only for what is not in the cache, whole chunks at a time.

    Args:
        cache: The cache.
        bounds: First rows of all chunks, and the number of rows.
        under: Reads the column.
        scattered: See `ChunkCache.cells`.
    """

    def __init__(
        self, cache: ChunkCache, bounds: NDArray[np.int64], under: CellReader, *, scattered: bool = False
    ) -> None:
        self._cache = cache
        self._bounds = bounds
        self._under = under
        self._scattered = scattered

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        """See `CellReader.get_bytes`.

        Raises:
            DeepLakeMMDetError: As the reader below, for what is not in the cache.
        """
        wanted = [int(row) for row in rows]
        if not wanted or min(wanted) < 0 or max(wanted) >= self._bounds[-1]:
            return self._under.get_bytes(rows)
        cells = self._cache.cells(self._bounds, wanted, self._read, scattered=self._scattered)
        return [cell or None for cell in cells]

    def forget(self, rows: Sequence[int]) -> None:
        """Delete the cached chunks that hold some rows. See `CellReader.forget`."""
        for row in rows:
            self._cache.drop(self._bounds, row)
        self._under.forget(rows)

    def _read(self, rows: Sequence[int]) -> list[bytes | None]:
        cells = self._under.get_bytes(rows)
        return self._made_sure(rows, cells) if isinstance(rows, range) else cells

    def _made_sure(self, rows: range, cells: list[bytes | None]) -> list[bytes | None]:
        """Read those cells of a whole chunk again that do not look like an image, before the chunk is kept.

        In buckets that `ChunkObjects` reads, checksums have found all damage. Elsewhere this finds all damage
        to PNG files, and to JPEG files what breaks their structure.

        Raises:
            StorageError: The cells come with other bytes each time.
        """
        at = [place for place, cell in enumerate(cells) if not looks_whole(cell or b"")]
        for _ in range(_TRIES):
            if not at:
                break
            again = [rows[place] for place in at]
            self._under.forget(again)
            others, left = self._under.get_bytes(again), []
            for place, other in zip(at, others, strict=True):
                if other != cells[place]:
                    cells[place] = other
                    if not looks_whole(other or b""):
                        left.append(place)
            at = left
        if at:
            raise StorageError(
                "The storage gives other bytes each time",
                where=f"column {self._cache.column!r}, rows {listed([rows[place] for place in at])}",
                advice="check the network, and proxies on the way",
            )
        return cells
