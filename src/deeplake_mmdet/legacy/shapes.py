"""Refusing parts of a config that are no dicts or lists where MMDetection expects them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["check_new_shapes", "check_shapes"]

_DICTS = (
    *("model", "data", "optimizer", "optimizer_config", "fp16", "lr_config", "momentum_config", "runner"),
    *("evaluation", "checkpoint_config", "log_config", "dist_params", "custom_imports", "auto_scale_lr"),
)
_NEW_DICTS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg"),
    *("optim_wrapper", "default_hooks", "env_cfg", "randomness", "visualizer"),
)


def check_new_shapes(cfg: Mapping[str, Any]) -> None:
    """Check that keys of a 3.x config hold dicts or lists where they must; a missing key is fine.

    Args:
        cfg: The content of a 2.x or 3.x config.

    Raises:
        ConfigError: With the key of what is no dict or list.
    """
    for key in _NEW_DICTS:
        _must_be_dict(cfg.get(key), key)
    if not isinstance(cfg.get("custom_hooks"), (list, tuple, type(None))):
        raise _wrong(cfg["custom_hooks"], "custom_hooks", "a list of dicts", "write custom_hooks=[dict(...)]")


def check_shapes(cfg: Mapping[str, Any]) -> None:
    """Check that the parts of a 2.x config, its datasets, pipelines and hooks, are dicts where they must be.

    Args:
        cfg: The config's content.

    Raises:
        ConfigError: With the key of what is no dict or list.
    """
    for key in _DICTS:
        _must_be_dict(cfg.get(key), key)
    for split in ("train", "val", "test"):
        _check_dataset((cfg.get("data") or {}).get(split), f"data.{split}")
    for name in ("train_pipeline", "test_pipeline"):
        _check_steps(cfg.get(name), name)
    for number, hook in enumerate(cfg.get("custom_hooks") or ()):
        _must_be_dict(hook, f"custom_hooks[{number}]")
    for number, hook in enumerate((cfg.get("log_config") or {}).get("hooks") or ()):
        _must_be_dict(hook, f"log_config.hooks[{number}]")


def _check_dataset(node: Any, key: str) -> None:
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            _check_dataset(part, f"{key}[{number}]")
        return
    _must_be_dict(node, key)
    if node is not None:
        for name in ("dataset", "datasets"):
            _check_dataset(node.get(name), f"{key}.{name}")
        _check_steps(node.get("pipeline"), f"{key}.pipeline")


def _check_steps(steps: Any, key: str) -> None:
    if steps is not None and not isinstance(steps, (list, tuple)):
        raise _wrong(steps, key, "a list of dicts", "write pipeline=[dict(type='LoadImageFromFile'), ...]")
    for number, step in enumerate(steps or ()):
        _must_be_dict(step, f"{key}[{number}]")
        if step is None or not step.get("type"):
            raise _wrong(step, f"{key}[{number}]", "a dict with a type", "write dict(type='Resize', ...)")
        if step["type"] in ("MultiScaleFlipAug", "Compose"):
            _check_steps(step.get("transforms"), f"{key}[{number}].transforms")


def _must_be_dict(node: Any, key: str) -> None:
    if node is not None and not isinstance(node, Mapping):
        raise _wrong(node, key, "a dict", f"write {key.rpartition('.')[2]}=dict(...)")


def _wrong(node: Any, key: str, wanted: str, advice: str) -> ConfigError:
    # Not its value: anything may stand there, secrets too.
    return ConfigError(
        f"{key!r} must be {wanted}, got {type(node).__name__}", where=f"config key '{key}'", advice=advice
    )
