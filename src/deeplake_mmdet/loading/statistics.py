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

from deeplake_mmdet.pipeline.steps import watched

__all__ = ["STAGES", "STATISTICS_VARIABLE", "StageTimes", "Statistics", "is_asked_for", "pack_timed"]

STATISTICS_VARIABLE = "DEEPLAKE_MMDET_STATS"
# fetch: reading from the lake or its cache, in whatever thread. begin: the threads' part of a sample.
# decode: loading images, within begin or finish. prepared: the same, of images that are at hand in pixels.
# wait: until a batch's images are there. begun: until the threads have done their part. finish: the rest of
# the pipeline. pack: collating, and leaving a worker.
STAGES = ("fetch", "begin", "decode", "prepared", "wait", "begun", "finish", "pack")
_NUMBERS = ("seconds", "cpu", "calls", "images", "bytes", "hits")
_MOST_WORKERS = 256
_NOTHING = contextlib.nullcontext()


@dataclass(frozen=True)
class StageTimes:
    """What one stage has done so far.

    Attributes:
        seconds: Wall-clock seconds, summed over threads and processes.
        cpu: Seconds of CPU time of those threads; Deep Lake's own threads not included.
        calls: How often it ran.
        images: Number of images.
        bytes: Encoded bytes.
        hits: Of ``wait``: batches of which everything was ready when they were asked for.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    calls: int = 0
    images: int = 0
    bytes: int = 0
    hits: int = 0


def is_asked_for() -> bool:
    """Whether the environment variable ``DEEPLAKE_MMDET_STATS`` asks for counting."""
    return os.environ.get(STATISTICS_VARIABLE, "0") not in ("", "0")


class Statistics:
    """Counters of one feed, in memory that its worker processes share. Does nothing unless enabled.

    Args:
        enabled: Count at all; by default what the environment variable ``DEEPLAKE_MMDET_STATS`` says.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = is_asked_for() if enabled is None else enabled
        self._counts = torch.zeros(_MOST_WORKERS + 1, len(STAGES), len(_NUMBERS), dtype=torch.float64)
        if self.enabled:
            self._counts.share_memory_()  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()

    def timed(self, stage: str, images: int = 0) -> contextlib.AbstractContextManager[None]:
        """Count the time that the block takes.

        Args:
            stage: One of ``STAGES``.
            images: Number of images that the block handles.
        """
        return self._timed(stage, images) if self.enabled else _NOTHING

    @contextlib.contextmanager
    def _timed(self, stage: str, images: int) -> Iterator[None]:
        start, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            seconds, cpu = time.perf_counter() - start, time.thread_time() - cpu
            self.add(stage, seconds=seconds, cpu=cpu, calls=1, images=images)

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """Count the decoding of images in the block as ``decode``, and from now on the packing of batches."""
        if not self.enabled:
            return _NOTHING
        global _packing
        _packing = self
        return watched(self._note)

    def _note(self, stage: str | None, seconds: float, cpu: float) -> None:
        if stage is not None:
            self.add(stage, seconds=seconds, cpu=cpu, calls=1, images=1)

    def add(self, stage: str, **numbers: float) -> None:
        """Add to the counters of a stage.

        Args:
            stage: One of ``STAGES``.
            numbers: By name: ``seconds``, ``cpu`` (seconds), ``calls``, ``images``, ``bytes``, ``hits``.
        """
        if not self.enabled:
            return
        worker = get_worker_info()
        slot = 0 if worker is None else 1 + worker.id % _MOST_WORKERS
        with self._lock:
            row = self._counts.numpy()[slot, STAGES.index(stage)]
            for name, number in numbers.items():
                row[_NUMBERS.index(name)] += number

    def read(self) -> dict[str, StageTimes]:
        """All counters so far, by stage."""
        sums = self._counts.sum(0).tolist()
        return {
            stage: StageTimes(*row[:2], *(int(number) for number in row[2:]))
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


_packing: Statistics | None = None


def pack_timed(images: int = 0) -> contextlib.AbstractContextManager[None]:
    """Count the time of the block as ``pack``, for the feed for which this process has made samples last.

    Args:
        images: Number of images in the batch.
    """
    return _NOTHING if _packing is None else _packing.timed("pack", images=images)
