"""Data loader configs of the two sides that MMDetection runs: stock on files, and ours on a lake."""

from __future__ import annotations

from typing import Any

from loaders.data import CLASSES, BenchSet

__all__ = ["BATCH_SIZE", "PLAIN", "lake_dataset", "loader", "stock_dataset", "wrap_mosaic"]

BATCH_SIZE = 8

_LOAD: list[dict[str, Any]] = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
]
PLAIN: list[dict[str, Any]] = [
    *_LOAD,
    {"type": "Resize", "scale": (640, 640), "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]
_PIPELINES = {
    "plain": PLAIN,
    # For R1: nothing is done with the decoded image.
    "decode": [{"type": "LoadImageFromFile"}, {"type": "KeepDecoded"}],
    # For the overhead of a row: the least that gives a training sample.
    "least": [*_LOAD, {"type": "PackDetInputs"}],
    "mosaic": _LOAD,
}
_SCALE = (640, 640)
# MMDetection's configs/yolox/yolox_s_8xb8-300e_coco.py.
_YOLOX: list[dict[str, Any]] = [
    {"type": "Mosaic", "img_scale": _SCALE, "pad_val": 114.0},
    {"type": "RandomAffine", "scaling_ratio_range": (0.1, 2), "border": (-320, -320)},
    {"type": "MixUp", "img_scale": _SCALE, "ratio_range": (0.8, 1.6), "pad_val": 114.0},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "Resize", "scale": _SCALE, "keep_ratio": True},
    {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False},
    {"type": "PackDetInputs"},
]


def stock_dataset(made: BenchSet, pipeline: str) -> dict[str, Any]:
    """MMDetection's ``CocoDataset`` on the files."""
    return {
        "type": "CocoDataset",
        "ann_file": str(made.annotations),
        "data_prefix": {"img": str(made.images)},
        "metainfo": {"classes": CLASSES},
        "pipeline": _PIPELINES[pipeline],
    }


def lake_dataset(
    path: str, pipeline: str, endpoint: str | None = None, cache: str | None = None
) -> dict[str, Any]:
    """Our dataset on a lake, in a folder or behind an endpoint (its keys are in the environment)."""
    dataset = {
        "type": "deeplake_mmdet.DeepLakeDataset",
        "path": path,
        "metainfo": {"classes": CLASSES},
        "pipeline": _PIPELINES[pipeline],
    }
    if endpoint:
        dataset["credentials"] = {"endpoint_url": endpoint, "aws_region": "us-east-1"}
    if cache:
        dataset["cache"] = {"size": "20GB", "folder": cache}
    return dataset


def wrap_mosaic(dataset: dict[str, Any]) -> dict[str, Any]:
    """The dataset under Mosaic and MixUp, as YOLOX trains."""
    return {"type": "MultiImageMixDataset", "dataset": dataset, "pipeline": _YOLOX}


def loader(dataset: dict[str, Any], workers: int) -> dict[str, Any]:
    """A stock train loader around a dataset."""
    return {
        "batch_size": BATCH_SIZE,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "drop_last": True,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "dataset": dataset,
    }
