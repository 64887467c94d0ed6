"""The demo's images in lakes that list their classes in other orders, or other classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deeplake_mmdet.demo.drawing import CLASS_NAMES, demo_images
from deeplake_mmdet.lake import ImageRecord, LakeWriter

REVERSED = tuple(reversed(CLASS_NAMES))


def write_lake(
    path: Path, names: Sequence[str], count: int = 4, seed: int = 0, spelling: dict[str, str] | None = None
) -> str:
    """A lake that lists these classes in this order; objects of others are left out.

    ``spelling``: what a class is called in the lake, where that is not its name.
    """
    known = {name: label for label, name in enumerate(names)}
    called = [(spelling or {}).get(name, name) for name in names]
    with LakeWriter(str(path), class_names=called, box_format="ltrb", image_format="jpeg") as writer:
        for number, (encoded, scene) in enumerate(demo_images(count, seed)):
            height, width = scene.image.shape[:2]
            own = [CLASS_NAMES[label] for label in scene.labels]
            keep = [place for place, name in enumerate(own) if name in known]
            labels = np.array([known[own[place]] for place in keep], np.int64)
            boxes = np.asarray(scene.boxes, np.float64).reshape(-1, 4)[keep]
            writer.append(ImageRecord(encoded, width, height, f"{number}.jpg", boxes, labels))
    return str(path)


def reading(cfg: Any, **lakes: Any) -> Any:
    """A copy of the demo's config whose loaders read these lakes, without any ``metainfo``.

    A value is a path, or a dataset's config in which ``'PATH'`` stands for what reads that lake.
    """
    cfg = copy.deepcopy(cfg)
    cfg.default_hooks.checkpoint.pop("save_best", None)
    for split, lake in lakes.items():
        dataset = cfg[f"{split}_dataloader"].dataset
        dataset.pop("metainfo", None)
        if isinstance(lake, str):
            dataset.path = lake
        else:
            cfg[f"{split}_dataloader"].dataset = _filled(lake, dataset)
    return cfg


def lake(path: str, **options: Any) -> dict[str, Any]:
    """A lake in a dataset's config for `reading`."""
    return {"lake": path, **options}


def _filled(node: Any, dataset: Any) -> Any:
    if "lake" in node:
        options = {name: value for name, value in node.items() if name != "lake"}
        return {**copy.deepcopy(dataset.to_dict()), "path": node["lake"], **options}
    if "datasets" in node:
        return {**node, "datasets": [_filled(part, dataset) for part in node["datasets"]]}
    return {**node, "dataset": _filled(node["dataset"], dataset)}


def save(model: Any, path: Path, classes: Sequence[str] | None = CLASS_NAMES, **more: Any) -> Path:
    """A checkpoint of a detector that names its classes, or not."""
    meta = {} if classes is None else {"dataset_meta": {"classes": tuple(classes)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta | more}, path)
    return path
