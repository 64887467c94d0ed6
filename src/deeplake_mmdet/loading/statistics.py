"""How long each stage of loading takes, counted over all threads and worker processes of a feed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import get_worker_info

__all__ = ["STAGES", "STATISTICS_VARIABLE", "StageTimes", "Statistics"]

STATISTICS_VARIABLE = "DEEPLAKE_MMDET_STATS"
STAGES = ("fetch", "begin", "wait", "finish", "pack")
_NUMBERS = ("seconds", "calls", "images", "bytes", "hits")
_MOST_WORKERS = 256


@dataclass(frozen=True)
class StageTimes:
    """What one stage has done so far.

    Attributes:
        seconds: Wall-clock seconds, summed over threads and processes.
        calls: How often it ran.
        images: Number of images.
        bytes: Encoded bytes.
        hits: Images that were there already (cache, or read with others before).
    """

    seconds: float
    calls: int
    images: int
    bytes: int
    hits: int


class Statistics:
    """Counters of one feed, in memory that its worker processes share. Does nothing unless enabled.

    Args:
        enabled: Count at all; by default what the environment variable ``DEEPLAKE_MMDET_STATS`` says.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        asked = os.environ.get(STATISTICS_VARIABLE, "0") not in ("", "0")
        self.enabled = asked if enabled is None else enabled
        self._counts = torch.zeros(_MOST_WORKERS + 1, len(STAGES), len(_NUMBERS), dtype=torch.float64)
        if self.enabled:
            self._counts.share_memory_()  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def timed(self, stage: str, images: int = 0) -> Iterator[None]:
        """Count the time spent inside, for some images."""
        if not self.enabled:
            yield
            return
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, seconds=time.perf_counter() - start, calls=1, images=images)

    def add(self, stage: str, **numbers: float) -> None:
        """Add to the counters of a stage: seconds, calls, images, bytes, hits."""
        if not self.enabled:
            return
        worker = get_worker_info()
        slot = 0 if worker is None else 1 + worker.id % _MOST_WORKERS
        with self._lock:
            row = self._counts[slot, STAGES.index(stage)]
            for name, number in numbers.items():
                row[_NUMBERS.index(name)] += number

    def read(self) -> dict[str, StageTimes]:
        """All counters so far, by stage."""
        sums = self._counts.sum(0).tolist()
        return {
            stage: StageTimes(row[0], *(int(number) for number in row[1:]))
            for stage, row in zip(STAGES, sums, strict=True)
        }

    def reset(self) -> None:
        """Begin again from zero."""
        self._counts.zero_()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
