"""Reading ahead: images of announced batches are fetched, and begun, while others are in use."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.dataset import DeepLakeDataset, HeadStart
from deeplake_mmdet.dataset.backend import delivered
from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.loading.resting import to_rest
from deeplake_mmdet.loading.statistics import Statistics

__all__ = ["TOGETHER", "Begun", "Delivery", "Images", "Need", "Reader", "Work"]

Need = tuple[DeepLakeDataset, int]
Begun = tuple[DeepLakeDataset, HeadStart]
Images = dict[str, "bytes | ImageError"]


# Images that a thread is given at a time, at least: waking it costs some hundredths of decoding one.
TOGETHER = 2


@dataclass(frozen=True)
class Delivery:
    """What was fetched for some samples, by the address of their image.

    Attributes:
        images: Encoded images, or why there is none.
        masks: Mask cells, of lakes whose pipeline loads masks.
    """

    images: Images = field(default_factory=dict)
    masks: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Work:
    """What is done beforehand for one batch.

    Attributes:
        needs: The samples of lakes that the batch asks for.
        delivery: What was got for them, once ``fetched``.
        pieces: Their head starts, if the reader makes any, some in each, once ``made``; without those that
            failed.
        left: How many pieces are not made yet.
        error: Why there is nothing.
    """

    needs: Sequence[Need]
    delivery: Delivery = field(default_factory=Delivery)
    pieces: list[list[Begun]] = field(default_factory=list)
    fetched: threading.Event = field(default_factory=threading.Event)
    made: threading.Event = field(default_factory=threading.Event)
    left: int = 0
    error: BaseException | None = None

    def begun(self) -> list[Begun]:
        """All head starts, in the order of ``needs``; waited for."""
        self.made.wait()
        if self.error is not None:
            raise self.error
        return [begun for piece in self.pieces for begun in piece]


class Reader:
    """Threads of one process that work for batches announced to it.

    Nothing is in flight while nothing is announced; `rest` waits for that. Each process makes its own.

    Args:
        fetch: Gets what some samples need of their lakes.
        statistics: Counters.
        threads: Threads that decode and run the deterministic steps; with 0 images are only fetched.
        connections: Threads that fetch.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[Need]], Delivery],
        statistics: Statistics,
        *,
        threads: int,
        connections: int = 1,
    ) -> None:
        self._fetch = fetch
        self._statistics = statistics
        self._fetchers = ThreadPoolExecutor(connections, thread_name_prefix="deeplake-mmdet-fetch")
        self._threads = threads
        self._beginners = (
            ThreadPoolExecutor(threads, thread_name_prefix="deeplake-mmdet-begin") if threads else None
        )
        self._lock = threading.Lock()
        self._pending: dict[tuple[object, ...], list[Work]] = {}
        self._all: set[Work] = set()
        to_rest(self)

    @property
    def waiting(self) -> int:
        """How many announced batches have not been collected."""
        return sum(map(len, self._pending.values()))

    def announce(self, key: tuple[object, ...], needs: Sequence[Need]) -> None:
        """Begin to work for a batch.

        Args:
            key: What the batch will be collected under: its (pass, index) pairs. It may be announced twice.
            needs: Pairs of lake and index into it.
        """
        work = Work(needs)
        self._pending.setdefault(key, []).append(work)
        self._all.add(work)
        self._fetchers.submit(self._get, work)

    def is_announced(self, key: tuple[object, ...]) -> bool:
        """Whether a batch was announced and not collected yet.

        Args:
            key: The key that was given to `announce`.
        """
        return key in self._pending

    def collect(self, key: tuple[object, ...]) -> Work | None:
        """What was done for a batch, once its images are there.

        Args:
            key: The key that was given to `announce`.

        Returns:
            None if it was not announced, or was collected already.

        Raises:
            StorageError: The images could not be fetched.
        """
        works = self._pending.get(key)
        if not works:
            return None
        work = works.pop(0)
        if not works:
            del self._pending[key]
        if work.made.is_set():
            self._statistics.add("wait", hits=1)
        work.fetched.wait()
        self._all.discard(work)
        if work.error is not None:
            raise work.error
        return work

    def rest(self) -> None:
        """Wait until nothing is under way."""
        for work in list(self._all):
            work.made.wait()

    def forget(self) -> None:
        """Drop what was announced and not collected."""
        self._pending.clear()
        self.rest()
        self._all.clear()

    def close(self) -> None:
        """Forget everything and end the threads."""
        self.forget()
        self._fetchers.shutdown()
        if self._beginners is not None:
            self._beginners.shutdown()

    def _get(self, work: Work) -> None:
        try:
            work.delivery = self._fetch(work.needs)
            if self._beginners is None or not work.needs:
                work.made.set()
            else:
                size = max(TOGETHER, -(-len(work.needs) // self._threads))
                firsts = range(0, len(work.needs), size)
                work.pieces, work.left = [[] for _ in firsts], len(firsts)
                for piece, first in zip(work.pieces, firsts, strict=True):
                    self._beginners.submit(self._begin, work, piece, work.needs[first : first + size])
        except BaseException as error:
            work.error = error
            work.made.set()
        finally:
            work.fetched.set()

    def _begin(self, work: Work, piece: list[Begun], needs: Sequence[Need]) -> None:
        timed = self._statistics.timed
        # What goes wrong goes wrong once more in the training thread, where on_error is heeded.
        failing = contextlib.suppress(Exception)
        begun = []
        try:
            with self._statistics.watching(), delivered(work.delivery.images, work.delivery.masks):
                # All data-infos, then all images: what Python runs is out of the core's cache after an image.
                for lake, index in needs:
                    with failing, timed("begin"):
                        begun.append((lake, lake.begin(index)))
                for lake, start in begun:
                    with failing, timed("begin", images=1):
                        piece.append((lake, lake.go_on(start)))
        finally:
            with self._lock:
                work.left -= 1
                last = not work.left
            if last:  # whoever waits is woken once
                work.made.set()
