"""Blocks: rows that lie in one object of the storage and are fetched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.lake import RowBlocks
from deeplake_mmdet.loading.wrappers import for_every_index, lakes_under

__all__ = ["BlockMap", "Rows", "map_blocks"]

Rows = range | NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class BlockMap:
    """Which block every index of a dataset lies in.

    Attributes:
        ids: Block of every index, shape (length of the dataset,), numbered over all lakes; what lies in no
            lake has blocks of one index each, after those.
        lakes: The lakes, in the order of their blocks.
        firsts: Number of each lake's first block, and the number after the last block.
        blocks: Each lake's blocks.
    """

    ids: NDArray[np.int64]
    lakes: tuple[DeepLakeDataset, ...]
    firsts: tuple[int, ...]
    blocks: tuple[RowBlocks, ...]

    def of_row(self, lake: DeepLakeDataset, row: int) -> int:
        """Number of the block that a row lies in.

        Args:
            lake: One of ``lakes``.
            row: Row number of the lake.
        """
        place = self.lakes.index(lake)
        return self.firsts[place] + int(self.blocks[place].of([row])[0])

    def rows_of(self, block: int) -> tuple[DeepLakeDataset, Rows] | None:
        """The rows of a block.

        Args:
            block: Number of the block.

        Returns:
            Lake and rows, ascending; None for the block of an index that lies in no lake.
        """
        if block >= self.firsts[-1]:
            return None
        place = int(np.searchsorted(self.firsts, block, side="right")) - 1
        return self.lakes[place], self.blocks[place].rows_of(block - self.firsts[place])


def map_blocks(dataset: Any, *, guessed: bool = False) -> BlockMap:
    """Number the blocks of a dataset.

    Args:
        dataset: A dataset with any wrappers around it.
        guessed: Take the blocks of views that earlier versions of this package took.
    """
    lakes = tuple(lakes_under(dataset))
    views = [lake.view.encoded for lake in lakes]
    blocks = tuple(view.guessed_blocks if guessed else view.blocks for view in views)
    firsts = tuple(np.cumsum([0, *map(len, blocks)]).tolist())
    following = firsts[-1]

    def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
        place = lakes.index(lake)
        numbered: NDArray[Any] = firsts[place] + blocks[place].of(lake.data_list.rows)
        return numbered

    def of_other(other: Any) -> NDArray[Any]:
        nonlocal following
        start, following = following, following + len(other)
        return np.arange(start, following)

    ids = for_every_index(dataset, of_lake, of_other).astype(np.int64)
    return BlockMap(ids, lakes, firsts, blocks)
