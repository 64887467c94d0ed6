"""The datasets of one split that MMDetection 2.x scored each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.legacy.datasets.datasets import (
    file_lists,
    inward,
    is_coco,
    is_concat,
    leaf_of,
    of_one_file,
)
from deeplake_mmdet.legacy.datasets.lakes import is_lake
from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["Part", "scored_parts"]


@dataclass(frozen=True)
class Part:
    """A dataset that is scored by itself.

    Attributes:
        prefix: Of its scores, ``0`` or, of a list within a list, ``0_1``; empty if it is the only one.
        node: The 2.x dataset, with what its wrappers say of it.
    """

    prefix: str
    node: Any

    @property
    def source(self) -> Mapping[str, Any]:
        """The innermost 2.x dataset, the first if they are scored together."""
        return leaf_of(self.node)

    @property
    def is_lake(self) -> bool:
        """Whether it reads a lake."""
        return is_lake(self.node)


def scored_parts(node: Any, key: str, notes: Notebook) -> list[Part]:
    """Split a val or test dataset into those that 2.x scored each by itself.

    2.x scored the datasets of a list, of a ``ConcatDataset`` and of a list of ``ann_file`` each by itself,
    and together with ``separate_eval=False``, which it refused for datasets of COCO files.

    Args:
        node: The 2.x dataset, or a list of them.
        key: Its dotted path.
        notes: Where remarks go.
    """
    found = _parts(node, key, notes)
    return [Part("_".join(map(str, places)), part) for places, part in found]


def _parts(node: Any, key: str, notes: Notebook) -> list[tuple[tuple[int, ...], Any]]:
    inner = _list_in(node)
    if inner is None:
        return [((), node)]
    if is_concat(node):
        known = {"type", "datasets", "separate_eval", "lazy_init", "ignore_keys", *inward(node)}
        for name in [name for name in node if name not in known]:
            why = f"2.x did not read it from a ConcatDataset: it belongs into {key}.datasets"
            notes.dropped(f"{key}.{name}", "dropped", why, old=node[name])
    if isinstance(node, Mapping) and node.get("separate_eval", True) is False:
        leaf = leaf_of(inner)
        if is_lake(inner) or not is_coco(leaf):
            return [((), node)]
        notes.approximated(
            f"{key}.separate_eval",
            "each file is scored by itself",
            "2.x refused to score COCO files together, and a 3.x metric reads one file",
            old=False,
        )
    if len(inner) == 1:
        return _parts(inner[0], key, notes)
    return [
        ((number, *places), part)
        for number, one in enumerate(inner)
        for places, part in _parts(one, f"{key}[{number}]", notes)
    ]


def _list_in(node: Any) -> list[Any] | None:
    """The datasets that a node lists; None if it is one dataset."""
    if isinstance(node, (list, tuple)):
        return list(node)
    if is_concat(node) and node["datasets"]:
        given = inward(node)
        return [{**part, **given} if isinstance(part, Mapping) else part for part in node["datasets"]]
    if isinstance(node, Mapping) and not is_lake(node) and (lists := file_lists(node)):
        return of_one_file(node, lists)
    return None
