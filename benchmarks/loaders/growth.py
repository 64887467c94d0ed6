"""CPU time of an image as the lake grows: loaders of lakes of several sizes take turns in one process.

Fresh processes differ by more than what is looked for here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from loaders.limits import measure_least
from loaders.pipelines import lake_dataset, loader
from loaders.window import cpu_seconds, private_mb, processes

__all__ = ["measure_growth"]

_WARM_UP = 100
_BATCHES = 300
_LEAST_IMAGES = 500


def measure_growth(spec: dict[str, Any]) -> dict[str, Any]:
    """Time our loaders in turns.

    Args:
        spec: With ``lakes`` (paths by number of rows), ``pass`` (samples of one pass at least), ``turns``,
            ``workers`` and ``mode``.

    Returns:
        ``turns``: for each turn, CPU seconds for an image by number of rows, and of decoding and transforms
        alone as ``floor``; ``worker_mb``: private memory of the largest worker process by number of rows, or
        nothing.
    """
    from mmengine.runner import Runner

    from deeplake_mmdet import fast_loader

    batches: dict[str, Iterator[Any]] = {}
    workers: dict[str, list[int]] = {}
    for rows, lake in spec["lakes"].items():
        before = set(processes())
        times = max(1, spec["pass"] // int(rows))
        dataset = {"type": "RepeatDataset", "times": times, "dataset": lake_dataset(lake, "least")}
        config = fast_loader(loader(dataset, spec["workers"]), mode=spec["mode"])
        batches[rows] = iter(Runner.build_dataloader(config, seed=0))
        for _ in range(_WARM_UP):
            next(batches[rows])
        workers[rows] = [process for process in processes() if process not in before]
    first = next(iter(spec["lakes"].values()))
    turns = []
    order = list(batches)
    for number in range(spec["turns"]):
        turn = {"floor": measure_least({"lake": first, "count": _LEAST_IMAGES})["cpu"]}
        for place in range(len(order)):
            rows = order[(place + number) % len(order)]
            start, own = cpu_seconds(workers[rows]), time.process_time()
            images = sum(len(next(batches[rows])["inputs"]) for _ in range(_BATCHES))
            turn[rows] = (time.process_time() - own + cpu_seconds(workers[rows]) - start) / images
        turns.append(turn)
    memory = {rows: max(private_mb(found)) for rows, found in workers.items() if found}
    return {"turns": turns, "worker_mb": memory}
