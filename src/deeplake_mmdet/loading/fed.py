"""What a sampler says to the dataset whose batches it deals out: the `Feed`, or any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from deeplake_mmdet.loading.sampler import Item, LakeSampler

__all__ = ["Fed", "fed_by"]


class Fed(Protocol):
    """A dataset that is told beforehand what it will be asked for."""

    @property
    def is_remote(self) -> bool:
        """Whether images come over a network."""

    def bind_seed(self, seed: int) -> None:
        """Take the sampler's seed; called before workers are started.

        Args:
            seed: Seed of the run, from which the seed of each sample is derived.
        """

    def suit(self, sampler: LakeSampler, workers: int) -> None:
        """Learn the order and the number of worker processes; called before anything is read.

        Args:
            sampler: The sampler, with its shuffling, window and number of ranks.
            workers: Number of worker processes of the loader; 0 for none.
        """

    def depth_for(self, batch_size: int) -> int:
        """How many batches are to be announced before they are needed.

        Args:
            batch_size: Samples in a batch of one rank, from 1.
        """

    def plan(self, sampler: LakeSampler, indices: NDArray[np.integer[Any]]) -> None:
        """Learn the indices of a pass; called when it begins, if there are no worker processes.

        Args:
            sampler: The sampler.
            indices: All that this rank will be asked for, in that order, shape (n,).
        """

    def announce(self, items: Sequence[Item]) -> None:
        """Begin to work for a batch that will be asked for later.

        Args:
            items: (pass, index) pairs of the batch.
        """

    def rest(self) -> None:
        """Wait until nothing of this process reads."""


class _Untold:
    """Stands for a dataset that is not a feed: nothing is to be told to it."""

    is_remote = False

    def bind_seed(self, seed: int) -> None: ...

    def suit(self, sampler: LakeSampler, workers: int) -> None: ...

    def depth_for(self, batch_size: int) -> int:
        return 0

    def plan(self, sampler: LakeSampler, indices: NDArray[np.integer[Any]]) -> None: ...

    def announce(self, items: Sequence[Item]) -> None: ...

    def rest(self) -> None: ...


def fed_by(dataset: Any) -> Fed:
    """A sampler's dataset as a feed; one that is none gets a stand-in that ignores everything told to it.

    Args:
        dataset: Any dataset. One that MMEngine's ``num_batch_per_epoch`` cuts short counts as the one inside.
    """
    fed: Fed = dataset if getattr(dataset, "is_feed", False) else _Untold()
    return fed
