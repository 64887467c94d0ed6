"""A 3.x config's content as a file that people read: in MMDetection's order, style and idioms."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Mapping
from typing import Any

from deeplake_mmdet.config.tree import innermost_of
from deeplake_mmdet.errors import ConfigError

__all__ = ["SETTINGS", "config_text"]

_WIDTH = 88
_INDENT = 4
_LEAST_NAMED = 40  # characters; shorter values are repeated

# Blocks of the file, a blank line between them; variables of the file stand before the model.
_FIRST = ("default_scope", "custom_imports")
_BLOCKS = (
    ("model",),
    ("train_pipeline",),
    ("test_pipeline",),
    ("train_dataloader", "val_dataloader", "test_dataloader", "fast_loader"),
    ("val_evaluator", "test_evaluator"),
    ("tta_model", "tta_pipeline"),
    ("train_cfg", "val_cfg", "test_cfg"),
    ("optim_wrapper", "param_scheduler", "auto_scale_lr"),
    ("default_hooks", "custom_hooks", "log_processor", "vis_backends", "visualizer"),
    ("env_cfg", "randomness", "launcher", "log_level", "load_from", "resume", "work_dir"),
)
_VARIABLES = ("train_pipeline", "test_pipeline", "vis_backends")
#: Top-level keys that MMDetection 3.x acts on; all others are variables of a file.
SETTINGS = (
    *_FIRST,
    *(key for block in _BLOCKS for key in block if key not in _VARIABLES),
    *("model_wrapper_cfg", "runner_type", "find_unused_parameters"),
)


def config_text(content: Mapping[str, Any], remarks: Iterable[str] = ()) -> str:
    """Write a config as Python code that mmengine's ``Config.fromfile`` reads back.

    A list or dict that repeats an earlier variable is written as that variable's name, as configs do it:
    ``test_dataloader = val_dataloader``. The training and testing pipelines get variables of their own,
    ``train_pipeline`` and ``test_pipeline``, unless these names are taken.

    Args:
        content: The config's content.
        remarks: Lines for a comment at the top.

    Returns:
        The text of the file.

    Raises:
        ConfigError: A value is no number, text, None, list, tuple, dict, set, range or type.
    """
    content = _with_pipelines(content)
    names: dict[str, str] = {}
    blocks = ["\n".join(f"# {line}".rstrip() for line in remarks)]
    for block in _ordered(content):
        lines = []
        for key in block:
            text = _format(content[key], key, 0, len(key) + 3, names)
            lines.append(f"{key} = {text}")
            if (
                isinstance(content[key], (Mapping, list))
                and len(plain := _plain(content[key], key)) >= _LEAST_NAMED
            ):
                names.setdefault(plain, key)
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _ordered(content: Mapping[str, Any]) -> list[list[str]]:
    known = {*_FIRST, *(key for block in _BLOCKS for key in block)}
    rest = [str(key) for key in content if key not in known]
    settings = [key for key in rest if key in SETTINGS]
    variables = [key for key in rest if key not in SETTINGS]
    blocks = [_FIRST, variables, *_BLOCKS, settings]
    return [found for block in blocks if (found := [key for key in block if key in content])]


def _with_pipelines(content: Mapping[str, Any]) -> dict[str, Any]:
    """With variables for the pipelines of the innermost datasets."""
    found = dict(content)
    for name, splits in (("train_pipeline", ("train",)), ("test_pipeline", ("val", "test"))):
        for split in splits:
            places = list(innermost_of(content, split))
            steps = places[0].node.get("pipeline") if len(places) == 1 else None
            if steps and isinstance(steps, list):
                found.setdefault(name, steps)
    return found


def _format(value: Any, path: str, indent: int, column: int, names: Mapping[str, str]) -> str:
    """Code of a value that begins at this column of a line with this indent."""
    if isinstance(value, (Mapping, list)) and (name := names.get(_plain(value, path))):
        return name
    plain = _plain(value, path)
    simple = not isinstance(value, (Mapping, list, tuple)) or not value
    if simple or (column + len(plain) + 1 <= _WIDTH and not _holds_named(value, path, names)):
        return plain
    inner = indent + _INDENT
    margin = " " * inner
    if isinstance(value, Mapping):
        opening, closing, heads = _dict_style(value, path)
        items = [
            head + _format(part, f"{path}.{key}", inner, inner + len(head), names)
            for head, (key, part) in zip(heads, _type_first(value), strict=True)
        ]
    else:
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        items = [_format(part, f"{path}[{n}]", inner, inner, names) for n, part in enumerate(value)]
        if all(not isinstance(part, (Mapping, list, tuple)) for part in value):
            items = _filled(items, _WIDTH - inner)
    return f"{opening}\n" + "".join(f"{margin}{item},\n" for item in items) + " " * indent + closing


def _holds_named(value: Any, path: str, names: Mapping[str, str]) -> bool:
    """Whether a part of the value has a name, which the plain form would spell out."""
    parts = value.values() if isinstance(value, Mapping) else value
    return any(
        isinstance(part, (Mapping, list, tuple))
        and (_plain(part, path) in names or _holds_named(part, path, names))
        for part in parts
    )


def _plain(value: Any, path: str) -> str:
    """Code of a value on one line."""
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        opening, closing, heads = _dict_style(value, path)
        parts = (
            f"{head}{_plain(part, f'{path}.{key}')}"
            for head, (key, part) in zip(heads, _type_first(value), strict=True)
        )
        return f"{opening}{', '.join(parts)}{closing}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_plain(part, f"{path}[{n}]") for n, part in enumerate(value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return _scalar(value, path)


def _dict_style(value: Mapping[Any, Any], path: str) -> tuple[str, str, list[str]]:
    """Brackets, and what stands before each value: ``dict(a=1)`` if all keys are names, else ``{}``."""
    keys = [key for key, _ in _type_first(value)]
    if all(_is_name(key) for key in keys):
        return "dict(", ")", [f"{key}=" for key in keys]
    return "{", "}", [f"{_scalar(key, path)}: " for key in keys]


def _scalar(value: Any, path: str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, (bool, int, float, str, bytes, range)):
        # A subclass may print itself in another way: numpy's float64 is a float.
        for kind in (bool, int, float, str):
            if isinstance(value, kind):
                return repr(kind(value))
        return repr(value)
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(_scalar(part, path) for part in value))}}}" if value else "set()"
    if isinstance(value, type):
        return repr(f"{value.__module__}.{value.__qualname__}")
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", None) == 0:
        return _scalar(value.item(), path)
    raise ConfigError(
        f"A value of type {type(value).__name__} cannot be written into a config",
        where=f"config key {path!r}",
        advice="write it as numbers, text, lists and dicts",
    )


def _type_first(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(value.items(), key=lambda item: item[0] != "type")


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)


def _filled(items: list[str], width: int) -> list[str]:
    """Several items per line, as many as fit."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 3 <= width:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines
