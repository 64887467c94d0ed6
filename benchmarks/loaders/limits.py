"""What the machine can do at best: bare decoding, and the CPU time of MMDetection's own stages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from loaders.data import BenchSet
from loaders.pipelines import PLAIN, lake_dataset, stock_dataset

__all__ = ["measure_least", "measure_limits"]


def measure_limits(spec: dict[str, Any]) -> dict[str, Any]:
    """Bare decoding and the stages of the plain pipeline, on one core.

    Args:
        spec: With ``set`` and ``count``, the number of images to look at.

    Returns:
        ``decode``: images per second and core of ``cv2.imdecode`` from memory, ``stages``: CPU seconds for
        each image by stage, ``cpu``: their sum.
    """
    made = BenchSet(Path(spec["set"][0]), spec["set"][1])
    count = min(spec["count"], made.rows)
    # Spread over the whole set, as a shuffled loader meets them.
    rows = np.linspace(0, made.rows - 1, count).astype(int)
    encoded = [np.fromfile(made.images / f"{row:07d}.jpg", np.uint8) for row in rows]
    for data in encoded[:50]:
        cv2.imdecode(data, cv2.IMREAD_COLOR)
    start = time.process_time()
    for data in encoded:
        cv2.imdecode(data, cv2.IMREAD_COLOR)
    decode = count / (time.process_time() - start)
    stages = _stages(made, [int(row) for row in rows])
    return {"decode": decode, "stages": stages, "cpu": sum(stages.values())}


def _stages(made: BenchSet, rows: list[int]) -> dict[str, float]:
    from mmdet.registry import DATASETS, TRANSFORMS

    dataset = DATASETS.build(stock_dataset(made, "plain"))
    transforms = [TRANSFORMS.build(dict(step)) for step in PLAIN]
    spent = np.zeros(len(transforms))
    for number, row in enumerate([*rows[:50], *rows]):
        if number == 50:  # the first ones warm up
            spent[:] = 0
        results = dataset.get_data_info(row)
        for step, transform in enumerate(transforms):
            start = time.process_time_ns()
            results = transform(results)
            spent[step] += time.process_time_ns() - start
    seconds = spent / 1e9 / len(rows)
    return {step["type"]: float(value) for step, value in zip(PLAIN, seconds, strict=True)}


def measure_least(spec: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds for each image of decoding and transforms alone, in the pipeline ``least``.

    Args:
        spec: With ``lake`` and ``count``, the number of images to look at.

    Returns:
        ``cpu``: their sum; reading is not in it.
    """
    import mmcv
    from mmdet.registry import DATASETS, TRANSFORMS
    from mmengine import fileio

    dataset = DATASETS.build(lake_dataset(spec["lake"], "least"))
    after_load = [TRANSFORMS.build(dict(step)) for step in lake_dataset("", "least")["pipeline"][1:]]
    spent, count = 0, spec["count"]
    for number in range(-50, count):  # the first ones warm up
        results = dataset.get_data_info(number % len(dataset))
        encoded = fileio.get(results["img_path"])
        start = time.process_time_ns()
        results["img"] = mmcv.imfrombytes(encoded)
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        for transform in after_load:
            results = transform(results)
        spent += time.process_time_ns() - start if number >= 0 else 0
    return {"cpu": spent / 1e9 / count}
