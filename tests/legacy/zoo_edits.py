"""Changing single values of a config; no test of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import zoo
from mmengine.config import Config

CONVERTED = "converted."  # with this the path of an edit in the converted config begins
BASE = "_base_[0]"


class Edit(NamedTuple):
    """One changed value. None stands for nothing at all: steps of a pipeline go and come."""

    path: str
    old: Any
    new: Any


def changes(content: Any, values: list[tuple[str, Any]]) -> list[Edit]:
    """Edits of a config to these values, without those that are there already."""
    found = []
    for path, new in values:
        old = content
        for part in _parts(path):
            old = old.get(part) if isinstance(old, Mapping) else old[part]
        if old != new:
            found.append(Edit(path, old, new))
    return found


def apply(content: dict[str, Any], edit: Edit) -> None:
    """Make one edit.

    Raises:
        AssertionError: Another step stands where one has to go.
    """
    train = content.get("data", {}).get("train", {})
    if edit.path == "data.train.times" and train["type"] != "RepeatDataset":
        content["data"]["train"] = {"type": "RepeatDataset", "dataset": train}
    *way, last = _parts(edit.path.removeprefix(CONVERTED))
    node: Any = content
    for part in way:
        node = node[part]
    if isinstance(node, list) and edit.new is None:
        assert node[last]["type"] == edit.old["type"], edit
        del node[last]
    elif isinstance(node, list) and edit.old is None:
        node.insert(last, edit.new)
    elif edit.new is None:
        node.pop(last)
    else:
        node[last] = edit.new


def with_other_base(name: str, edit: Edit) -> dict[str, Any]:
    """The content of a 2.x config whose file names another base."""
    text = (zoo.folder() / name).read_text(encoding="utf-8")
    assert text.count(edit.old) == 1
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "_base_").symlink_to(zoo.folder() / "_base_")
        place = Path(folder) / name
        place.parent.mkdir()
        place.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        return dict(Config.fromfile(place, import_custom_modules=False).to_dict())


def _parts(path: str) -> list[Any]:
    parts = re.findall(r"[^.\[\]]+", path)
    return [int(part) if re.fullmatch(r"-?\d+", part) else part for part in parts]
