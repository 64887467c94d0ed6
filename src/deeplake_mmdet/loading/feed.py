"""`Feed`: the outermost dataset of a loader, through which batches are fetched, seeded and made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.registry import DATASETS as ROOT_DATASETS
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.dataset.backend import delivered
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError
from deeplake_mmdet.loading.arena import new_arena
from deeplake_mmdet.loading.block_reader import BlockReader, blocks_to_read
from deeplake_mmdet.loading.cache_fit import check_caches, is_scattered
from deeplake_mmdet.loading.process_settings import keep_freed_memory, set_for_threads
from deeplake_mmdet.loading.reader import TOGETHER, Begun, Delivery, Images, Need, Reader
from deeplake_mmdet.loading.resting import rest_all
from deeplake_mmdet.loading.sampler import Batch, Item, LakeSampler
from deeplake_mmdet.loading.seeding import generators_kept, sample_of, sample_seed
from deeplake_mmdet.loading.statistics import Statistics
from deeplake_mmdet.loading.wrappers import for_every_index, hands_on, lakes_under, leaves_of
from deeplake_mmdet.pipeline.steps import draws_nothing, failed_step, planes_in
from deeplake_mmdet.registry import DATASETS

__all__ = ["Feed"]

_REMOTE_CONNECTIONS = 4
_LEAST_DEPTH = 2


@DATASETS.register_module()
class Feed:
    """Makes whole batches: fetches their images in one call, seeds each sample, works ahead.

    Samples are a function of (seed, pass, index) alone: the same in threads and in worker processes, however
    many, and on however many ranks. Everything else is left to the dataset inside, whose attributes it has.

    With ``threads``, images are decoded, and the leading steps of the pipeline that draw no random numbers
    are run, in threads of this process, ahead of the batch at hand; the other steps follow in the training
    thread, as the generators they draw from are the process's and the model draws from them as well.

    Args:
        dataset: The dataset, usually with wrappers around it: a config or an instance.
        threads: Number of threads that decode ahead, for loaders without worker processes; 0 for none.
        lazy_init: Do not load annotations yet.

    Raises:
        ConfigError: ``threads`` is no whole number from 0.
    """

    is_feed = True

    def __init__(self, dataset: Any, threads: int = 0, lazy_init: bool = False) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
            raise ConfigError(
                f"threads is {threads!r}, not a whole number from 0", where="key 'threads' of the feed"
            )
        keep_freed_memory()  # before Deep Lake has threads
        self.dataset = ROOT_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.threads = threads
        self.seed = 0
        self.statistics = Statistics()
        self._reader: Reader | None = None
        self._reader_process = 0
        self._lakes: list[DeepLakeDataset] | None = None
        self._blocks: BlockReader | None = None
        self._scattered = True
        self._hands_on: bool | None = None
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Load annotations, if that has not been done."""
        if hasattr(self.dataset, "full_init"):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    @property
    def pipeline(self) -> Any:
        """The inner dataset's pipeline; MMDetection's hooks exchange it."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        """See `Feed.pipeline`."""
        self.dataset.pipeline = pipeline

    @property
    def lakes(self) -> list[DeepLakeDataset]:
        """The lakes inside, each once."""
        if self._lakes is None:
            self._lakes = lakes_under(self.dataset)
        return self._lakes

    @property
    def is_remote(self) -> bool:
        """Whether images come over a network."""
        return any(lake.view.reads_network for lake in self.lakes)

    def bind_seed(self, seed: int) -> None:
        """See `Fed.bind_seed`."""
        self.seed = seed

    def suit(self, sampler: LakeSampler, workers: int) -> None:
        """See `Fed.suit`.

        Raises:
            ConfigError: A lake's cache is too small for what is in use at a time.
        """
        self._scattered = is_scattered(self.dataset, sampler.shuffle)
        window = sampler.window if sampler.shuffle == "chunk" else 1
        chunks = max(window, max(workers, self.threads, 1) * sampler.ranks)
        check_caches(self.lakes, chunks, scattered=self._scattered)

    def depth_for(self, batch_size: int) -> int:
        """See `Fed.depth_for`."""
        if not self.threads:
            return _REMOTE_CONNECTIONS if self.is_remote else 0
        pieces = min(self.threads, -(-batch_size // TOGETHER))
        return max(_LEAST_DEPTH, -(-2 * self.threads // pieces))

    def plan(self, sampler: LakeSampler, indices: NDArray[np.integer[Any]]) -> None:
        """See `Fed.plan`. Remote lakes are then read by blocks of neighbouring rows, where that pays off."""
        self._drop_blocks()
        if self.threads and self.is_remote:
            indices = indices[~self._prepared_among(indices)]
            chosen = blocks_to_read(sampler.blocks, indices)
            if len(chosen):
                self._blocks = BlockReader(sampler.blocks, indices, chosen, self.statistics)

    def _prepared_among(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Which of some indices lead to images that need not be fetched, shape (len(indices),)."""
        if all(lake.prepared is None for lake in self.lakes):
            return np.zeros(len(indices), bool)

        def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
            rows = lake.data_list.rows
            return np.zeros(len(rows), bool) if lake.prepared is None else lake.prepared.has(rows)

        found = for_every_index(self.dataset, of_lake, lambda other: np.zeros(len(other), bool))
        there: NDArray[np.bool_] = found.astype(bool)[indices]
        return there

    def announce(self, items: Sequence[Item]) -> None:
        """See `Fed.announce`. Nothing happens for local lakes without threads."""
        if self.threads or self.is_remote:
            self._own_reader().announce(tuple(items), self._needs(items))

    def rest(self) -> None:
        """Wait until no feed of this process reads, as must be before it starts others."""
        rest_all()

    def close(self) -> None:
        """End the threads; the next batch starts them again."""
        if self._reader is not None and self._reader_process == os.getpid():
            self._reader.close()
        self._reader = None
        self._drop_blocks()

    def _drop_blocks(self) -> None:
        if self._reader is not None and self._reader_process == os.getpid():
            self._reader.forget()  # of a pass that was left before its end
        if self._blocks is not None:
            self._blocks.close()
        self._blocks = None

    def __getitem__(self, item: int | Item) -> Any:
        """One sample: by (pass, index), or by index alone with whatever random numbers come."""
        if isinstance(item, tuple):
            return self.__getitems__([item])[0]
        return self.dataset[item]

    def __getitems__(self, items: Sequence[Item]) -> list[Any]:
        """Samples of a batch.

        Args:
            items: (pass, index) pairs.

        Raises:
            StorageError: Images could not be fetched in time.
            ImageError: One cannot be decoded.
            ConfigError: A step of a pipeline fails; told here, for a worker hands over no more than the text.
        """
        try:
            return self._make(items)
        except DeepLakeMMDetError:
            raise
        except Exception as error:  # a step is a program: it may fail in any way
            if (told := failed_step(error)) is None:
                raise
            raise told from error

    def _make(self, items: Sequence[Item]) -> list[Any]:
        in_worker = get_worker_info() is not None
        if in_worker and isinstance(items, Batch) and self.is_remote:
            self._announce_ahead(items.ahead)
        needs, delivery, begun = self._collect(items)
        with contextlib.ExitStack() as about:
            about.enter_context(self.statistics.watching())
            about.enter_context(self.statistics.timed("finish", images=len(items)))
            about.enter_context(delivered(delivery.images, delivery.masks))
            if in_worker and (arena := new_arena()) is not None:
                about.enter_context(planes_in(arena.take))
            begun = begun or [(lake, lake.begin(index)) for lake, index in needs]
            for lake in self.lakes:
                if mine := [start for owner, start in begun if owner is lake]:
                    about.enter_context(lake.head_starts(mine))
            return self._seedless(needs) or self._seeded(items)

    @property
    def _is_lakes_alone(self) -> bool:
        """Whether each sample is one of a lake, as it is."""
        if self._hands_on is None:
            self._hands_on = hands_on(self.dataset)
        return self._hands_on

    def _seedless(self, needs: Sequence[Need]) -> list[Any] | None:
        """All samples, if no step draws random numbers and none is to be drawn again."""
        if not self._is_lakes_alone or not all(draws_nothing(lake.pipeline) for lake in self.lakes):
            return None
        samples = [lake.prepare_data(index) for lake, index in needs]
        return None if any(sample is None for sample in samples) else samples

    def _seeded(self, items: Sequence[Item]) -> list[Any]:
        with contextlib.nullcontext() if get_worker_info() is not None else generators_kept():
            return [self._sample(index, sample_seed(self.seed, pass_, index)) for pass_, index in items]

    def _sample(self, index: int, seed: int) -> Any:
        with sample_of(seed):
            return self.dataset[index]

    def _collect(self, items: Sequence[Item]) -> tuple[Sequence[Need], Delivery, list[Begun]]:
        reader = self._own_reader() if self._reader is not None else None
        with self.statistics.timed("wait", images=len(items)):
            work = None if reader is None else reader.collect(tuple(items))
            if work is None:
                needs = self._needs(items)
                return needs, self.fetch(needs), []
        with self.statistics.timed("begun", images=len(items)):
            return work.needs, work.delivery, work.begun()

    def _announce_ahead(self, batches: Sequence[Sequence[Item]]) -> None:
        reader = self._own_reader()
        for items in batches:
            if not reader.is_announced(tuple(items)):
                reader.announce(tuple(items), self._needs(items))

    def _needs(self, items: Sequence[Item]) -> list[Need]:
        if not self.lakes:
            return []
        if self._is_lakes_alone:  # no seed tells what else a sample needs
            return [need for _, index in items for need in leaves_of(self.dataset, index, 0)]
        return [
            need
            for pass_, index in items
            for need in leaves_of(self.dataset, index, sample_seed(self.seed, pass_, index))
        ]

    def fetch(self, needs: Sequence[Need]) -> Delivery:
        """Fetch what some samples need of their lakes: from the blocks being read, else in one call per lake.

        Args:
            needs: Pairs of lake and index into it. Images that are prepared are not fetched.

        Raises:
            StorageError: Images or masks could not be fetched.
        """
        every = [(lake, int(lake.data_list.rows[index])) for lake, index in needs]
        wanted = [(lake, row) for lake, row in every if lake.prepared is None or not lake.prepared.has(row)]
        delivery = Delivery()
        if self._blocks is not None:
            for (lake, row), cell in zip(wanted, self._blocks.take(wanted), strict=True):
                if cell is not None:
                    delivery.images[lake.view.uri(row)] = cell
        for lake in self.lakes:
            rows = sorted({row for owner, row in wanted if owner is lake})
            at_hand = delivery.images
            missing = [row for row in rows if lake.view.uri(row) not in at_hand] if at_hand else rows
            at_hand.update(self._fetch_rows(lake, missing))
            rows = sorted({row for owner, row in every if owner is lake})
            if rows and lake.mask_loaders:
                found = lake.view.mask_cells(rows)
                delivery.masks.update(
                    (lake.view.uri(row), cell) for row, cell in zip(rows, found, strict=True)
                )
        return delivery

    def _fetch_rows(self, lake: DeepLakeDataset, rows: list[int]) -> Images:
        if not rows:
            return {}
        with self.statistics.timed("fetch", images=len(rows)):
            found = lake.view.fetch(rows, scattered=self._scattered)
        if self.statistics.enabled:
            self.statistics.add("fetch", bytes=sum(len(data) for data in found if isinstance(data, bytes)))
        return {lake.view.uri(row): data for row, data in zip(rows, found, strict=True)}

    def _own_reader(self) -> Reader:
        if self._reader is None or self._reader_process != os.getpid():
            if self.threads:
                set_for_threads()
            self._reader = Reader(
                self.fetch,
                self.statistics,
                threads=0 if get_worker_info() is not None else self.threads,
                connections=_REMOTE_CONNECTIONS if self.is_remote else 1,
            )
            self._reader_process = os.getpid()
        return self._reader

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_blocks": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Feed:
        return self  # MMEngine copies loaders' configs; a feed's threads and lakes are not to be doubled
