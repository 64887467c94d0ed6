"""``poly2mask=False`` over a lake: the old integration kept masks as the lake stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.datasets.lakes import LAKE
from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["keep_stored_masks"]


def keep_stored_masks(new: Mapping[str, Any], notes: Notebook) -> None:
    """Let lakes whose pipelines ask for polygons give bitmaps where they store pixels.

    A lake's pipelines are its own, those of the wrappers around it, and those to which a hook switches.

    Args:
        new: A converted config; its datasets are changed in place.
        notes: Where remarks go.
    """
    for split in ("train", "val", "test"):
        loader = new.get(f"{split}_dataloader") or {}
        switched = split == "train" and _asks_for_polygons(new.get("custom_hooks"))
        for dataset in _lakes(loader.get("dataset"), switched):
            dataset["masks_as_stored"] = True
            notes.info(
                f"data.{split}",
                "masks that the lake stores as pixels become bitmaps, polygons stay polygons",
                "as in the old integration; poly2mask=False alone asks for polygons",
            )


def _lakes(node: Any, asked: bool) -> list[dict[str, Any]]:
    """The lakes of which a pipeline asks for polygons.

    Args:
        node: A dataset, or several.
        asked: Whether one outside of it does.
    """
    if isinstance(node, (list, tuple)):
        return [lake for part in node for lake in _lakes(part, asked)]
    if not isinstance(node, dict):
        return []
    asked = asked or _asks_for_polygons(node.get("pipeline"))
    if node.get("type") == LAKE:
        return [node] if asked else []
    return [lake for key in ("dataset", "datasets") for lake in _lakes(node.get(key), asked)]


def _asks_for_polygons(node: Any) -> bool:
    if isinstance(node, (list, tuple)):
        return any(map(_asks_for_polygons, node))
    if not isinstance(node, Mapping):
        return False
    if str(node.get("type")).rpartition(".")[2] == "LoadAnnotations":
        return bool(node.get("with_mask")) and node.get("poly2mask") is False
    return any(map(_asks_for_polygons, node.values()))
