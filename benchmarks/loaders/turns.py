"""Our loader and the limits of the machine in turns of a second: its speed drifts by half within minutes."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from loaders.built import build_loader, endless, set_up
from loaders.limits import decoding, stages_of
from loaders.window import cpu_seconds, pin, processes

__all__ = ["measure_in_turns"]

_WARM_UP = 60
_BATCHES = 120
# What may lie ready when a turn begins, and would come for nothing.
_READY = 10
# Until all that the loader makes ahead is made, and leaves the cores alone.
_REST = 0.2


def measure_in_turns(spec: dict[str, Any]) -> dict[str, Any]:
    """Time our loader, and beside it what the cores do at best, all cores at once.

    Args:
        spec: As for any of our loaders, and ``set``, ``limit`` ('decode' or 'stages'), ``count`` (images of
            one measurement of the limit) and ``turns``.

    Returns:
        ``turns``: for each, ``rate`` of the loader, ``limit`` (both in images per second on all cores) and
        ``cpu``, CPU seconds of the loader for an image. ``rate``: its median.
    """
    with _limits(spec) as limit:
        batches = endless(build_loader(spec))
        for _ in range(_WARM_UP):
            next(batches)
        others = set(limit.pids)
        loader = [process for process in processes() if process not in others]
        turns = []
        before = limit()
        for _ in range(spec["turns"]):
            for _ in range(_READY):
                next(batches)
            start, used = time.perf_counter(), cpu_seconds(loader)
            images = sum(len(next(batches)["inputs"]) for _ in range(_BATCHES))
            seconds, used = time.perf_counter() - start, cpu_seconds(loader) - used
            after = limit()
            turns.append({"rate": images / seconds, "cpu": used / images, "limit": (before + after) / 2})
            before = after
        return {"turns": turns, "rate": statistics.median(turn["rate"] for turn in turns)}


class _Machine:
    """Processes, one on each core, that measure a limit at the same time when called."""

    def __init__(self, asked: list[Connection], pids: list[int]) -> None:
        self._asked = asked
        self.pids = pids

    def __call__(self) -> float:
        time.sleep(_REST)
        for one in self._asked:
            one.send(True)
        return sum(float(one.recv()) for one in self._asked)


@contextmanager
def _limits(spec: dict[str, Any]) -> Iterator[_Machine]:
    context = multiprocessing.get_context("spawn")
    asked, running = [], []
    for core in spec["cores"]:
        here, there = context.Pipe()
        process = context.Process(target=_answer, args=(there, spec, core), daemon=True)
        process.start()
        there.close()
        asked.append(here)
        running.append(process)
    try:
        yield _Machine(asked, [process.pid or 0 for process in running])
    finally:
        for process in running:
            process.terminate()


def _limit(spec: dict[str, Any]) -> Callable[[], float]:
    if spec["limit"] == "decode":
        return decoding(spec)
    stages = stages_of(spec)
    return lambda: 1 / sum(stages().values())


def _answer(asked: Connection, spec: dict[str, Any], core: int) -> None:
    pin([core])
    set_up()
    limit = _limit(spec)
    while asked.recv():
        asked.send(limit())
