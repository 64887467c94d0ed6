"""Reading ahead: images of announced batches are fetched, and begun, while others are in use."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.backend import delivered
from deeplake_mmdet.dataset import DeepLakeDataset, HeadStart
from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.loading.resting import to_rest
from deeplake_mmdet.loading.statistics import Statistics

__all__ = ["TOGETHER", "Begun", "Delivery", "Images", "Need", "Reader", "Work"]

Need = tuple[DeepLakeDataset, int]
Begun = tuple[DeepLakeDataset, HeadStart]
Images = dict[str, "bytes | ImageError"]


# Images that a thread is given at a time: waking it costs some hundredths of decoding one.
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
    """What was done beforehand for one batch.

    Attributes:
        needs: The samples of lakes that the batch asks for.
        delivery: What was got for them, once ``fetched``.
        begun: Their head starts, if the reader makes any, some in each; without those that failed.
    """

    needs: Sequence[Need]
    delivery: Delivery = field(default_factory=Delivery)
    begun: list[Future[list[Begun]]] = field(default_factory=list)
    fetched: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


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
        self._beginners = (
            ThreadPoolExecutor(threads, thread_name_prefix="deeplake-mmdet-begin") if threads else None
        )
        self._pending: dict[tuple[object, ...], list[Work]] = {}
        self._all: set[Work] = set()
        to_rest(self)

    @property
    def waiting(self) -> int:
        """How many announced batches have not been collected."""
        return sum(map(len, self._pending.values()))

    def announce(self, key: tuple[object, ...], needs: Sequence[Need]) -> None:
        """Begin to work for a batch that will be collected under ``key``."""
        work = Work(needs)
        self._pending.setdefault(key, []).append(work)
        self._all.add(work)
        self._fetchers.submit(self._get, work)

    def is_announced(self, key: tuple[object, ...]) -> bool:
        """Whether such a batch waits to be collected."""
        return key in self._pending

    def collect(self, key: tuple[object, ...]) -> Work | None:
        """What was done for a batch, once its images are there; None if it was not announced.

        Raises:
            StorageError: The images could not be fetched.
        """
        works = self._pending.get(key)
        if not works:
            return None
        work = works.pop(0)
        if not works:
            del self._pending[key]
        if work.fetched.is_set() and all(start.done() for start in work.begun):
            self._statistics.add("wait", hits=1)
        work.fetched.wait()
        self._all.discard(work)
        if work.error is not None:
            raise work.error
        return work

    def rest(self) -> None:
        """Wait until nothing is under way."""
        for work in list(self._all):
            work.fetched.wait()
            wait(work.begun)

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
            if self._beginners is not None:
                work.begun = [
                    self._beginners.submit(self._begin, work.needs[first : first + TOGETHER], work.delivery)
                    for first in range(0, len(work.needs), TOGETHER)
                ]
        except BaseException as error:
            work.error = error
        finally:
            work.fetched.set()

    def _begin(self, needs: Sequence[Need], delivery: Delivery) -> list[Begun]:
        found = []
        statistics = self._statistics
        with statistics.watching(), delivered(delivery.images, delivery.masks):
            for lake, index in needs:
                # What goes wrong goes wrong once more in the training thread, where on_error is heeded.
                with contextlib.suppress(Exception), statistics.timed("begin", images=1):
                    found.append((lake, lake.begin(index)))
        return found
