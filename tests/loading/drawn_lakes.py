"""Small drawn lakes, loaders over them and fingerprints of what they give; no test of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.runner import Runner

from deeplake_mmdet import fast_loader, import_coco

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
PACK = [{"type": "PackDetInputs"}]
LIGHT = [
    *LOAD,
    {"type": "Resize", "scale": (96, 96), "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    *PACK,
]
HEAVY = [
    *LOAD,
    {"type": "RandomResize", "scale": (96, 96), "ratio_range": (0.5, 2.0), "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": (64, 64)},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "PhotoMetricDistortion"},
    {"type": "RandomFlip", "prob": [0.3, 0.3], "direction": ["horizontal", "vertical"]},
    *PACK,
]
# Flips before and after other random steps; some samples are left out.
FLIPPED = [
    *LOAD,
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "Resize", "scale": (96, 96), "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.6, "direction": ["horizontal", "vertical", "diagonal"]},
    {"type": "RandomCrop", "crop_size": (64, 64)},
    {"type": "PhotoMetricDistortion"},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (9, 9), "keep_empty": False},
    *PACK,
]
MIXED = [
    {"type": "Mosaic", "img_scale": (64, 64), "pad_val": 114.0},
    {"type": "RandomAffine", "scaling_ratio_range": (0.1, 2), "border": (-32, -32)},
    {"type": "MixUp", "img_scale": (64, 64), "ratio_range": (0.8, 1.6), "pad_val": 114.0},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "RandomFlip", "prob": 0.5},
    *PACK,
]


def draw_lake(folder: Path, images: int, seed: int = 0) -> Path:
    """A lake of small noisy images, some upright, with up to four boxes each."""
    random = np.random.default_rng(seed)
    files = folder / f"images-{seed}"
    files.mkdir(parents=True)
    records, boxes = [], []
    for number in range(images):
        width, height = (64, 48) if number % 3 else (40, 56)
        image = random.integers(0, 255, (height // 4, width // 4, 3), np.uint8)
        name = f"{number:05d}.jpg"
        cv2.imwrite(str(files / name), cv2.resize(image, (width, height)))
        records.append({"id": number, "file_name": name, "width": width, "height": height})
        for _ in range(number % 5):
            x, y = random.uniform(0, 20, 2)
            w, h = random.uniform(4, 18, 2)
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": int(random.integers(1, 4)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": f"class{number}"} for number in (1, 2, 3)]
    annotations = folder / f"annotations-{seed}.json"
    annotations.write_text(json.dumps({"images": records, "annotations": boxes, "categories": categories}))
    lake = folder / f"lake-{seed}"
    import_coco(annotations, lake, images=files, progress=False)
    return lake


def lake_dataset(path: Path | str, pipeline: list[dict[str, Any]], **kwargs: Any) -> dict[str, Any]:
    return {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(path), "pipeline": pipeline, **kwargs}


def mixed_dataset(path: Path | str) -> dict[str, Any]:
    return {"type": "MultiImageMixDataset", "dataset": lake_dataset(path, LOAD), "pipeline": MIXED}


def loader_of(dataset: dict[str, Any], mode: str, workers: int, **options: Any) -> Any:
    """A loader as MMEngine builds it from a `fast_loader` config; ``batch_size`` 4, grouped by aspect."""
    extra = {key: options.pop(key) for key in ("shuffle", "window", "even") if key in options}
    config = {
        "batch_size": 4,
        "num_workers": workers,
        "dataset": dataset,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_sampler": {"type": "AspectRatioBatchSampler"},
        **options,
    }
    return Runner.build_dataloader(fast_loader(config, mode, **extra), seed=7)


def fingerprints(loader: Any, passes: Iterable[int] = (0,)) -> list[str]:
    """A hash of every sample, with its place in batch and pass."""
    found = []
    for number in passes:
        loader.batch_sampler.sampler.set_epoch(number)
        for place, batch in enumerate(loader):
            for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
                found.append(f"{number} {place} {fingerprint(image, sample)}")
    return found


def fingerprint(image: torch.Tensor, sample: Any) -> str:
    boxes = sample.gt_instances.bboxes
    parts = [image, getattr(boxes, "tensor", boxes), sample.gt_instances.labels]
    text = hashlib.md5()
    for part in parts:
        text.update(str((part.dtype, tuple(part.shape))).encode() + part.numpy().tobytes())
    text.update(repr(sorted(sample.metainfo.items(), key=lambda item: item[0])).encode())
    return text.hexdigest()


def rows_of(loader: Any) -> list[int]:
    return [sample.img_id for batch in loader for sample in batch["data_samples"]]
