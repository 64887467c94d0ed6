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
        """Take the sampler's seed; before workers are started."""

    def suit(self, sampler: LakeSampler, workers: int) -> None:
        """Get to know the order, and the number of worker processes, before anything is read."""

    def depth_for(self, batch_size: int) -> int:
        """How many batches are to be announced before they are needed."""

    def plan(self, sampler: LakeSampler, indices: NDArray[np.integer[Any]]) -> None:
        """Get to know a pass: all indices that this process will be asked for, in that order."""

    def announce(self, items: Sequence[Item]) -> None:
        """Work for a batch that will be asked for later."""

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
    """The feed that a sampler's dataset is, also one that MMEngine cut short; else one that ignores all.

    Args:
        dataset: Any dataset; MMEngine's cut-short ones pass on the attributes of the one inside.
    """
    fed: Fed = dataset if getattr(dataset, "is_feed", False) else _Untold()
    return fed
