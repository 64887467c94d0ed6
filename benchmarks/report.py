"""Seconds that the report of a run takes, its size, and how soon Chromium shows it.

    python benchmarks/report.py [--images 5000] [--classes 80] [--predictions 100] [--rounds 3]

Makes a lake of drawn images (640 x 480, JPEG) with seven objects each, and a run's folder with predictions
beside and apart from them; then `deeplake-mmdet report` in processes of its own, imports included, and opens
the page from disk in Chromium without a window (playwright; first contentful paint). Prints the medians, with
the processes' CPU time, and appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deeplake_mmdet.evaluation import gathered_predictions, write_run_predictions
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.transfer import import_coco
from measuring import append_record

_WIDTH, _HEIGHT, _OBJECTS, _UNIQUE = 640, 480, 7, 200


def make_lake(folder: Path, images: int, classes: int) -> Path:
    """A lake of drawn images; files repeat after 200."""
    draw = np.random.default_rng(0)
    files = folder / "images"
    files.mkdir()
    for number in range(min(images, _UNIQUE)):
        noise = draw.integers(0, 256, (_HEIGHT // 8, _WIDTH // 8, 3), np.uint8)
        pixels = cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(files / f"{number}.jpg"), pixels)
    for number in range(_UNIQUE, images):
        (files / f"{number}.jpg").hardlink_to(files / f"{number % _UNIQUE}.jpg")
    corners = draw.uniform(0, [_WIDTH - 200, _HEIGHT - 200], (images * _OBJECTS, 2))
    sizes = draw.uniform(10, 200, (images * _OBJECTS, 2))
    labels = draw.integers(0, classes, images * _OBJECTS)
    truth = {
        "categories": [{"id": label + 1, "name": f"class {label}"} for label in range(classes)],
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": _WIDTH, "height": _HEIGHT} for n in range(images)
        ],
        "annotations": [
            {
                "id": n + 1, "image_id": n // _OBJECTS, "category_id": int(labels[n]) + 1, "iscrowd": 0,
                "bbox": [*corners[n].tolist(), *sizes[n].tolist()], "area": float(sizes[n].prod()),
            }
            for n in range(images * _OBJECTS)
        ],
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(truth))
    import_coco(folder / "truth.json", folder / "lake", images=files, progress=False)
    return folder / "lake"


def make_run(folder: Path, lake: Path, count: int) -> Path:
    """A run's folder: predictions, a log of 300 epochs, a record."""
    draw = np.random.default_rng(1)
    view = open_view(Source(str(lake)))
    found = []
    for row in range(len(view.table)):
        beside = view.table.xyxy(row) + draw.normal(0, 6, (_OBJECTS, 4))
        beside[:, 2:] = np.maximum(beside[:, 2:], beside[:, :2] + 1)
        corners = draw.uniform(0, [_WIDTH - 200, _HEIGHT - 200], (count - _OBJECTS, 2))
        apart = np.concatenate([corners, corners + draw.uniform(10, 200, corners.shape)], axis=1)
        scores = np.concatenate([draw.uniform(0.3, 1, _OBJECTS), draw.random(count - _OBJECTS) ** 4])
        own = np.asarray(view.labels[view.table.span(row)], np.int64)
        labels = np.concatenate([own, draw.integers(0, len(view.classes), count - _OBJECTS)])
        boxes = np.concatenate([beside, apart])
        found.append(Found(view.key, row, boxes, scores, labels))
    scores = {"coco/bbox_mAP": 0.4, "coco/bbox_mAP_50": 0.6}
    predictions, _ = gathered_predictions(found, split="val", epoch=300, iteration=300_000, scores=scores)
    run = folder / "run"
    write_run_predictions(run / "evaluation" / "val.npz", predictions)
    data = run / "20260101_000000" / "vis_data"
    data.mkdir(parents=True)
    lines: list[dict[str, Any]] = []
    for step in range(50, 300_001, 50):
        lines.append({"lr": 0.01, "data_time": 0.01, "time": 0.3, "loss": 100 / step, "step": step})
        lines[-1]["epoch"] = -(-step // 1000)
        if step % 1000 == 0:
            lines.append({"coco/bbox_mAP": step / 1e6, "step": step // 1000})
    (data / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = {"starts": [{"started": "20260101_000000", "lakes": [view.source.facts()]}]}
    (run / "run.json").write_text(json.dumps(facts))
    return run


def first_paint(page_file: Path) -> dict[str, float] | None:
    """Seconds to the first contentful paint, and until the table of classes stands; None without Chromium."""
    path = shutil.which("chromium")
    if path is None:
        print("there is no chromium: the paint is not measured", file=sys.stderr)
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
        page.goto("about:blank")
        page.goto(page_file.as_uri())
        page.wait_for_selector("#class-table tbody tr")
        found: list[float] = page.evaluate(
            "[performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.now()]"
        )
        browser.close()
    return {"paint": found[0] / 1000, "ready": found[1] / 1000}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--predictions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = make_run(folder, make_lake(folder, options.images, options.classes), options.predictions)
        command = [sys.executable, "-m", "deeplake_mmdet.cli", "report", str(run)]
        seconds, cpu, paints = [], [], []
        for _ in range(options.rounds):
            start, before = time.perf_counter(), _children()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
            cpu.append(_children() - before)
            if (found := first_paint(run / "report.html")) is not None:
                paints.append(found)
        size = (run / "report.html").stat().st_size / 1e6
    record: dict[str, Any] = {
        "seconds": statistics.median(seconds),
        "cpu": statistics.median(cpu),
        "megabytes": size,
        **{name: statistics.median(one[name] for one in paints) for name in ("paint", "ready") if paints},
    }
    append_record("report", options, **record)
    print(f"made in {record['seconds']:.1f} s (10), {record['cpu']:.1f} s of CPU, {size:.1f} MB (15)")
    if paints:
        print(f"first paint after {record['paint']:.2f} s (1), table after {record['ready']:.2f} s")


if __name__ == "__main__":
    main()
