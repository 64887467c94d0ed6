"""Reading a remote lake block by block, ahead of the samples that need the blocks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.loading.blocks import BlockMap, Rows
from deeplake_mmdet.loading.resting import to_rest
from deeplake_mmdet.loading.statistics import Statistics

__all__ = ["BlockReader", "blocks_to_read"]

Cell = bytes | ImageError
_CONNECTIONS = 4
_AHEAD = 4  # blocks that may be on their way, or wait for their first use
_MOST_OPEN_BYTES = 512 * 10**6
_USUAL_BYTES = 8 * 10**6  # of a chunk
_LEAST_USE = 0.4  # less than the half that a block has if two ranks share it


def blocks_to_read(blocks: BlockMap, plan: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The blocks of which so many rows are wanted that reading them as a whole beats reading row by row.

    Args:
        blocks: Which block each index lies in.
        plan: Indices in the order in which they will be asked for, shape (n,).

    Returns:
        Block numbers, shape (k,). Empty if more of them would be in use at a time than memory should hold.
    """
    none = np.zeros(0, np.int64)
    if not len(plan) or not blocks.lakes or not all(lake.view.has_encoded_images for lake in blocks.lakes):
        return none
    found, first, counts = np.unique(blocks.ids[plan], return_index=True, return_counts=True)
    last = len(plan) - 1 - np.unique(blocks.ids[plan][::-1], return_index=True)[1]
    held = [blocks.rows_of(int(block)) for block in found]
    rows = np.array([np.inf if each is None else len(each[1]) for each in held])
    chosen = counts >= _LEAST_USE * rows
    changes = np.zeros(len(plan) + 1, np.int64)
    np.add.at(changes, first[chosen], 1)
    np.add.at(changes, last[chosen] + 1, -1)
    most_open = int(np.cumsum(changes).max())
    return found[chosen] if (most_open + _AHEAD) * _USUAL_BYTES <= _MOST_OPEN_BYTES else none


class BlockReader:
    """Images of one pass, by blocks that are fetched in the order of their first use.

    A block is dropped when all rows that the plan wants of it were taken. Rows that the plan does not know,
    such as what Mosaic mixes in, are given if their block is there and left to the caller otherwise.

    Args:
        blocks: Which block each index lies in.
        plan: Indices in the order in which they will be asked for, shape (n,).
        chosen: Numbers of the blocks to read as a whole, from `blocks_to_read`.
        statistics: Counters of the feed.
    """

    def __init__(
        self,
        blocks: BlockMap,
        plan: NDArray[np.integer[Any]],
        chosen: NDArray[np.int64],
        statistics: Statistics,
    ) -> None:
        self._blocks = blocks
        self._statistics = statistics
        ids = blocks.ids[plan]
        ids = ids[np.isin(ids, chosen)]
        found, first, counts = np.unique(ids, return_index=True, return_counts=True)
        self._coming: list[int] = found[np.argsort(first, kind="stable")].tolist()[::-1]
        self._uses: dict[int, int] = dict(zip(found.tolist(), counts.tolist(), strict=True))
        self._open: OrderedDict[int, Future[list[Cell]]] = OrderedDict()
        self._touched: set[int] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="deeplake-mmdet-block")
        to_rest(self)
        self._advance()

    def take(self, wanted: Sequence[tuple[DeepLakeDataset, int]]) -> list[Cell | None]:
        """Images of some rows, waited for.

        Args:
            wanted: Pairs of lake and row number.

        Returns:
            Per pair the encoded image, an error that explains why there is none, or None if its block is not
            read as a whole: then it is for the caller to fetch.

        Raises:
            StorageError: A block could not be fetched.
        """
        places = [self._blocks.of_row(lake, row) for lake, row in wanted]
        with self._lock:
            for block in places:
                if block not in self._uses:
                    continue
                self._touched.add(block)
                if block not in self._open:
                    self._start(block)
            futures = {block: self._open.get(block) for block in places}
            self._advance_locked()
        found: list[Cell | None] = []
        for (_, row), block in zip(wanted, places, strict=True):
            future = futures[block]
            held = self._blocks.rows_of(block)
            found.append(None if future is None or held is None else future.result()[_place(held[1], row)])
        with self._lock:
            for block in places:
                self._count_down(block)
            self._advance_locked()
        return found

    def rest(self) -> None:
        """Wait until no block is on its way. The next ones are not asked for before the next `take`."""
        with self._lock:
            futures = list(self._open.values())
        for future in futures:
            future.exception()

    def close(self) -> None:
        """Drop all blocks and end the threads."""
        with self._lock:
            self._coming.clear()
            self._uses.clear()
        self._threads.shutdown(cancel_futures=True)
        self._open.clear()

    def _count_down(self, block: int) -> None:
        left = self._uses.get(block)
        if left is None:
            return
        if left > 1:
            self._uses[block] = left - 1
        else:
            del self._uses[block]
            self._open.pop(block, None)
            self._touched.discard(block)

    def _advance(self) -> None:
        with self._lock:
            self._advance_locked()

    def _advance_locked(self) -> None:
        while self._coming and sum(block not in self._touched for block in self._open) < _AHEAD:
            block = self._coming.pop()
            if block not in self._open and block in self._uses:
                self._start(block)

    def _start(self, block: int) -> None:
        if self._blocks.rows_of(block) is not None:
            self._open[block] = self._threads.submit(self._fetch, block)

    def _fetch(self, block: int) -> list[Cell]:
        held = self._blocks.rows_of(block)
        assert held is not None
        lake, rows = held
        with self._statistics.timed("fetch", images=len(rows)):
            cells = lake.view.fetch(rows if isinstance(rows, range) else rows.tolist(), together=True)
        self._statistics.add("fetch", bytes=sum(len(cell) for cell in cells if isinstance(cell, bytes)))
        return cells


def _place(rows: Rows, row: int) -> int:
    return row - rows.start if isinstance(rows, range) else int(np.searchsorted(rows, row))
