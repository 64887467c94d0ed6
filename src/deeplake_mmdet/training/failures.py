"""What building the parts of a run ended with, told by the key of the part in the config."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry.build_functions import build_from_cfg
from mmengine.runner import Runner

from deeplake_mmdet.config import keys_of, nearest
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, was_interrupted

__all__ = ["failures_named"]

_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)")
_SET_UP = {
    "setup_env": "env_cfg",
    "set_randomness": "randomness",
    "build_logger": "log_level",
    "build_visualizer": "visualizer",
    "build_log_processor": "log_processor",
    "_check_scheduler_cfg": "param_scheduler",
    "build_param_scheduler": "param_scheduler",
    "scale_lr": "auto_scale_lr",
    "build_optim_wrapper": "optim_wrapper",
    "register_default_hooks": "default_hooks",
    "register_custom_hooks": "custom_hooks",
}
_SERIALIZING = "_serialize_data"  # of MMEngine's datasets, which fails where there is nothing
_SHOWN = 3  # places that a message names


@contextlib.contextmanager
def failures_named(cfg: Config | Mapping[str, Any]) -> Iterator[None]:
    """Turn a failure to build a part of a config, inside the block, into an error that names the part's key.

    MMEngine builds a part by calling its class with the keys, and whatever that raises says nothing of where
    the keys stand.

    Args:
        cfg: The run's config.

    Raises:
        ConfigError: A part cannot be built.
        KeyboardInterrupt: Also where Ctrl-C has become another error.
        Exception: Whatever else happens.
    """
    try:
        yield
    except (DeepLakeMMDetError, OSError):
        raise  # which name their place themselves
    except Exception as error:
        if was_interrupted(error):  # MMEngine makes a SyntaxError of it while it formats the config
            raise KeyboardInterrupt from None
        parts = _being_built(error)
        if not parts:
            if (key := _key_set_up(error)) is None:
                raise
            raise ConfigError(
                f"The run cannot be set up: {_text(error)}",
                where=f"config key {key!r}",
                advice="correct this key; DEEPLAKE_MMDET_TRACEBACK=1 shows where it failed",
            ) from error
        content = cfg.to_dict() if isinstance(cfg, Config) else cfg
        raise _told(error, parts, content) from error


def _being_built(error: BaseException) -> list[tuple[Any, Mapping[str, Any]]]:
    """The parts that were being built, the innermost first: class or function, and config."""
    found: list[tuple[Any, Mapping[str, Any]]] = []
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        here = [
            (frame.f_locals.get("obj_cls"), frame.f_locals["cfg"])
            for frame in reversed(frames)
            if frame.f_code is build_from_cfg.__code__ and isinstance(frame.f_locals.get("cfg"), Mapping)
        ]
        found = [*here, *found]
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return found


def _key_set_up(error: BaseException) -> str | None:
    """The key that a runner was at, by the method that it was in."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [frame.f_code.co_name for frame in frames if isinstance(frame.f_locals.get("self"), Runner)]
    return next((_SET_UP[name] for name in reversed(names) if name in _SET_UP), None)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0] or 'no message'}"


def _told(
    error: Exception, parts: list[tuple[Any, Mapping[str, Any]]], cfg: Mapping[str, Any]
) -> ConfigError:
    kind, part = parts[0]
    name = getattr(kind, "__name__", None) or str(part.get("type"))
    text = _text(error)
    places, advice = _places(cfg, part), "correct this part of the config"
    if isinstance(error, TypeError) and (match := _UNEXPECTED.search(str(error))) and match[1] in part:
        near = nearest(match[1], keys_of(kind) or ()) if callable(kind) else None
        text = f"it has no {match[1]!r}"
        advice = f"perhaps {near!r} is meant" if near else f"take {match[1]!r} out"
        places = places or [f"{key}.{match[1]}" for key, node in _nodes(cfg, "") if match[1] in node]
    elif isinstance(error, TypeError) and (match := _MISSING.search(str(error))):
        text, advice = f"it needs {match[1]}", "add what is missing to this part of the config"
    elif isinstance(error, ValueError) and _SERIALIZING in _functions(error):
        text = "no image is left of its data"
        advice = "compare metainfo's classes with the names in the file of annotations, and see filter_cfg"
    for _, outer in parts[1:] if not places else ():
        if places := _places(cfg, outer):
            advice = f"look into this part of the config; {advice}"
            break
    listed = ", ".join(places[:_SHOWN]) + (
        f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    )
    return ConfigError(
        f"{name} cannot be built: {text}",
        where=f"config key {listed}" if places else f"the config's {name}",
        advice=f"{advice}; DEEPLAKE_MMDET_TRACEBACK=1 shows where it failed",
    )


def _functions(error: BaseException) -> set[str]:
    return {frame.name for frame in traceback.extract_tb(error.__traceback__)}


def _places(cfg: Mapping[str, Any], part: Mapping[str, Any]) -> list[str]:
    """Keys of the parts of a config that say what was given to build; parents add keys, and take some out."""

    def is_it(node: Mapping[str, Any]) -> bool:
        try:
            return node.get("type") == part.get("type") and all(
                bool(part[key] == value) for key, value in node.items() if key in part
            )
        except (TypeError, ValueError):  # arrays, which nobody can compare in this way
            return False

    return [key for key, node in _nodes(cfg, "") if "type" in node and is_it(node)]


def _nodes(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if key:
            yield key, node
        for name, value in node.items():
            yield from _nodes(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _nodes(value, f"{key}[{number}]")
