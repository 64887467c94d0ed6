"""How all are timed: batches after a warm-up, or whole passes. Standard library only, for the peers."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Window",
    "cpu_seconds",
    "pin",
    "private_mb",
    "processes",
    "served",
    "time_passes",
    "time_window",
]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Window:
    """How long to look.

    Attributes:
        warm_up: Batches before the clock starts.
        batches: The least number of batches to time.
        seconds: The least time; the window ends when both are reached.
        passes: Time so many whole passes instead, each past its warm-up.
        first: Stop at the first batch.
    """

    warm_up: int = 30
    batches: int = 300
    seconds: float = 10.0
    passes: int = 0
    first: bool = False


def pin(cores: list[int] | None) -> None:
    """Keep this process, and what it starts, on some cores; to be called before any thread is made."""
    if cores:
        os.sched_setaffinity(0, set(cores))


def time_window(
    open_pass: Callable[[int], Iterable[Any]], size: Callable[[Any], int], window: Window
) -> dict[str, Any]:
    """Time batches in a row, over as many passes as they take.

    Args:
        open_pass: Gives the batches of a pass, by its number.
        size: Number of images of a batch.
        window: How long.

    Returns:
        ``images``, ``seconds``, ``rate`` (images per second), ``first`` (seconds to the first batch),
        ``cpu`` (CPU seconds of this process and its children in the window) and ``private_mb``, the private
        memory of each of them at its end, this process first.
    """
    opened = time.perf_counter()
    images = batches = 0
    first = start = cpu = 0.0
    number = 0
    while True:
        before = batches
        for batch in open_pass(number):
            batches += 1
            if batches == 1:
                first = time.perf_counter() - opened
                if window.first:
                    return {"first": first}
            if batches == window.warm_up:
                start, cpu = time.perf_counter(), cpu_seconds()
            if batches <= window.warm_up:
                continue
            images += size(batch)
            seconds = time.perf_counter() - start
            if seconds >= window.seconds and batches - window.warm_up >= window.batches:
                used = cpu_seconds() - cpu
                return {
                    "images": images,
                    "seconds": seconds,
                    "rate": images / seconds,
                    "first": first,
                    "cpu": used,
                    "private_mb": private_mb(),
                }
        if batches == before:
            raise RuntimeError(f"pass {number} gave no batch")
        number += 1


def time_passes(
    open_pass: Callable[[int], Iterable[Any]],
    size: Callable[[Any], int],
    window: Window,
    server: str | None,
) -> dict[str, Any]:
    """Time whole passes, one by one.

    Returns:
        ``passes``: for each its ``images`` in all, ``rate`` and ``cpu`` (seconds for an image) past the
        warm-up, ``first`` (seconds to the first batch), ``whole`` (seconds from the first call to the last
        batch) and, with a server, what it ``served`` meanwhile (requests, bytes). Beside it ``rate``,
        ``cpu`` and ``images`` of the first pass, as `time_window` has them, for one image.
    """
    found = []
    for number in range(window.passes):
        before = served(server)
        opened = time.perf_counter()
        images = skipped = 0
        first = start = cpu = 0.0
        for batches, batch in enumerate(open_pass(number), 1):
            images += size(batch)
            if batches == 1:
                first = time.perf_counter() - opened
            if batches == window.warm_up:
                start, skipped, cpu = time.perf_counter(), images, cpu_seconds()
        now, used = time.perf_counter(), cpu_seconds() - cpu
        after = served(server)
        found.append(
            {
                "images": images,
                "rate": (images - skipped) / (now - start),
                "cpu": used / (images - skipped),
                "first": first,
                "whole": now - opened,
                "served": {key: after[key] - before[key] for key in after},
            }
        )
    one = {"images": 1, "rate": found[0]["rate"], "cpu": found[0]["cpu"]}
    return {"passes": found, **one, "private_mb": private_mb()}


def served(server: str | None) -> dict[str, int]:
    """Requests and bytes that a server of ``s3_server.py`` has served; nothing without one."""
    if server is None:
        return {}
    with urllib.request.urlopen(f"{server}/-/counts", timeout=30) as response:
        counts = json.loads(response.read())
    return {"requests": counts["requests"], "bytes": counts["sent"]}


def processes() -> list[int]:
    """This process and all below it."""
    found, open_ones = [], [os.getpid()]
    while open_ones:
        pid = open_ones.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                open_ones += map(int, task.read_text().split())
            except OSError:
                continue  # it has just ended
    return found


def cpu_seconds(of: Iterable[int] | None = None) -> float:
    """CPU seconds of some processes; of `processes` by default."""
    total = 0.0
    for pid in processes() if of is None else of:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # User and system time, also of children that have ended.
        total += sum(map(int, fields[11:15])) / _TICKS
    return total


def private_mb(of: Iterable[int] | None = None) -> list[float]:
    """Private memory of each of them."""
    found = []
    for pid in processes() if of is None else of:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        private = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        found.append(round(private / 1024, 1))
    return found
