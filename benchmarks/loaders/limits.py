"""What the machine can do at best: bare decoding, and the CPU time of MMDetection's own stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from loaders.data import BenchSet
from loaders.pipelines import PLAIN, lake_dataset, stock_dataset

__all__ = ["decoding", "measure_least", "measure_limits", "stages_of"]

_WARM_UP = 50


def measure_limits(spec: dict[str, Any]) -> dict[str, Any]:
    """Bare decoding and the stages of the plain pipeline, on one core.

    Args:
        spec: With ``set`` and ``count``, the number of images to look at.

    Returns:
        ``decode``: images per second of ``cv2.imdecode`` from memory, ``stages``: CPU seconds for each image
        by stage, ``cpu``: their sum.
    """
    decode = decoding(spec)()
    stages = stages_of(spec)()
    return {"decode": decode, "stages": stages, "cpu": sum(stages.values())}


def decoding(spec: dict[str, Any]) -> Callable[[], float]:
    """Images per second of ``cv2.imdecode`` from memory, measured at each call.

    Args:
        spec: With ``set`` and ``count``, the number of images of a measurement.
    """
    made, rows = _chosen(spec)
    encoded = [np.fromfile(made.images / f"{row:07d}.jpg", np.uint8) for row in rows]
    for data in encoded[:_WARM_UP]:
        cv2.imdecode(data, cv2.IMREAD_COLOR)

    def measure() -> float:
        start = time.perf_counter()
        for data in encoded:
            cv2.imdecode(data, cv2.IMREAD_COLOR)
        return len(encoded) / (time.perf_counter() - start)

    return measure


def stages_of(spec: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """CPU seconds for an image of each stage of the plain pipeline on files, measured at each call.

    Args:
        spec: With ``set`` and ``count``, the number of images of a measurement.
    """
    from mmdet.registry import DATASETS, TRANSFORMS

    made, rows = _chosen(spec)
    dataset = DATASETS.build(stock_dataset(made, "plain"))
    transforms = [TRANSFORMS.build(dict(step)) for step in PLAIN]

    def measure(rows: list[int] = rows) -> dict[str, float]:
        spent = np.zeros(len(transforms))
        for row in rows:
            results = dataset.get_data_info(row)
            for step, transform in enumerate(transforms):
                start = time.process_time_ns()
                results = transform(results)
                spent[step] += time.process_time_ns() - start
        seconds = spent / 1e9 / len(rows)
        return {step["type"]: float(value) for step, value in zip(PLAIN, seconds, strict=True)}

    measure(rows[:_WARM_UP])
    return measure


def _chosen(spec: dict[str, Any]) -> tuple[BenchSet, list[int]]:
    made = BenchSet(Path(spec["set"][0]), spec["set"][1])
    # Spread over the whole set, as a shuffled loader meets them.
    rows = np.linspace(0, made.rows - 1, min(spec["count"], made.rows)).astype(int)
    return made, [int(row) for row in rows]


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
