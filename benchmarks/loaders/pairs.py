"""Our loader on a lake in a folder and on the same lake behind a server, in turns within one process.

The machine's speed drifts by half within minutes, and two fresh processes differ by more than what is looked
for here. Both loaders stay in the middle of their passes while the other has its turn.
"""

from __future__ import annotations

import time
from typing import Any

from loaders.built import build_loader, endless
from loaders.window import Window, cpu_seconds, served

__all__ = ["measure_pairs"]

# Until all that a loader makes ahead is made, and leaves the core alone.
_REST = 0.6


def measure_pairs(spec: dict[str, Any]) -> dict[str, Any]:
    """Time both loaders in turns, each first in every second pair.

    Args:
        spec: As for any of our loaders, and ``near`` (the folder of the lake) and ``pairs``. The ``warm_up``
            of its ``window`` is the number of batches that a turn begins with before its clock starts: what
            was read ahead when the other's turn began comes for nothing.

    Returns:
        ``pairs``: for each, ``near`` and ``far`` with ``rate`` (images per second), ``cpu`` (CPU seconds of
        this process for an image) and ``requests`` (for an image). ``rate``: of the last far turn.
    """
    loaders = {
        "near": endless(build_loader({**spec, "lake": spec["near"], "endpoint": None})),
        "far": endless(build_loader(spec)),
    }
    window = Window(**spec["window"])
    pairs: list[dict[str, dict[str, float]]] = []
    # The first pair warms up.
    for number in range(spec["pairs"] + 1):
        order = ("near", "far") if number % 2 else ("far", "near")
        pairs.append({name: _turn(loaders[name], window, spec["endpoint"]) for name in order})
    return {"pairs": pairs[1:], "rate": pairs[-1]["far"]["rate"]}


def _turn(batches: Any, window: Window, server: str) -> dict[str, float]:
    time.sleep(_REST)
    for _ in range(window.warm_up):
        next(batches)
    before = served(server)
    start, used = time.perf_counter(), cpu_seconds()
    images = sum(len(next(batches)["inputs"]) for _ in range(window.batches))
    seconds, used = time.perf_counter() - start, cpu_seconds() - used
    requests = served(server)["requests"] - before["requests"]
    return {"rate": images / seconds, "cpu": used / images, "requests": requests / images}
