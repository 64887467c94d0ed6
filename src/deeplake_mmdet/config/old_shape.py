"""Whether the parts of a 2.x config are dicts and lists where the conversion takes them for such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["check_old_shape"]

_DICTS = (
    *("model", "data", "optimizer", "optimizer_config", "lr_config", "momentum_config", "runner", "fp16"),
    *("evaluation", "checkpoint_config", "log_config"),
)
_PIPELINES = ("train_pipeline", "test_pipeline")


def check_old_shape(content: Mapping[str, Any]) -> None:
    """Check a 2.x config's content.

    Raises:
        ConfigError: Naming the key, what it must be and what it is.
    """
    for key in _DICTS:
        value = content.get(key)
        if (
            value is not None
            and not isinstance(value, Mapping)
            and not (key == "optimizer_config" and not value)
        ):
            raise _wrong(key, "a dict", value)
    for key in _PIPELINES:
        if content.get(key) is not None:
            _check_steps(content[key], key)
    data = content.get("data") or {}
    for split in ("train", "val", "test"):
        _check_datasets(data.get(split), f"data.{split}")


def _check_datasets(node: Any, path: str) -> None:
    if node is None:
        return
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            _check_datasets(part, f"{path}[{number}]")
        return
    if not isinstance(node, Mapping):
        raise _wrong(path, "a dict", node)
    if node.get("pipeline") is not None:
        _check_steps(node["pipeline"], f"{path}.pipeline")
    for key in ("dataset", "datasets"):
        _check_datasets(node.get(key), f"{path}.{key}")


def _check_steps(steps: Any, path: str) -> None:
    if not isinstance(steps, (list, tuple)):
        raise _wrong(path, "a list of dicts", steps)
    for number, step in enumerate(steps):
        if not isinstance(step, Mapping) or "type" not in step:
            raise _wrong(f"{path}[{number}]", "a dict with a 'type'", step)
        if isinstance(step.get("transforms"), (list, tuple)) and step["type"] == "MultiScaleFlipAug":
            _check_steps(step["transforms"], f"{path}[{number}].transforms")


def _wrong(path: str, must: str, value: Any) -> ConfigError:
    found = "a dict without one" if isinstance(value, Mapping) else type(value).__name__
    return ConfigError(f"{path} must be {must}, got {found}", where=f"config key {path!r}")
