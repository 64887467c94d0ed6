"""CocoMetric against MMDetection's own on the same predictions: time, memory, scores.

    python benchmarks/evaluation.py [--images 5000] [--predictions 100] [--classes 80] [--objects 36000]
                                    [--metric bbox segm]

The truth is written once, as a COCO file for the stock metric and as a lake for ours. Each side runs in a
process of its own. The clocks run inside process() of all samples, one image a batch, and inside evaluate();
loading the COCO file and opening the lake are not timed. Masks come as run lengths, so neither side encodes
any. A third run has `analysis` on: what that adds, in time and memory. Memory is the peak of the process, and
that less what it held before the first sample. Prints all sides and the ratios (above 1: ours is faster, or
smaller) and appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import logging
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT = 640, 480
SIDES = ("stock", "ours")
ANALYSIS = "ours, analysis"


def write_data(folder: Path, args: argparse.Namespace) -> None:
    """Truth as ``truth.json`` and ``lake``, predictions as ``predictions.npz`` and ``masks.bin``."""
    rng = np.random.default_rng(0)
    owners = np.sort(rng.integers(args.images, size=args.objects))
    labels = rng.integers(args.classes, size=args.objects)
    boxes = _boxes(rng, args.objects)
    polygons = _ellipses(boxes, 12)
    annotations = [
        {
            "id": number + 1, "image_id": int(owners[number]), "category_id": int(labels[number]) + 1,
            "bbox": boxes[number].tolist(), "area": float(boxes[number, 2] * boxes[number, 3] * 0.75),
            "iscrowd": 0, "segmentation": [polygons[number].tolist()],
        }
        for number in range(args.objects)
    ]  # fmt: skip
    images = [
        {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(args.images)
    ]
    categories = [{"id": k + 1, "name": f"class {k}"} for k in range(args.classes)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(coco))
    _write_lake(folder, coco, args)
    # Half of the predictions are near an object, nine of ten of these of its class; the rest are anywhere.
    count = args.images * args.predictions
    source = rng.integers(args.objects, size=count)
    near = rng.random(count) < 0.5
    found = np.where(near[:, None], boxes[source] * rng.normal(1, 0.05, (count, 4)), _boxes(rng, count))
    image = np.where(near, owners[source], rng.integers(args.images, size=count))
    right = near & (rng.random(count) < 0.9)
    label = np.where(right, labels[source], rng.integers(args.classes, size=count))
    score = rng.random(count) ** np.where(near, 0.7, 3)
    order = np.lexsort((-score, image))
    found, image, label, score = found[order], image[order], label[order], score[order]
    place = np.arange(count) - np.searchsorted(image, image)
    keep = place < args.predictions
    found, image, label, score = found[keep], image[keep], label[keep], score[keep]
    found[:, 2:] += found[:, :2]
    bounds = np.searchsorted(image, np.arange(args.images + 1))
    masks = _run_lengths(found) if "segm" in args.metric else []
    ends = np.cumsum([0, *map(len, masks)])
    (folder / "masks.bin").write_bytes(b"".join(masks))
    np.savez(
        folder / "predictions.npz", boxes=found.astype(np.float32), labels=label,
        scores=score.astype(np.float32), bounds=bounds, ends=ends,
    )  # fmt: skip


def _boxes(rng: np.random.Generator, count: int) -> Any:
    size = rng.choice([20.0, 60.0, 160.0], (count, 1)) * rng.uniform(0.5, 1.5, (count, 2))
    return np.concatenate([rng.uniform(0, [WIDTH - 30, HEIGHT - 30], (count, 2)), size], axis=1).round(2)


def _ellipses(boxes: Any, corners: int) -> Any:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1)) / 2
    return (boxes[:, None, :2] + circle * boxes[:, None, 2:]).reshape(len(boxes), -1).round(2)


def _run_lengths(corners: Any) -> list[bytes]:
    from pycocotools import mask

    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    found: list[bytes] = []
    for start in range(0, len(boxes), 1000):
        polygons = _ellipses(boxes[start : start + 1000], 12).tolist()
        found += [entry["counts"] for entry in mask.frPyObjects(polygons, HEIGHT, WIDTH)]
    return found


def _write_lake(folder: Path, coco: dict[str, Any], args: argparse.Namespace) -> None:
    from PIL import Image

    from deeplake_mmdet.lake import ImageRecord, LakeWriter

    out = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(out, "jpeg")
    own: list[list[dict[str, Any]]] = [[] for _ in coco["images"]]
    for annotation in coco["annotations"]:
        own[annotation["image_id"]].append(annotation)
    columns = ("areas", "iscrowds", "image_id", "segmentations")
    names = [category["name"] for category in coco["categories"]]
    with LakeWriter(
        str(folder / "lake"),
        class_names=names,
        box_format="ltwh",
        image_format="jpeg",
        optional_columns=columns,
    ) as lake:
        for image, found in zip(coco["images"], own, strict=True):
            record = ImageRecord(
                out.getvalue(), WIDTH, HEIGHT, image["file_name"],
                boxes=np.array([a["bbox"] for a in found], float).reshape(-1, 4),
                labels=np.array([a["category_id"] - 1 for a in found], int), image_id=image["id"],
                areas=np.array([a["area"] for a in found], float), iscrowds=np.zeros(len(found), int),
                segmentations=[a["segmentation"] for a in found],
            )  # fmt: skip
            lake.append(record)


def samples(folder: Path, side: str, masks: bool, view: Any) -> Iterator[dict[str, Any]]:
    """Data samples as an evaluator hands them over, made as they are needed."""
    import torch

    with np.load(folder / "predictions.npz") as stored:
        data = {name: stored[name] for name in stored.files}
    blob = np.memmap(folder / "masks.bin", np.uint8, "r") if masks else None
    for image, (start, end) in enumerate(itertools.pairwise(data["bounds"])):
        found: dict[str, Any] = {
            "bboxes": torch.from_numpy(data["boxes"][start:end]),
            "scores": torch.from_numpy(data["scores"][start:end]),
            "labels": torch.from_numpy(data["labels"][start:end]),
        }
        if blob is not None:
            ends = data["ends"][start : end + 1].tolist()
            found["masks"] = [
                {"size": [HEIGHT, WIDTH], "counts": blob[a:b].tobytes()} for a, b in itertools.pairwise(ends)
            ]
        sample = {"img_id": image, "ori_shape": (HEIGHT, WIDTH), "pred_instances": found}
        yield sample if side == "stock" else sample | {"img_path": view.uri(image)}


def run_side(folder: Path, side: str, metric: str, backend: str) -> dict[str, Any]:
    """Evaluate on one side, in this process."""
    from mmengine.logging import MMLogger

    MMLogger.get_instance("benchmark", log_level=logging.ERROR)
    view = None
    if side != "stock":
        from deeplake_mmdet.evaluation import CocoMetric
        from deeplake_mmdet.lake import Source, open_view

        view = open_view(Source(str(folder / "lake")))
        analysis = str(folder / "analysis") if side == ANALYSIS else False
        evaluator: Any = CocoMetric(metric=metric, backend=backend, analysis=analysis)
    else:
        from mmdet.evaluation import CocoMetric as StockMetric

        evaluator = StockMetric(ann_file=str(folder / "truth.json"), metric=metric)
        classes = [category["name"] for category in evaluator._coco_api.dataset["categories"]]
        evaluator.dataset_meta = {"classes": classes}
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    seconds, cpu, count = 0.0, 0.0, 0
    for sample in samples(folder, side, metric == "segm", view):
        start, busy = time.perf_counter(), time.process_time()
        evaluator.process({}, [sample])
        seconds, cpu = seconds + time.perf_counter() - start, cpu + time.process_time() - busy
        count += 1
    start, busy = time.perf_counter(), time.process_time()
    scores = evaluator.evaluate(count)
    seconds, cpu = seconds + time.perf_counter() - start, cpu + time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = {"grown_mb": (peak - before) / 1024, "peak_mb": peak / 1024}
    return {"seconds": seconds, "cpu_seconds": cpu, **memory, "scores": scores}


def main() -> None:
    """Run both sides and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, number in (("images", 5000), ("predictions", 100), ("classes", 80), ("objects", 36000)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--metric", nargs="+", default=["bbox", "segm"], choices=["bbox", "segm"])
    parser.add_argument("--backend", default="hotcoco", choices=["hotcoco", "pycocotools"])
    parser.add_argument("--folder", type=Path, help="keep the data here, or take it from here")
    parser.add_argument("--side", choices=[*SIDES, ANALYSIS], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print("result", json.dumps(run_side(args.folder, args.side, args.metric[0], args.backend)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "predictions.npz").is_file():
            write_data(folder, args)
        for metric in args.metric:
            compare(folder, metric, args)


def compare(folder: Path, metric: str, args: argparse.Namespace) -> None:
    """Both sides of one metric, one after the other."""
    found = {}
    for side in (*SIDES, ANALYSIS):
        command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
        command += ["--metric", metric, "--backend", args.backend]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("result ")]
        if done.returncode or not lines:
            sys.exit(f"{side} failed: {done.stderr[-2000:]}")
        found[side] = json.loads(lines[0].removeprefix("result "))
    print(f"{metric}: {args.images} images, {args.predictions} predictions each, {args.classes} classes")
    for side, result in found.items():
        score = result["scores"][f"coco/{metric}_mAP"]
        print(
            f"  {side:<14} {result['seconds']:8.2f} s (CPU {result['cpu_seconds']:7.2f} s)"
            f"   memory +{result['grown_mb']:6.0f} MB"
            f" (peak {result['peak_mb']:6.0f} MB)   mAP {score:.4f}"
        )
    stock, ours, more = (found[side] for side in (*SIDES, ANALYSIS))
    ratios = {key: stock[key] / ours[key] for key in ("seconds", "cpu_seconds", "grown_mb", "peak_mb")}
    print(
        f"  ratio          {ratios['seconds']:8.1f} × (CPU {ratios['cpu_seconds']:5.1f} ×)"
        f"   memory {ratios['grown_mb']:.1f} × grown,"
        f" {ratios['peak_mb']:.1f} × peak"
    )
    ratios["analysis_seconds"] = more["seconds"] / ours["seconds"]
    ratios["analysis_cpu_seconds"] = more["cpu_seconds"] / ours["cpu_seconds"]
    print(
        f"  analysis on against off: {ratios['analysis_seconds']:.2f} × the time "
        f"(CPU {ratios['analysis_cpu_seconds']:.2f} ×), peak {more['peak_mb'] - ours['peak_mb']:+.0f} MB"
    )
    for key, value in stock["scores"].items():
        if abs(value - ours["scores"][key]) > 0.00051:  # the stock metric rounds to three digits
            sys.exit(f"the sides differ: {key} is {value} and {ours['scores'][key]}")
    entry = {
        "benchmark": "evaluation", "metric": metric, "images": args.images, "predictions": args.predictions,
        "classes": args.classes, "objects": args.objects, "backend": args.backend,
        "machine": platform.processor() or platform.machine(), "sides": found, "ratios": ratios,
    }  # fmt: skip
    with (Path(__file__).parent / "results.jsonl").open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
