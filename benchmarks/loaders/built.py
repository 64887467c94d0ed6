"""The MMDetection loader that a specification names, in a process set up as a training process is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["begin_pass", "build_loader", "endless", "set_up"]


def set_up() -> None:
    """Register all modules, and give the libraries as many threads as a training process does."""
    import logging

    import cv2
    import torch
    from mmdet.utils import register_all_modules

    import deeplake_mmdet  # noqa: F401  # registers its names

    register_all_modules()
    logging.disable(logging.INFO)
    # mmengine's setup_env gives OpenCV none and torch's loader workers one.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

    from loaders import transforms  # noqa: F401


def build_loader(spec: dict[str, Any]) -> Any:
    """Build it.

    Args:
        spec: With ``side`` ('stock', or else ours), ``set`` or ``lake``, ``pipeline``, ``workers``, and for
            ours ``mode``, ``extra`` (arguments of `fast_loader`), ``endpoint``, ``cache`` and ``rank`` (which
            one, and of how many).
    """
    from mmengine.runner import Runner

    loader = Runner.build_dataloader(_config(spec), seed=0)
    if "rank" in spec:
        sampler = loader.batch_sampler.sampler
        sampler.rank, sampler.ranks = spec["rank"]
    return loader


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


def begin_pass(loader: Any, number: int) -> Any:
    """Tell its samplers which pass comes, as mmengine's DistSamplerSeedHook does before each epoch.

    Returns:
        The loader.
    """
    for sampler in (loader.sampler, getattr(loader.batch_sampler, "sampler", None)):
        if set_epoch := getattr(sampler, "set_epoch", None):
            set_epoch(number)
    return loader


def endless(loader: Any) -> Iterator[Any]:
    """Its batches, pass after pass."""
    for number in itertools.count():
        batches = 0
        for batch in begin_pass(loader, number):
            batches += 1
            yield batch
        if not batches:
            raise RuntimeError(f"pass {number} gave no batch")
