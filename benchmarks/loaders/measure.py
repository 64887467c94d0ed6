"""One measurement of one MMDetection loader in this fresh process: ``python measure.py SPEC``, SPEC as JSON.

Keys of SPEC: ``side`` ('stock', 'ours', 'limits' or 'growth'), ``set`` (folder and rows) or ``lake``,
``pipeline``, ``workers``, ``mode`` and ``extra`` (arguments of `fast_loader`), ``endpoint`` and ``cache``
(ours), ``cores``, ``window``; those of 'growth' see there. Prints the result as JSON in the last line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from loaders.window import Window, pin, served, time_passes, time_window


def main() -> None:
    """Measure, print."""
    spec = json.loads(sys.argv[1])
    # Before anything starts a thread: those would keep all cores.
    pin(spec.get("cores"))

    import logging

    import cv2
    import torch
    from mmdet.utils import register_all_modules

    import deeplake_mmdet  # noqa: F401  # registers its names

    register_all_modules()
    logging.disable(logging.INFO)
    # As a training process has them: mmengine's setup_env gives OpenCV none and torch's loader workers one.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

    from loaders import transforms  # noqa: F401

    if spec["side"] == "limits":
        from loaders.limits import measure_limits

        result = measure_limits(spec)
    elif spec["side"] == "growth":
        from loaders.growth import measure_growth

        result = measure_growth(spec)
    else:
        result = _measure(spec)
    print(json.dumps(result), flush=True)


def _measure(spec: dict[str, Any]) -> dict[str, Any]:
    import time

    from mmengine.runner import Runner

    before = served(spec.get("endpoint"))
    start = time.perf_counter()
    loader = Runner.build_dataloader(_config(spec), seed=0)
    built = time.perf_counter() - start
    window = Window(**spec.get("window", {}))

    def open_pass(number: int) -> Any:
        # As mmengine's DistSamplerSeedHook does before each epoch.
        for sampler in (loader.sampler, getattr(loader.batch_sampler, "sampler", None)):
            if set_epoch := getattr(sampler, "set_epoch", None):
                set_epoch(number)
        return loader

    if window.passes:
        result = time_passes(open_pass, _size, window, spec.get("endpoint"))
    else:
        result = time_window(open_pass, _size, window)
    after = served(spec.get("endpoint"))
    # ``built``: data set, table and loader, but no imports. ``served``: from opening the lake on.
    return {**result, "built": built, "served": {key: after[key] - before[key] for key in after}}


def _config(spec: dict[str, Any]) -> dict[str, Any]:
    from loaders import pipelines
    from loaders.data import BenchSet

    name = spec["pipeline"]
    if spec["side"] == "stock":
        made = BenchSet(Path(spec["set"][0]), spec["set"][1])
        dataset = pipelines.stock_dataset(made, name)
    else:
        dataset = pipelines.lake_dataset(spec["lake"], name, spec.get("endpoint"), spec.get("cache"))
    if name == "mosaic":
        dataset = pipelines.wrap_mosaic(dataset)
    config = pipelines.loader(dataset, spec["workers"])
    if spec["side"] == "stock":
        return config
    from deeplake_mmdet import fast_loader

    return fast_loader(config, mode=spec["mode"], **spec.get("extra", {}))


def _size(batch: dict[str, Any]) -> int:
    return len(batch["inputs"])


if __name__ == "__main__":
    main()
