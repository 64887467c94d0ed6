"""`fast_loader`: a dataloader's config with this package's feed, sampler and collate in it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.config.tree import all_datasets, kind_of_part, lakes_in
from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import deadline_seconds, is_local
from deeplake_mmdet.terminal import DETAIL

__all__ = ["MODES", "check_loader", "fast_loader", "has_cuda", "with_timeout"]

_log = logging.getLogger("deeplake_mmdet")

MODES = ("auto", "threads", "processes")
_FEED = "Feed"
_MIXER = "MultiImageMixDataset"
_SAMPLERS = ("DefaultSampler", "InfiniteSampler")
_BATCH_SAMPLERS = ("AspectRatioBatchSampler", "BatchSampler")
_OF_PROCESSES = ("prefetch_factor", "multiprocessing_context", "timeout")  # of worker processes only
_READS = 5  # that a batch may need: images come in one, and what is damaged is read up to three times more
_STATEFUL = {
    "CachedMosaic": "Mosaic in a MultiImageMixDataset",
    "CachedMixUp": "MixUp in a MultiImageMixDataset",
}


def fast_loader(
    dataloader: Mapping[str, Any],
    mode: str = "auto",
    *,
    shuffle: str | None = None,
    window: int = 8,
    even: bool = True,
) -> dict[str, Any]:
    """Put feed, sampler and collate of this package into a dataloader's config.

    The samples stay the same in all modes. A loader whose dataset holds no lake, or whose sampler has no
    equal here, is returned unchanged, and the log says so.

    Args:
        dataloader: As MMEngine takes it, e.g. ``cfg.train_dataloader``. Not changed.
        mode: ``'threads'`` to read and decode in ``num_workers`` threads of the training process,
            ``'processes'`` for ``num_workers`` worker processes, ``'auto'`` for what fits: threads for remote
            lakes without a cache, whose chunks are then fetched once for all, else processes, as under a
            ``MultiImageMixDataset``, which reads rows at random anyway.
        shuffle: How to shuffle where the config's sampler does: ``'full'``, or ``'chunk'`` to keep
            neighbouring rows near each other; the latter for remote lakes if not given.
        window: With ``shuffle='chunk'``: how many chunks are mixed. If it is a multiple of the number of
            ranks, each rank fetches chunks of its own.
        even: All ranks get the same number of batches. For evaluation with metrics of this package False lets
            each image be scored once.

    Returns:
        A new dataloader config.

    Raises:
        ConfigError: Mode, ``shuffle`` or a number is none of those possible.
    """
    loader = copy.deepcopy(dict(dataloader))
    check_loader(loader, mode=mode, shuffle=shuffle, window=window)
    _tell_cores(loader)
    lakes = lakes_in(loader.get("dataset"))
    dataset_type = kind_of_part(loader.get("dataset"))
    if not lakes or dataset_type == _FEED:
        return loader
    sampler, batch_sampler = dict(loader.get("sampler") or {}), loader.get("batch_sampler")
    others = [
        kind
        for kind, known in (
            (kind_of_part(sampler), _SAMPLERS),
            (kind_of_part(batch_sampler), _BATCH_SAMPLERS),
        )
        if kind and kind not in known
    ]
    if others:
        _log.info(f"fast_loader leaves a loader with {' and '.join(others)} as it is: no equal here")
        return loader
    remote = any(not is_local(str(lake.get("path", ""))) for lake in lakes)
    dataset = loader["dataset"]
    for place in all_datasets(dataset):
        if kind_of_part(place.node) == _MIXER:
            place.node["type"] = f"deeplake_mmdet.{_MIXER}"
    workers = int(loader.get("num_workers", 0))
    chosen = mode if mode != "auto" else _choose(loader, workers, lakes)
    _name_stateful(dataset)
    threads = workers if chosen == "threads" else 0
    if chosen == "threads":
        for key in ("persistent_workers", *_OF_PROCESSES):
            loader.pop(key, None)
        workers = 0
    shuffled = sampler.get("shuffle", True)
    loader.setdefault("batch_size", 1)  # torch's own
    loader.update(
        num_workers=workers,
        dataset={"type": f"deeplake_mmdet.{_FEED}", "dataset": dataset, "threads": threads},
        sampler={
            "type": "deeplake_mmdet.LakeSampler",
            "shuffle": (shuffle or ("chunk" if remote else "full")) if shuffled else False,
            "window": window,
            "infinite": kind_of_part(sampler) == "InfiniteSampler",
        },
        batch_sampler={
            "type": "deeplake_mmdet.LakeBatchSampler",
            "drop_last": bool((batch_sampler or {}).get("drop_last", loader.pop("drop_last", False))),
            "group_by_aspect": kind_of_part(batch_sampler) == "AspectRatioBatchSampler",
            "workers": workers,
            "even": even,
        },
        collate_fn={"type": "deeplake_mmdet.packed_collate"},
        worker_init_fn={"type": "deeplake_mmdet.init_worker"},
    )
    if sampler.get("seed") is not None:
        loader["sampler"]["seed"] = sampler["seed"]
    loader.pop("drop_last", None)
    if has_cuda():
        loader.setdefault("pin_memory", True)
    return with_timeout(loader)  # type: ignore[no-any-return]


def with_timeout(loader: Any) -> Any:
    """Let a dataloader give up on worker processes that send no batch; a ``timeout`` of its own stays.

    The time is five times what one read may take (``DEEPLAKE_MMDET_DEADLINE``), so that a read that fails is
    told by the worker first. Without worker processes there is no ``timeout``.

    Args:
        loader: A dataloader's config; changed in place.

    Returns:
        The loader itself.
    """
    if not loader.get("num_workers"):
        loader.pop("timeout", None)  # torch refuses it where there are none
    elif not loader.get("timeout"):
        loader["timeout"] = _READS * deadline_seconds()
    return loader


def has_cuda() -> bool:
    """Whether there is a GPU of CUDA's."""
    from mmengine.device import is_cuda_available  # loads torch, which takes a second

    return bool(is_cuda_available())


def check_loader(
    loader: Mapping[str, Any],
    key: str = "",
    *,
    mode: str = "auto",
    shuffle: str | None = None,
    window: int = 8,
) -> None:
    """Refuse what `fast_loader` cannot take.

    Args:
        loader: A dataloader's config.
        key: The loader's own key in its config, if that is known.
        mode: Of `fast_loader`.
        shuffle: Of `fast_loader`.
        window: Of `fast_loader`.

    Raises:
        ConfigError: Mode, ``shuffle`` or a number is none of those possible.
    """
    if mode not in MODES:
        raise ConfigError(
            f"There is no loader mode {mode!r}",
            where="argument 'mode' of fast_loader",
            advice=f"use one of {', '.join(MODES)}",
        )
    if shuffle not in (None, "full", "chunk"):
        raise ConfigError(
            f"shuffle is {shuffle!r}", where="argument 'shuffle'", advice="use 'full' or 'chunk'"
        )
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ConfigError(
            f"window is {window!r}, not a whole number from 1",
            where="argument 'window'",
            advice="give the number of chunks to mix",
        )
    for name, least in (("batch_size", 1), ("num_workers", 0)):
        value = loader.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(
                f"{name} is {value!r}, not a whole number from {least}",
                where=f"config key '{key}.{name}'" if key else f"dataloader key {name!r}",
                advice=f"write {name}=2, say",
            )


def _tell_cores(loader: Mapping[str, Any]) -> None:
    cores = available_cores()
    if loader.get("num_workers", 0) > 4 * cores:
        _log.info(
            f"num_workers={loader['num_workers']} is more than this machine's {cores} cores can feed; the "
            "samples are the same with fewer"
        )


def _choose(loader: Mapping[str, Any], workers: int, lakes: list[Mapping[str, Any]]) -> str:
    if workers and (asked := [key for key in _OF_PROCESSES if loader.get(key)]):
        _log.info(f"Loading in {workers} worker processes: {', '.join(asked)} asks for them", extra=DETAIL)
        return "processes"
    if not workers:
        return "threads"
    chosen, reason = "processes", "the images are on this machine, or a cache keeps them here"
    if any(not is_local(str(lake.get("path", ""))) and not lake.get("cache") for lake in lakes):
        chosen, reason = "threads", "the lake is remote, without a cache"
        if _mixes(loader["dataset"]):
            # Most of the work draws random numbers, for which threads have to wait in line.
            chosen, reason = (
                "processes",
                "images are mixed, from a remote lake one request for each; a cache (cache='20GB') would "
                "keep them here",
            )
    kind = "threads" if chosen == "threads" else "worker processes"
    _log.info(f"Loading in {workers} {kind}: {reason}", extra=DETAIL)
    return chosen


def _mixes(node: Any) -> bool:
    return any(kind_of_part(place.node) == _MIXER for place in all_datasets(node))


def _name_stateful(node: Any) -> None:
    steps = [step for place in all_datasets(node) for step in place.node.get("pipeline") or ()]
    for kind in filter(_STATEFUL.__contains__, map(kind_of_part, steps)):
        _log.warning(
            f"{kind} keeps images between samples: what it mixes in depends on the number of workers, "
            f"and a resume changes it. {_STATEFUL[kind]} has no such state"
        )
