"""The datasets of a config: one walk through wrappers and lists, and which of them are lakes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.registry import DATASETS, Registry

__all__ = [
    "SPLITS",
    "Place",
    "all_datasets",
    "innermost",
    "innermost_of",
    "is_lake",
    "kind_of_part",
    "lakes_in",
]

SPLITS = ("train", "val", "test")
_INNER = ("dataset", "datasets")
_LAKE = "DeepLakeDataset"
_LAKE_CLASS = "deeplake_mmdet.dataset.lake_dataset.DeepLakeDataset"


class Place(NamedTuple):
    """A dataset's config, where it stands in a config.

    Attributes:
        key: Its dotted key, e.g. ``train_dataloader.dataset.datasets[1]``.
        node: The part of the config itself, no copy.
        above: The wrappers around it, the outermost first.
    """

    key: str
    node: Any
    above: tuple[Any, ...] = ()

    @property
    def pipelines(self) -> tuple[Any, ...]:
        """The pipelines of its wrappers and its own, the outermost first; None where one has none."""
        return tuple(node.get("pipeline") for node in (*self.above, self.node))

    @property
    def is_innermost(self) -> bool:
        """Whether it wraps no other one."""
        return not any(self.node.get(name) for name in _INNER)


def all_datasets(node: Any, key: str = "", above: tuple[Any, ...] = ()) -> Iterator[Place]:
    """All datasets of a part of a config, each wrapper before what it wraps.

    Args:
        node: A dataset's config or a list of them, with any wrappers; other things hold none.
        key: Its own key.
        above: The wrappers around it.

    Returns:
        Their places.
    """
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from all_datasets(part, f"{key}[{number}]", above)
    elif isinstance(node, Mapping):
        yield Place(key, node, above)
        ours = kind_of_part(node) == "Feed"  # put in by us: users know no such key
        for name in _INNER:
            if node.get(name):
                yield from all_datasets(node[name], key if ours else f"{key}.{name}", (*above, node))


def innermost(node: Any, key: str = "") -> Iterator[Place]:
    """The datasets that read something, wrappers left out.

    Args:
        node: A dataset's config or a list of them.
        key: Its own key.

    Returns:
        Their places.
    """
    return (place for place in all_datasets(node, key) if place.is_innermost)


def innermost_of(content: Mapping[str, Any], split: str, key: str | None = None) -> Iterator[Place]:
    """The datasets that a split of a 3.x config reads.

    Args:
        content: The config's content.
        split: ``train``, ``val`` or ``test``.
        key: What to call the split's dataset in place of ``<split>_dataloader.dataset``.

    Returns:
        Their places; none if the config has no such split.
    """
    loader = content.get(f"{split}_dataloader")
    node = loader.get("dataset") if isinstance(loader, Mapping) else None
    return innermost(node, f"{split}_dataloader.dataset" if key is None else key)


def lakes_in(node: Any) -> list[Any]:
    """The configs of the lakes in that of a dataset, wrappers or not.

    Args:
        node: A dataset's config or a list of them.

    Returns:
        Those configs themselves, no copies.
    """
    return [place.node for place in all_datasets(node) if is_lake(place.node)]


def kind_of_part(node: Any) -> str:
    """Read the type of a part of a config.

    Args:
        node: The part; its ``type`` may be a class.

    Returns:
        Its name without scope or module; empty if there is none.
    """
    kind = node.get("type") if isinstance(node, Mapping) else None
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return text.rpartition(".")[2]


def is_lake(node: Any) -> bool:
    """Whether a config is that of a `DeepLakeDataset`, or of a class derived from it that is registered.

    Nothing is imported to find out: a config's ``custom_imports`` have been by the time it is loaded.

    Args:
        node: Any part of a config. Its ``type`` may be a class, a registered name with or without scope, or
            module and class, as configs with imports have it.
    """
    kind = node.get("type") if isinstance(node, Mapping) else None
    if isinstance(kind, str):
        if kind.rpartition(".")[2] == _LAKE:
            return True
        return any(map(_is_derived, _named(kind)))
    return _is_derived(kind)


def _is_derived(kind: Any) -> bool:
    parents = kind.__mro__ if isinstance(kind, type) else ()
    return any(f"{each.__module__}.{each.__name__}" == _LAKE_CLASS for each in parents)


def _named(text: str) -> Iterator[Any]:
    place, _, name = text.rpartition(".")
    yield getattr(sys.modules.get(place), name, None)
    for registry in _registries(DATASETS):
        if place in ("", registry.scope):
            yield registry.module_dict.get(name)


def _registries(root: Registry) -> Iterator[Registry]:
    yield root
    for child in root.children.values():
        yield from _registries(child)
