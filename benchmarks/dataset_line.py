"""A stock loader with the dataset line alone changed: DeepLakeDataset against CocoDataset on the same files.

    python benchmarks/dataset_line.py [--images FOLDER] [--rounds 5] [--batches 300] [--workers 2]

Both sides run the same pipeline, sampler, collate and number of workers; rounds alternate (lake, files, lake,
files, ...) in one process, each with fresh workers, warmed up before the clock starts. Prints images per
second of each round and the ratio of the medians; above 1 the lake is faster. Appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

import deeplake_mmdet
from measuring import append_record

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "scale": (640, 640), "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]


def write_coco(folder: Path, target: Path) -> None:
    """A COCO file over all JPEGs of a folder, two boxes each."""
    images, annotations = [], []
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        with Image.open(path) as image:
            width, height = image.size
        images.append({"id": number, "file_name": path.name, "width": width, "height": height})
        for box in ([10, 10, width / 2, height / 2], [30, 20, width / 3, height / 3]):
            area = box[2] * box[3]
            entry = {"image_id": number, "category_id": 1, "bbox": box, "area": area, "iscrowd": 0}
            annotations.append({"id": len(annotations), **entry})
    categories = [{"id": 1, "name": "thing"}]
    target.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def build_loader(dataset: dict[str, Any], batches: int, batch_size: int, workers: int) -> Any:
    """A stock train loader over as many repetitions as the batches need."""
    from mmengine.runner import Runner

    repeat = {"type": "RepeatDataset", "times": 1, "dataset": dataset}
    length = len(Runner.build_dataloader(_config(repeat, batch_size, 0), seed=0).dataset)
    repeat["times"] = -(-(batches * batch_size) // length)
    return Runner.build_dataloader(_config(repeat, batch_size, workers), seed=0)


def _config(dataset: dict[str, Any], batch_size: int, workers: int) -> dict[str, Any]:
    return {
        "batch_size": batch_size,
        "num_workers": workers,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "drop_last": True,
        "dataset": dataset,
    }


def images_per_second(loader: Any, batches: int, warm_up: int) -> float:
    """Images per second over ``batches`` batches, after ``warm_up`` more."""
    iterator = iter(loader)
    for _ in range(warm_up):
        next(iterator)
    start, seen = time.perf_counter(), 0
    for _ in range(batches - warm_up):
        seen += len(next(iterator)["inputs"])
    seconds = time.perf_counter() - start
    del iterator
    return seen / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "bccd" / "JPEGImages"
    parser.add_argument("--images", type=Path, default=default, help="folder of JPEG files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=320)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    from mmdet.utils import register_all_modules

    register_all_modules()
    logging.disable(logging.INFO)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        annotations, lake = Path(folder) / "coco.json", Path(folder) / "lake"
        write_coco(args.images, annotations)
        deeplake_mmdet.import_coco(annotations, lake, images=args.images, progress=False)
        common = {"pipeline": PIPELINE, "metainfo": {"classes": ("thing",)}}
        sides = {
            "lake": {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(lake), **common},
            "files": {
                "type": "CocoDataset",
                "ann_file": str(annotations),
                "data_prefix": {"img": str(args.images)},
                **common,
            },
        }
        size = (args.batches, args.batch_size, args.workers)
        loaders = {side: build_loader(dataset, *size) for side, dataset in sides.items()}
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(args.rounds):
            for side in sorted(sides, reverse=bool(number % 2)):
                speed = images_per_second(loaders[side], args.batches, args.warm_up)
                speeds[side].append(speed)
                print(f"round {number + 1} {side:>5} {speed:7.1f} images/s", flush=True)
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    ratio = medians["lake"] / medians["files"]
    print(f"median lake {medians['lake']:.1f}, files {medians['files']:.1f}, ratio {ratio:.3f}")
    append_record("dataset_line", args, speeds=speeds, ratio=ratio)


if __name__ == "__main__":
    main()
