"""``poly2mask=False`` over a lake: the old integration kept masks as the lake stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["keep_stored_masks"]


def keep_stored_masks(loaders: Mapping[str, Any], notes: Notebook) -> None:
    """Let lakes whose pipelines ask for polygons give bitmaps where they store pixels.

    Args:
        loaders: Converted dataloaders by split; changed in place.
        notes: Where it is told.
    """
    for split, loader in loaders.items():
        for dataset in _lakes(loader.get("dataset")):
            if _asks_for_polygons(dataset.get("pipeline")):
                dataset["masks_as_stored"] = True
                notes.info(
                    f"data.{split}",
                    "masks that the lake stores as pixels become bitmaps, polygons stay polygons",
                    "as in the old integration; poly2mask=False alone asks for polygons",
                )


def _lakes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, (list, tuple)):
        return [lake for part in node for lake in _lakes(part)]
    if not isinstance(node, dict):
        return []
    if node.get("type") == "deeplake_mmdet.DeepLakeDataset":
        return [node]
    return [lake for key in ("dataset", "datasets") for lake in _lakes(node.get(key))]


def _asks_for_polygons(node: Any) -> bool:
    if isinstance(node, (list, tuple)):
        return any(map(_asks_for_polygons, node))
    if not isinstance(node, Mapping):
        return False
    if str(node.get("type")).rpartition(".")[2] == "LoadAnnotations":
        return bool(node.get("with_mask")) and node.get("poly2mask") is False
    return any(map(_asks_for_polygons, node.values()))
