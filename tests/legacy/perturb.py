"""Finding settings without influence, by changing one at a time; no test of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict

Path = tuple[Any, ...]


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All values that hold no others, with their paths."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from leaves(value, (*path, name))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from leaves(value, (*path, number))
    else:
        yield path, node


def changed(node: Any, path: Path) -> Any:
    """The same content with another value at this path."""
    if not path:
        return _other(node)
    if isinstance(node, Mapping):
        return {**node, path[0]: changed(node[path[0]], path[1:])}
    items = list(node)
    items[path[0]] = changed(items[path[0]], path[1:])
    return type(node)(items)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if isinstance(value, int) else value * 1.5 + 0.3
    return "other" if value is None else f"{value}other"


def result(cfg: Mapping[str, Any]) -> str | None:
    """The converted config with its notes as text; None if the config is refused."""
    try:
        converted, notes = convert_config_dict(cfg)
    except ConfigError:
        return None
    return json.dumps(converted, default=str) + "\n".join(map(str, notes))


def kind_of_setting(cfg: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """What kind of setting this is: types on the way and names, without numbers; alike in val and test."""
    parts: list[str] = []
    node: Any = cfg
    for step in path[:-1]:
        parts.append("" if isinstance(step, int) else str(step))
        node = node[step]
        if isinstance(node, Mapping) and isinstance(node.get("type"), str):
            parts.append(f"<{node['type']}>")
    parts.append("" if isinstance(path[-1], int) else str(path[-1]))
    if path[0] == "data":
        split = "val" if "test" in parts[1:2] else parts[1] if len(parts) > 1 else ""
        return ("data", split, *parts[-4:])
    return (*parts[:2], *parts[2:][-4:])
