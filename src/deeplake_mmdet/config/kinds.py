"""What a dataset's config is a config of."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from mmengine.registry import DATASETS, Registry

__all__ = ["dataset_leaves", "is_lake"]

_LAKE = "DeepLakeDataset"
_LAKE_CLASS = "deeplake_mmdet.dataset.lake_dataset.DeepLakeDataset"


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


def dataset_leaves(node: Any, key: str) -> Iterator[tuple[str, MutableMapping[str, Any]]]:
    """The datasets inside a dataset's config that read something, wrappers left out, with their keys.

    Args:
        node: A dataset's config, with any wrappers around it.
        key: Its own key, e.g. ``train_dataloader.dataset``.
    """
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from dataset_leaves(part, f"{key}[{number}]")
    elif isinstance(node, MutableMapping):
        inner = [name for name in ("dataset", "datasets") if node.get(name)]
        for name in inner:
            own = str(node.get("type")).rpartition(".")[2] == "Feed"  # put in by us: users know no such key
            yield from dataset_leaves(node[name], key if own else f"{key}.{name}")
        if not inner:
            yield key, node


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
