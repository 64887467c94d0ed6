"""Values that MMDetection 2.28.2's own config files had and their 3.x counterparts have otherwise."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from deeplake_mmdet.legacy.names import official_name

__all__ = ["old_values"]


def old_values(path: str) -> dict[str, Any]:
    """What an official 2.x config file said, where the 3.x file that takes its place says something else.

    Args:
        path: Any path that ends as the file's does in MMDetection's ``configs`` folder.

    Returns:
        Content for a 2.x config, e.g. ``{"evaluation": {"interval": 1}}``; empty if nothing differs that is
        known: intervals, rates, schedules, batch sizes, metrics, files. No models and no pipelines are.
    """
    content: dict[str, Any] = {}
    for key, value in _table().get(official_name(path), {}).items():
        *folders, name = key.split(".")
        place = content
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return content


@cache
def _table() -> dict[str, dict[str, Any]]:
    """``folder/file.py`` -> dotted key -> value."""
    text = files("deeplake_mmdet.legacy").joinpath("zoo_values.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table
