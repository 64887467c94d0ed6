"""A converted config beside MMDetection's own 3.x config of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.bases import bases_of, installed_configs, place_of_base
from deeplake_mmdet.config.writing import SETTINGS
from deeplake_mmdet.legacy import counterpart

__all__ = ["Difference", "compared", "differences", "stock_base", "stock_counterpart"]


@dataclass(frozen=True)
class Difference:
    """A setting that two configs have differently.

    Attributes:
        key: Dotted path.
        ours: Its value here, as Python code; empty if it is not set.
        theirs: Its value there.
    """

    key: str
    ours: str
    theirs: str


def stock_counterpart(file: Path) -> str | None:
    """The installed 3.x config of the same name as a 2.x file, or as the first base that has one.

    Args:
        file: The 2.x file.

    Returns:
        E.g. ``yolo/yolov3_d53_8xb8-ms-416-273e_coco.py``; None if there is none.
    """
    root = installed_configs()
    for path in (str(file), *bases_of(file)):
        if "_base_" in Path(path).parts:
            continue  # a part of a config
        name = counterpart(path)
        if root is not None and name is not None and (root / name).is_file():
            return name
    return None


def stock_base(file: Path) -> str | None:
    """The installed config that a file is built on, through any number of files; of a 2.x file the like.

    Args:
        file: The config file's full path.

    Returns:
        E.g. ``rtmdet/rtmdet_tiny_8xb32-300e_coco.py``; None if there is none, or if it is built on by Python
        imports.
    """
    root = installed_configs()
    for base in bases_of(file) if root is not None else ():
        place = place_of_base(file, base)
        if place is None:
            package, _, name = base.partition("::")
            if package == "mmdet" and root is not None and (root / name).is_file():
                return name
        elif root is not None and place.is_relative_to(root) and "_base_" not in place.parts:
            return place.relative_to(root).as_posix()
        elif place.is_file() and (found := stock_base(place)) is not None:
            return found
    return stock_counterpart(file)


def differences(content: Mapping[str, Any], stock: str) -> list[Difference]:
    """Settings in which a 3.x config differs from a stock one; variables of the files do not count.

    Args:
        content: The config's content.
        stock: The stock config, as `stock_counterpart` names it.

    Returns:
        One for each setting, in MMDetection's order.
    """
    root = installed_configs()
    assert root is not None  # stock_counterpart found it there
    return compared(content, Config.fromfile(str(root / stock), import_custom_modules=False).to_dict())


def compared(content: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Settings in which two 3.x configs differ; variables of the files do not count.

    Args:
        content: The config's content.
        other: The other's.

    Returns:
        One for each setting, in MMDetection's order.
    """
    found: list[Difference] = []
    for key in SETTINGS:
        val = key.replace("test_", "val_")
        if key in _REPEATED and all(part.get(key) == part.get(val) for part in (content, other)):
            continue  # told once
        found += _compare(content.get(key, _UNSET), other.get(key, _UNSET), key)
    return found


_REPEATED = ("test_dataloader", "test_evaluator")
_UNSET = object()


def _compare(ours: Any, theirs: Any, key: str) -> Iterator[Difference]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in dict.fromkeys((*ours, *theirs)):
            yield from _compare(ours.get(name, _UNSET), theirs.get(name, _UNSET), f"{key}.{name}")
    elif _is_steps(ours) and _is_steps(theirs):
        yield from _compare_steps(ours, theirs, key)
    elif not _equal(ours, theirs) and not all(value is None or value is _UNSET for value in (ours, theirs)):
        yield Difference(key, _shown(ours), _shown(theirs))


def _compare_steps(ours: list[Any], theirs: list[Any], key: str) -> Iterator[Difference]:
    """Lists of typed dicts, e.g. pipelines: steps of one type stand beside each other."""
    matcher = SequenceMatcher(None, [_type(step) for step in ours], [_type(step) for step in theirs], False)
    for what, start, stop, other_start, other_stop in matcher.get_opcodes():
        if what == "equal":
            for number, (mine, other) in enumerate(
                zip(ours[start:stop], theirs[other_start:other_stop], strict=True)
            ):
                yield from _compare(mine, other, f"{key}[{start + number}:{_type(mine)}]")
            continue
        for number, step in enumerate(ours[start:stop], start):
            yield Difference(f"{key}[{number}:{_type(step)}]", _shown(step), "")
        for number, step in enumerate(theirs[other_start:other_stop], other_start):
            yield Difference(f"{key}[{number}:{_type(step)}]", "", _shown(step))


def _is_steps(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, Mapping) for part in value)
    )


def _type(step: Mapping[str, Any]) -> str:
    return str(step.get("type", "dict"))


def _equal(ours: Any, theirs: Any) -> bool:
    """A list and a tuple of the same numbers mean the same in a config."""
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    return bool(ours == theirs)


def _shown(value: Any) -> str:
    return "" if value is _UNSET else repr(value)
