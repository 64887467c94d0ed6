"""Blocks: stretches of neighbouring rows that lie in one object of the storage and are fetched together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.loading.wrappers import for_every_index, lakes_under

__all__ = ["BlockMap", "map_blocks"]

Bounds = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BlockMap:
    """Which block every index of a dataset lies in.

    Attributes:
        ids: Block of every index, shape (length of the dataset,), numbered over all lakes; what lies in no
            lake has blocks of one index each, after those.
        lakes: The lakes, in the order of their blocks.
        firsts: Number of each lake's first block, and the number after the last block.
        bounds: First rows of each lake's blocks, and its number of rows.
    """

    ids: NDArray[np.int64]
    lakes: tuple[DeepLakeDataset, ...]
    firsts: tuple[int, ...]
    bounds: tuple[Bounds, ...]

    def of_row(self, lake: DeepLakeDataset, row: int) -> int:
        """Number of the block that a row lies in.

        Args:
            lake: One of ``lakes``.
            row: Row number of the lake.
        """
        place = self.lakes.index(lake)
        return self.firsts[place] + int(np.searchsorted(self.bounds[place], row, side="right")) - 1

    def span(self, block: int) -> tuple[DeepLakeDataset, int, int] | None:
        """The rows of a block.

        Args:
            block: Number of the block.

        Returns:
            Lake, first row and the row after the last; None for the block of an index that lies in no lake.
        """
        if block >= self.firsts[-1]:
            return None
        place = int(np.searchsorted(self.firsts, block, side="right")) - 1
        number = block - self.firsts[place]
        bounds = self.bounds[place]
        return self.lakes[place], int(bounds[number]), int(bounds[number + 1])


def chunks_of(lake: DeepLakeDataset) -> Bounds:
    """Bounds of the chunks that a lake's images lie in.

    Args:
        lake: The lake.

    Returns:
        First row of each chunk, and the number of rows; shape (chunks + 1,), int64.
    """
    bounds: Bounds = lake.view.chunk_bounds
    return bounds


def map_blocks(dataset: Any, bounds_of: Callable[[DeepLakeDataset], Bounds] = chunks_of) -> BlockMap:
    """Number the blocks of a dataset.

    Args:
        dataset: A dataset with any wrappers around it.
        bounds_of: Gives the first row of each block of a lake, and its number of rows; shape (blocks + 1,).
    """
    lakes = tuple(lakes_under(dataset))
    bounds = tuple(bounds_of(lake) for lake in lakes)
    firsts = tuple(np.cumsum([0, *(len(each) - 1 for each in bounds)]).tolist())
    following = firsts[-1]

    def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
        place = lakes.index(lake)
        blocks: NDArray[Any] = np.searchsorted(bounds[place], lake.data_list.rows, side="right") - 1
        numbered: NDArray[Any] = firsts[place] + blocks
        return numbered

    def of_other(other: Any) -> NDArray[Any]:
        nonlocal following
        start, following = following, following + len(other)
        return np.arange(start, following)

    ids = for_every_index(dataset, of_lake, of_other).astype(np.int64)
    return BlockMap(ids, lakes, firsts, bounds)
