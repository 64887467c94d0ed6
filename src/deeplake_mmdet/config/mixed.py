"""Configs with keys of MMDetection 2.x and of 3.x: which of their files says what, and so which counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.bases import all_files, bases_of, installed_configs, names_set, place_of_base
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import SAID_BY, Note, convert_mixed, old_keys

__all__ = ["settled"]


def settled(content: Mapping[str, Any], filename: str | Path | None) -> tuple[dict[str, Any], list[Note]]:
    """Convert a config that has keys of 2.x beside those of 3.x; any other one stays as it is.

    What a file says counts more than what its bases say, in whichever version.

    Args:
        content: The config's content; not changed.
        filename: Its file; None if there is none.

    Returns:
        The content for 3.x, and notes; the content as given and no notes if it is of one version.

    Raises:
        ConfigError: One file says a thing twice, and differently; or what it says cannot be converted.
    """
    keys = old_keys(content)
    if not keys:
        return dict(content), []
    levels, stock = _levels(filename)
    leftover = [key for key in keys if key not in levels and stock.get(key) == content[key]]
    if leftover:  # MMDetection's own files have some, without effect
        content = {key: value for key, value in content.items() if key not in leftover}
        keys = old_keys(content)
        if not keys:
            return dict(content), []
    new, notes = convert_mixed(content)
    for key in SAID_BY:
        if key not in content or new.get(key) == content[key] or key not in levels:
            continue
        said = [old for old in SAID_BY[key] if old in content]
        level = max((levels.get(old, len(levels)) for old in said), default=-1)
        if levels[key] < level:
            continue
        if levels[key] == level and said != ["total_epochs"]:
            raise ConfigError(
                f"The file says one thing twice, and differently: {', '.join(said)} as MMDetection 2.x, "
                f"{key} as 3.x",
                where=f"config keys {', '.join(map(repr, said))} and {key!r}",
                advice=f"keep {key!r}, or the others",
            )
        new[key] = _over(new[key], content[key])
        what = f"left out as far as {key} says otherwise"
        notes.append(Note(", ".join(said), what, "it stands in a later file", "dropped"))
    return new, notes


def _over(base: Any, child: Any) -> Any:
    """A later file's value over an earlier one's: dicts of one type by key."""
    if not isinstance(base, Mapping) or not isinstance(child, Mapping):
        return child
    if child.get("type", base.get("type")) != base.get("type"):
        return child
    return {**base, **{key: _over(base.get(key), value) for key, value in child.items()}}


def _levels(filename: str | Path | None) -> tuple[dict[str, int], dict[str, Any]]:
    """Which of a config's own files sets a name last, and the content of its bases out of packages."""
    levels: dict[str, int] = {}
    stock: dict[str, Any] = {}
    if not filename or not Path(filename).is_file():
        return levels, stock
    home = installed_configs()
    for level, file in enumerate(all_files(Path(filename).resolve())):
        if home is not None and file.is_relative_to(home):
            stock |= Config.fromfile(str(file), import_custom_modules=False).to_dict()
            continue
        for base in bases_of(file):
            if place_of_base(file, base) is None:
                stock |= Config.fromstring(f"_base_ = {base!r}\n", ".py").to_dict()
        levels |= dict.fromkeys(names_set(file), level)
    return levels, stock
