"""Giving the loaders of a config that read lakes this package's feed."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.fast_loader import (
    MODES,
    check_loader,
    fast_loader,
    has_cuda,
    with_timeout,
)
from deeplake_mmdet.config.tree import SPLITS, lakes_in
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.terminal import DETAIL

__all__ = ["fast_loaders", "use_fast_loaders"]

_log = logging.getLogger("deeplake_mmdet")

KEY = "fast_loader"
_OFF = ("off", False)


def use_fast_loaders(cfg: Config) -> None:
    """Make sure that `fast_loaders` can do its work, and ready the model for pinned memory, in place.

    The loaders stay as they are: what a run leaves behind is its user's config.

    Args:
        cfg: A 3.x config.

    Raises:
        ConfigError: See `fast_loaders`.
    """
    options = _options(cfg)
    for split in SPLITS:
        if not isinstance(loader := cfg.get(f"{split}_dataloader"), Mapping):
            continue
        check_loader(loader, f"{split}_dataloader", **(options or {}))
        preprocessor = (cfg.get("model") or {}).get("data_preprocessor")
        if options is not None and preprocessor and lakes_in(loader.get("dataset")) and has_cuda():
            preprocessor.setdefault("non_blocking", True)  # pinned memory is of no use without


def fast_loaders(cfg: Config, splits: Sequence[str] = SPLITS) -> dict[str, Any]:
    """Make the dataloader configs of a config's splits, by `fast_loader` where they read a lake; logged.

    Those that stay as they are get a ``timeout``, as torch's own wait for their workers for ever. The
    config's key ``fast_loader`` chooses: a mode, a dict of `fast_loader`'s options, or ``'off'``.

    Args:
        cfg: Not changed.
        splits: Of ``train``, ``val`` and ``test``.

    Returns:
        The loaders' configs by key, e.g. ``train_dataloader``.

    Raises:
        ConfigError: That key says something else, or `fast_loader` refuses.
    """
    options, found = _options(cfg), {}
    for split in splits:
        key = f"{split}_dataloader"
        loader = cfg.get(key)
        if not isinstance(loader, Mapping):
            continue
        given = dict(options or {})
        if split != "train":
            given["even"] = not _scored_here(cfg.get(f"{split}_evaluator"))
        new = loader if options is None else fast_loader(loader, **given)
        if new == loader:
            found[key] = with_timeout(copy.deepcopy(dict(loader)))
            continue
        feed, sampler = new["dataset"], new["sampler"]
        way = f"{feed['threads']} threads" if feed["threads"] else f"{new['num_workers']} worker processes"
        order = f", shuffle={sampler['shuffle']!r}" if split == "train" else ""
        _log.info(f"{key}: deeplake_mmdet.Feed, {way}{order}", extra=DETAIL)
        found[key] = new
    return found


def _options(cfg: Config) -> dict[str, Any] | None:
    asked = cfg.get(KEY, "auto")
    if asked in _OFF:
        return None
    if asked is True:
        return {}
    if isinstance(asked, str):
        asked = {"mode": asked}
    known = ("mode", "shuffle", "window")
    if not isinstance(asked, Mapping) or set(asked) - set(known):
        raise ConfigError(
            f"fast_loader is {asked!r}",
            where=f"config key {KEY!r}",
            advice=f"use 'off', one of {', '.join(map(repr, MODES))}, or a dict with {', '.join(known)}",
        )
    return dict(asked)


def _scored_here(evaluator: Any) -> bool:
    """Whether all metrics take each image once, in whatever order the ranks had them, as ours do.

    An empty list is that of a run which scores nothing, `predict`'s.
    """
    metrics = [evaluator] if isinstance(evaluator, Mapping) else list(evaluator or ())
    return evaluator is not None and all(
        str(metric.get("type")).startswith("deeplake_mmdet.") for metric in metrics
    )
