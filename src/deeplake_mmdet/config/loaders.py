"""Giving the loaders of a config that read lakes this package's feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from deeplake_mmdet.config.fast_loader import MODES, fast_loader, with_timeout
from deeplake_mmdet.errors import ConfigError

__all__ = ["use_fast_loaders"]

KEY = "fast_loader"
_OFF = ("off", False)


def use_fast_loaders(cfg: Config) -> None:
    """Replace the loaders of all splits that read a lake by `fast_loader` ones, in place, and log it.

    Those that stay as they are get a ``timeout``, as torch's own wait for their workers for ever.

    The config's key ``fast_loader`` chooses: a mode, a dict of `fast_loader`'s options, or ``'off'``.

    Raises:
        ConfigError: That key says something else, or `fast_loader` refuses.
    """
    options = _options(cfg)
    for split in ("train", "val", "test"):
        key = f"{split}_dataloader"
        loader = cfg.get(key)
        if not isinstance(loader, Mapping):
            continue
        if options is None:
            with_timeout(loader)
            continue
        given = dict(options)
        if split != "train":
            given["even"] = not _scored_here(cfg.get(f"{split}_evaluator"))
        new = fast_loader(loader, **given)
        if new.get("pin_memory") and (preprocessor := cfg.get("model", {}).get("data_preprocessor")):
            preprocessor.setdefault("non_blocking", True)  # pinned memory is of no use without
        if new == loader:
            with_timeout(loader)
        else:
            feed, sampler = new["dataset"], new["sampler"]
            way = (
                f"{feed['threads']} threads" if feed["threads"] else f"{new['num_workers']} worker processes"
            )
            order = f", shuffle={sampler['shuffle']!r}" if split == "train" else ""
            print_log(f"{key}: deeplake_mmdet.Feed, {way}{order}", "current")
            cfg[key] = new


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
    """Whether all metrics take each image once, in whatever order the ranks had them, as ours do."""
    metrics = [evaluator] if isinstance(evaluator, Mapping) else list(evaluator or ())
    return bool(metrics) and all(str(metric.get("type")).startswith("deeplake_mmdet.") for metric in metrics)
