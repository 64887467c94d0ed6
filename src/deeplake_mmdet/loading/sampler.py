"""`LakeSampler` and `LakeBatchSampler`: the order of samples, whatever the number of ranks and workers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading.blocks import BlockMap, map_blocks
from deeplake_mmdet.loading.fed import Fed, fed_by
from deeplake_mmdet.loading.lanes import Order, in_stretches
from deeplake_mmdet.loading.order import (
    Batches,
    Stretch,
    count_batches,
    order_of_pass,
    resume_batches,
)
from deeplake_mmdet.loading.sharing import part_of_rank, shares_in_turn, shares_of_rank
from deeplake_mmdet.loading.wrappers import is_upright, lakes_under
from deeplake_mmdet.registry import DATA_SAMPLERS

__all__ = ["Batch", "Item", "LakeBatchSampler", "LakeSampler"]

_log = logging.getLogger("deeplake_mmdet")

Item = tuple[int, int]
SHUFFLES = ("full", "chunk")


class Batch(list[Item]):
    """A batch's (pass, index) pairs, with those of batches that the same process will be asked for next.

    Args:
        items: The pairs of this batch.
        ahead: The pairs of each of the later batches.
    """

    def __init__(self, items: Sequence[Item] = (), ahead: Sequence[list[Item]] = ()) -> None:
        super().__init__(items)
        self.ahead = list(ahead)

    def __reduce__(self) -> Any:
        return Batch, (list(self), self.ahead)


@DATA_SAMPLERS.register_module()
class LakeSampler(Sampler[int]):
    """Order of the samples of each pass: a function of seed and pass alone.

    Used by `LakeBatchSampler`; MMEngine's epoch hook tells it the pass by `set_epoch`.

    Args:
        dataset: The outermost dataset, usually a `Feed`.
        shuffle: ``'full'`` (or True) for any order with equal chance; ``'chunk'`` to keep neighbouring rows
            near each other, so that each stretch of a remote lake is fetched once; False for ascending order.
        seed: Seed of the run; None to draw one, the same on all ranks.
        window: For ``'chunk'``: number of blocks of neighbouring rows to mix. If it is a multiple of the
            number of ranks, each rank reads blocks of its own.
        infinite: Begin the next pass when one ends, for iteration-based training.

    Raises:
        ConfigError: An argument is unknown, or no sample is there to be shuffled.
    """

    def __init__(
        self,
        dataset: Any,
        shuffle: bool | str = True,
        seed: int | None = None,
        window: int = 8,
        infinite: bool = False,
    ) -> None:
        if shuffle is True:
            shuffle = "full"
        if shuffle not in (False, *SHUFFLES):
            raise ConfigError(
                f"shuffle is {shuffle!r}",
                where="config key 'sampler.shuffle'",
                advice="use 'full', 'chunk' or False",
            )
        if not isinstance(window, int) or window < 1:
            raise ConfigError(
                f"window is {window!r}, not a positive whole number", where="config key 'sampler.window'"
            )
        plain = isinstance(seed, Integral) and not isinstance(seed, bool)
        if seed is not None and not (plain and 0 <= int(seed) < 2**63):
            raise ConfigError(
                f"seed is {seed!r}, not a whole number from 0 to 2**63 - 1",
                where="config key 'sampler.seed', or 'randomness.seed'",
            )
        self.dataset = dataset
        self.shuffle = shuffle
        self.window = window
        self.infinite = infinite
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.rank, self.ranks = get_dist_info()
        self.pass_ = 0
        self._blocks: BlockMap | None = None
        self._guessed = False
        self.fed.bind_seed(self.seed)

    @property
    def fed(self) -> Fed:
        """The dataset, as far as it wants to be told what comes."""
        return fed_by(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Set the pass that iteration begins with.

        Args:
            epoch: Number of the pass, from 0.
        """
        self.pass_ = int(epoch)

    def reseed(self, seed: int) -> None:
        """Take another seed, and tell the dataset; to be called before a pass begins.

        Args:
            seed: Seed of the run.
        """
        self.seed = int(seed)
        self.fed.bind_seed(self.seed)

    def order(self, pass_: int) -> Order:
        """The order of all indices in a pass, for all ranks together.

        Args:
            pass_: Number of the pass, from 0.
        """
        blocks = self.blocks.ids if self.shuffle == "chunk" else None
        return order_of_pass(
            len(self.dataset),
            self.seed,
            pass_,
            shuffle=bool(self.shuffle),
            blocks=blocks,
            window=self.window,
        )

    @property
    def blocks(self) -> BlockMap:
        """Blocks of neighbouring rows."""
        if self._blocks is None:
            self._blocks = map_blocks(self.dataset, guessed=self._guessed)
        return self._blocks

    @property
    def has_views_by_chunks(self) -> bool:
        """Whether blocks of a view are the chunks of its lake, and not neighbours in the view."""
        return not self._guessed and any(lake.view.encoded.by_chunks for lake in lakes_under(self.dataset))

    def guess_blocks(self) -> None:
        """Take blocks of views as earlier versions of this package did, to go on with a run of theirs."""
        self._guessed, self._blocks = True, None

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.pass_).indices[self.rank :: self.ranks].tolist())

    def __len__(self) -> int:
        return len(range(self.rank, len(self.dataset), self.ranks))


@DATA_SAMPLERS.register_module()
class LakeBatchSampler(Sampler[list[Item]]):
    """Batches of (pass, index) items, every index once in a pass, over all ranks.

    All ranks get the same number of batches. If the last batch cannot give every rank something, its samples
    go to the batch before. If there is none before, because hardly anything is left of a pass that was begun
    on fewer ranks, some ranks get a sample that another one has as well, and the log says so.

    Args:
        sampler: A `LakeSampler`.
        batch_size: Samples in a batch of one rank.
        drop_last: Leave out a last batch that is not full.
        group_by_aspect: Images of one batch are either all higher than wide, or none is.
        workers: Number of the loader's worker processes.
        even: False, for evaluation, lets some ranks get a batch less instead of joining or repeating.

    Raises:
        ConfigError: ``batch_size`` is no positive whole number, the sampler is of another kind, or a lake's
            cache is too small.
    """

    def __init__(
        self,
        sampler: Any,
        batch_size: int,
        drop_last: bool = False,
        group_by_aspect: bool = False,
        workers: int = 0,
        even: bool = True,
    ) -> None:
        if not isinstance(sampler, LakeSampler):
            raise ConfigError(
                f"LakeBatchSampler needs a LakeSampler, got {type(sampler).__name__}",
                where="config key 'sampler'",
                advice="use dict(type='deeplake_mmdet.LakeSampler'), or fast_loader()",
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(
                f"batch_size is {batch_size!r}, not a positive whole number", where="config key 'batch_size'"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.workers = workers
        self.even = even
        self._groups = is_upright(sampler.dataset) if group_by_aspect else None
        sampler.fed.suit(sampler, workers)
        self._done: list[Stretch] = []
        self._done_pass = 0
        self._repeated = False
        self._cut: tuple[Any, Batches, int] | None = None

    @property
    def total_size(self) -> int:
        """Samples in a batch of all ranks together."""
        ranks: int = self.sampler.ranks
        return self.batch_size * ranks

    @property
    def least(self) -> int:
        """A last batch with fewer samples is joined to the one before."""
        ranks: int = self.sampler.ranks
        return ranks if self.even else 1

    @property
    def rules(self) -> dict[str, Any]:
        """What the order of a pass depends on, beside the seed and the dataset."""
        window = self.sampler.window if self.sampler.shuffle == "chunk" else None
        return {
            "shuffle": self.sampler.shuffle,
            "mixing": None if window is None else "lanes",  # another name for each other way to mix
            "window": window,
            "views": None if window is None or not self.sampler.has_views_by_chunks else "chunks of the lake",
            "group_by_aspect": self._groups is not None,
        }

    def position(self, pass_: int, batches: int) -> dict[str, Any]:
        """Where a run stands, for a checkpoint.

        Args:
            pass_: Number of the pass.
            batches: How many batches of it have been used, those before a resume included.

        Returns:
            ``pass``, and ``done``: for each stretch of batches of one size the samples in a batch of all
            ranks, the number of batches, and `least` as it was then.
        """
        done = [list(stretch) for stretch in self._done] if pass_ == self._done_pass else []
        batches -= sum(stretch[1] for stretch in done)
        if done and (done[-1][0], done[-1][2]) == (self.total_size, self.least):
            done[-1][1] += batches
        else:
            done.append([self.total_size, batches, self.least])
        return {"pass": pass_, "done": done}

    def go_to(self, position: dict[str, Any]) -> None:
        """Go on at a position, which may come from another number of ranks and another batch size.

        Args:
            position: From `position`.
        """
        self._done_pass = int(position["pass"])
        self._done = [(int(size), int(count), int(least)) for size, count, least in position["done"] if count]
        self.sampler.set_epoch(self._done_pass)
        self._cut = None

    @property
    def used(self) -> int:
        """Batches of the sampler's present pass that were used before a resume."""
        return sum(stretch[1] for stretch in self._done_now(self.sampler.pass_))

    def locate(self, pass_: int, batches: int) -> tuple[int, int]:
        """Where endless passes stand after some batches.

        Args:
            pass_: Number of the pass that counting began with.
            batches: How many batches have been used since the beginning of that pass.

        Returns:
            Number of the present pass, and how many of its batches have been used.
        """
        while length := self._count(self._done_now(pass_)):
            if batches < length:
                break
            turns = 1 if pass_ == self._done_pass else batches // length
            pass_, batches = pass_ + turns, batches - turns * length
        return pass_, batches

    @property
    def full_length(self) -> int:
        """Batches of a pass without interruption."""
        return self._count(())

    def _count(self, done: Sequence[Stretch]) -> int:
        options: dict[str, Any] = {"least": self.least, "drop_last": self.drop_last}
        return count_batches(len(self.sampler.dataset), done, self.total_size, **options)

    def __len__(self) -> int:
        """Batches of this rank in the present pass, those used before a resume included."""
        batches, skip = self._batches(self.sampler.pass_)
        count = len(batches)
        if count:
            last = part_of_rank(batches, count - 1, self.sampler.rank, self.sampler.ranks)
            count -= not self._filled(last.tolist(), batches, count - 1)
        return count - skip + self.used

    def __iter__(self) -> Iterator[Batch]:
        if self.workers:
            self.sampler.fed.rest()  # worker processes are started right after this
        return self._stream(self.sampler.pass_)

    def _stream(self, pass_: int) -> Iterator[Batch]:
        fed = self.sampler.fed
        # In worker processes, only images that come over a network are fetched ahead.
        told = self.workers if fed.is_remote else 0
        depth = told * 2 if self.workers else fed.depth_for(self.batch_size)
        coming: deque[Batch] = deque()
        source = self._of_rank(pass_)
        while True:
            while len(coming) <= depth and (batch := next(source, None)) is not None:
                coming.append(batch)
                if not self.workers:
                    fed.announce(batch)
            if not coming:
                return
            batch = coming.popleft()
            if told:
                batch.ahead = [list(later) for later in list(coming)[told - 1 :: told]]
            yield batch

    def _of_rank(self, pass_: int) -> Iterator[Batch]:
        while True:
            batches, skip = self._batches(pass_)
            rank, ranks = self.sampler.rank, self.sampler.ranks
            if not self.workers:
                self.sampler.fed.plan(self.sampler, shares_of_rank(batches, skip, rank, ranks))
            for number, share in enumerate(shares_in_turn(batches, skip, rank, ranks), skip):
                if share := self._filled(share, batches, number):
                    yield Batch([(pass_, index) for index in share])
            if not self.sampler.infinite or not (len(batches) or self._done_now(pass_)):
                return
            pass_ += 1

    def _filled(self, share: list[int], batches: Batches, number: int) -> list[int]:
        """A share; or one sample of the whole batch, if there is nothing in it and something has to be."""
        if share or not self.even:
            return share
        batch = batches[number]
        if not self._repeated:
            self._repeated = True
            _log.warning(
                f"{len(batch)} samples are left for {self.sampler.ranks} ranks: some get one of them again"
            )
        return [int(batch[self.sampler.rank % len(batch)])]

    def _order(self, pass_: int) -> Order:
        if self.even or self.sampler.shuffle:
            return self.sampler.order(pass_)
        # Each rank evaluates neighbours, so that it reads a remote lake's chunks of its own.
        return in_stretches(len(self.sampler.dataset), self.sampler.ranks)

    def _done_now(self, pass_: int) -> list[Stretch]:
        return self._done if pass_ == self._done_pass else []

    def _batches(self, pass_: int) -> tuple[Batches, int]:
        done = self._done_now(pass_)
        key = pass_, tuple(done), len(self.sampler.dataset)
        if self._cut is None or self._cut[0] != key:
            options: dict[str, Any] = {"groups": self._groups, "drop_last": self.drop_last}
            options["least"] = self.least
            order = self._order(pass_)
            batches, skip = resume_batches(order.indices, done, self.total_size, **options)
            self._cut = key, replace(batches, lanes=order.lanes), skip
        return self._cut[1], self._cut[2]
