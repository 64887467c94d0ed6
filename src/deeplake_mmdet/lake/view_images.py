"""Where a view's encoded images lie, in which blocks they are best fetched, and what reads them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.cache.cached_cells import CachedCells
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.direct.chunks import chunk_bounds, mean_bytes
from deeplake_mmdet.lake.direct.direct import read_directly
from deeplake_mmdet.lake.images.cell_reader import CellReader, StoredCells
from deeplake_mmdet.lake.images.cells import holds_files
from deeplake_mmdet.lake.images.selected_cells import SelectedCells
from deeplake_mmdet.lake.row_blocks import RowBlocks, blocks_between, blocks_of_chunks
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, newest_credentials
from deeplake_mmdet.lake.source.row_order import FrozenLake
from deeplake_mmdet.lake.source.source import ResolvedSource
from deeplake_mmdet.lake.table.table import AnnotationTable

__all__ = ["ViewImages"]

_LEAST_SHARE = 1 / 4  # of the rows of those chunks that a view touches, from which on it is read by chunks
_PER_PROCESS = ("_readers", "blocks")


class ViewImages:
    """The image column of a resolved source. Picklable: it holds no handle and no secret.

    If the table tells which rows of the whole lake a view has, these are read, and no query is run once more.

    Args:
        source: The resolved source.
        credentials: What is known of the credentials.
        column: Facts of the image column.
        table: The source's annotation table.
    """

    def __init__(
        self,
        source: ResolvedSource,
        credentials: CredentialRef,
        column: ColumnFacts,
        table: AnnotationTable,
    ) -> None:
        self._source = source
        self._credentials = credentials
        self._column = column
        self._table = table
        self._readers: dict[bool, CellReader] = {}

    @cached_property
    def base(self) -> ResolvedSource:
        """What images are read from: the whole lake of a view, if it is known which of its rows those are."""
        return self._source if self._rows is None else self._source.base

    @property
    def handle(self) -> OpenLake:
        """This process's open Deep Lake handle: rows are those of the source, columns may be more."""
        whole = handle_of(self.base, self._credentials)
        return whole if self._rows is None else FrozenLake(whole, self._rows)

    @property
    def are_encoded(self) -> bool:
        """Whether they are files in the lake that can be read in blocks, see `blocks`."""
        return holds_files(self._column) and (self._source.rows is None or self._rows is not None)

    @cached_property
    def by_chunks(self) -> bool:
        """Whether this is a view that is read by the chunks of its lake, wherever its rows lie in them."""
        return self._rows is not None and len(self._table) >= _LEAST_SHARE * int(self._lengths.sum()) > 0

    @cached_property
    def blocks(self) -> RowBlocks:
        """Which rows are fetched together; this depends on the pinned source alone."""
        if self._rows is None or not self.by_chunks:
            return self.guessed_blocks
        return blocks_of_chunks(self._lake_bounds, self._rows)

    @property
    def guessed_blocks(self) -> RowBlocks:
        """Blocks of neighbours, which all views had before it was known which rows of the lake they have."""
        return blocks_between(self.chunk_bounds)

    @cached_property
    def chunk_bounds(self) -> NDArray[np.int64]:
        """First rows of blocks of neighbours, and the number of rows: chunks of a lake, guessed for a view.

        See `chunk_bounds`.
        """
        if not self.are_encoded or self._source.rows is not None:
            return np.array([0, len(self._table)])
        return chunk_bounds(self.handle, self._column.name, self.mean_bytes)

    @cached_property
    def mean_bytes(self) -> float:
        """Mean bytes of an encoded image, told from a few; 0 unless `are_encoded`."""
        return mean_bytes(self.handle, self._column.name) if self.are_encoded else 0.0

    @property
    def chunk_bytes(self) -> int:
        """About how many bytes the longest chunk takes."""
        lengths = self._lengths if self.by_chunks else np.diff(self.chunk_bounds)
        return int(lengths.max(initial=0) * self.mean_bytes)

    @property
    def cached_bytes(self) -> int:
        """About how many bytes all of them take in a cache, with others in the same chunks."""
        count = int(self._lengths.sum()) if self.by_chunks else len(self._table)
        return int(self.mean_bytes * count)

    @property
    def cached_source(self) -> ResolvedSource:
        """What entries of a cache belong to: views that are read by chunks share those of their lake."""
        return self.base if self.by_chunks else self._source

    def ask(self) -> None:
        """Have the lake tell where its chunks begin, once for all processes that this is sent to.

        Raises:
            DeepLakeMMDetError: It cannot be read.
        """
        _ = self.by_chunks, self.chunk_bounds

    def reader(self, cache: ChunkCache | None, *, scattered: bool = False) -> CellReader:
        """The reader of the encoded files, by the fastest way that there is.

        Args:
            cache: Keeps images on a local disk; None for none.
            scattered: Rows are read in random order, see `ChunkCache.cells`.
        """
        whole, rows = self._whole(checked=cache is not None), self._rows
        scattered = cache is not None and scattered and self.cached_bytes > cache.settings.size
        if cache is not None and self.by_chunks:
            whole = CachedCells(cache, self._lake_bounds, whole, scattered=scattered)
        if rows is not None:
            in_chunks = not is_local(self.base.url) and not isinstance(whole, CachedCells)
            whole = SelectedCells(whole, rows, self._lake_bounds if in_chunks else None, self._where)
        if cache is not None and not self.by_chunks:
            return CachedCells(cache, self.chunk_bounds, whole, scattered=scattered)
        return whole

    @cached_property
    def _where(self) -> str:
        return f"lake {self._source}"

    @property
    def _rows(self) -> NDArray[np.int64] | None:
        return self._table.base_rows

    @cached_property
    def _lake_bounds(self) -> NDArray[np.int64]:
        """First rows of the chunks of the whole lake, and its number of rows."""
        if self._rows is None:
            return self.chunk_bounds
        return chunk_bounds(handle_of(self.base, self._credentials), self._column.name, self.mean_bytes)

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        """Rows of each chunk of the whole lake in which rows of this view lie."""
        rows = np.arange(0) if self._rows is None else self._rows
        used = np.unique(np.searchsorted(self._lake_bounds, rows, side="right") - 1)
        lengths: NDArray[np.int64] = np.diff(self._lake_bounds)[used]
        return lengths

    def _whole(self, *, checked: bool) -> CellReader:
        """The reader of the whole lake, without a cache."""
        if (known := self._readers.get(checked)) is not None:
            return known
        base = self.base

        def lake() -> OpenLake:
            return handle_of(base, self._credentials)

        def credentials() -> CredentialRef:
            return newest_credentials(base, self._credentials)

        reader: CellReader = StoredCells(lake, self._column.name, f"lake {base}")
        if self.are_encoded:
            reader = read_directly(reader, lake(), base, self._column.name, credentials, checked=checked)
        return self._readers.setdefault(checked, reader)  # threads share one, and what it has found out

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _PER_PROCESS}
        newest = newest_credentials(self._source, self._credentials)
        return {**state, "_credentials": newest, "_readers": {}}
