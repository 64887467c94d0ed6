"""`bench`: how fast a config's loader is, and what keeps it from being faster."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from deeplake_mmdet.config import fast_loaders
from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import Feed, LoaderReport, Recorder, Statistics, set_opencv_threads
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.training.prepare import prepare_config
from deeplake_mmdet.training.prepare_images import use_prepared

__all__ = ["bench"]

SPLITS = ("train", "val", "test")
_WARM_UP = 8  # batches, and whatever was made ahead meanwhile
_IMAGES = 64  # decoded for the rate of bare decoding
_DECODE_SECONDS = 1.0


def bench(
    config: str | Path | Config,
    *,
    batches: int = 100,
    mode: str | None = None,
    workers: int | None = None,
    split: str = "train",
    step_ms: float = 0.0,
    prepared: Any = None,
    cfg_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> LoaderReport:
    """Run the loader of a config as `train` would, without a model, and measure it.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x.
        batches: How many batches to measure, after some to warm up; passes are begun anew as needed.
        mode: ``'auto'``, ``'threads'`` or ``'processes'``; None for the config's.
        workers: Number of threads or worker processes; None for the config's.
        split: ``'train'``, ``'val'`` or ``'test'``.
        step_ms: Milliseconds to pause after each batch, as a training step would take them.
        prepared: The key ``prepared`` for those of its lakes that have none; see `DeepLakeDataset`.
        cfg_options: Changes by dotted key.
        progress: Whether to show on stderr how far it has come.

    Returns:
        Images per second, times by stage, and what limits the loader.

    Raises:
        ConfigError: An argument is out of range, or that loader reads no lake through a feed.
        DeepLakeMMDetError: Config or data cannot be used.
    """
    for name, value, least in (("batches", batches, 1), ("workers", workers, 0), ("step_ms", step_ms, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value!r}, less than {least}", where=f"argument {name}")
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}", where="argument split", advice="use 'train'")
    options = dict(cfg_options or {})
    if mode is not None:
        options["fast_loader"] = mode
    if workers is not None:
        options[f"{split}_dataloader.num_workers"] = workers
        if not workers:
            options[f"{split}_dataloader.persistent_workers"] = False
    cfg = prepare_config(config, cfg_options=options, launcher="none")
    use_prepared(cfg, prepared, (split,))
    key = f"{split}_dataloader"
    if not cfg.get(key):
        raise ConfigError("The config has no such loader", where=f"config key {key!r}")
    init_default_scope(cfg.default_scope)
    loader = Runner.build_dataloader(fast_loaders(cfg).get(key, cfg[key]), seed=0)
    feed = loader.dataset
    if not isinstance(feed, Feed) or not feed.lakes:
        raise ConfigError(
            "This loader reads no lake through this package's feed",
            where=f"config key {key!r}",
            advice="give its dataset type='deeplake_mmdet.DeepLakeDataset', and no fast_loader='off'",
        )
    feed.statistics = Statistics(enabled=True)
    try:
        with Progress(
            "Measuring", batches + _WARM_UP, shown=progress, unit="batches", transient=True
        ) as shown:
            return _measure(loader, feed, batches, step_ms / 1000, shown)
    finally:
        feed.close()


def _measure(loader: Any, feed: Feed, batches: int, step: float, shown: Progress) -> LoaderReport:
    stream = _endless(loader)
    for _ in range(_WARM_UP):
        next(stream)
        shown.advance()
    recorder = Recorder(feed, loader.num_workers)
    for _ in range(batches):
        start = time.perf_counter()
        batch = next(stream)
        recorder.count(batch, time.perf_counter() - start)
        if step:
            time.sleep(step)
        shown.advance()
    report = recorder.report()
    stream.close()
    del stream
    feed.rest()
    return report.with_decode_rate(_decode_rate(feed))


def _endless(loader: Any) -> Generator[Any, None, None]:
    pass_ = 0
    while True:
        loader.batch_sampler.sampler.set_epoch(pass_)
        yield from loader
        pass_ += 1


def _decode_rate(feed: Feed) -> float | None:
    """Images per second that all cores decode, and do nothing else."""
    view = feed.lakes[0].view
    found = view.fetch_span(0, min(_IMAGES, len(view.table)))
    images = [np.frombuffer(image, np.uint8) for image in found if isinstance(image, bytes)]
    if not images:
        return None
    cores = available_cores()
    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    done, start = 0, time.perf_counter()
    try:
        with ThreadPoolExecutor(cores) as pool:
            while time.perf_counter() - start < _DECODE_SECONDS:
                done += sum(1 for _ in pool.map(_decode, images))
    finally:
        set_opencv_threads(threads_before)
    return done / (time.perf_counter() - start)


def _decode(image: Any) -> None:
    cv2.imdecode(image, cv2.IMREAD_COLOR)
