"""Building the annotation table of a large lake against loading it from the cache.

    python benchmarks/annotation_table.py [--rows 1000000] [--boxes 7] [--lake FOLDER] [--columns few|all]

Writes a synthetic lake (tiny constant JPEGs, 0 to 2 * boxes boxes for each row), unless FOLDER holds one
already. Every measurement runs in a fresh process: building with an empty cache, loading from the cache, and
constructing a DeepLakeDataset with a warm cache in a spawned worker. Prints rows/s, growth of resident memory
over what the process had with the lake open, and the ratio of building to loading. Appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measuring import append_record, measured

_BATCH = 20_000
_CLASSES = [f"class {number}" for number in range(80)]


def write_lake(
    path: Path,
    rows: int,
    boxes: int,
    all_columns: bool,
    commits: int = 1,
    files: Sequence[bytes] | None = None,
) -> None:
    """A lake as `import coco` makes it, but for its images and the number of commits.

    ``files``: images of 640 x 480 that are taken in turn, with names; else all are of 2 x 2 pixels.
    """
    import deeplake
    from deeplake import types

    out = io.BytesIO()
    Image.new("RGB", (2, 2)).save(out, "JPEG")
    schema: dict[str, Any] = {
        "images": types.Image(sample_compression="jpeg"),
        "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
        "width": "int32",
        "height": "int32",
        "image_id": "int64",
    }
    if all_columns:
        schema |= {"areas": types.Array("float64", 1), "iscrowds": types.Array("uint8", 1)}
    if files is not None:
        schema["file_name"] = "text"
    lake = deeplake.create(str(path), schema=schema)
    lake.auto_commit_enabled = False
    lake["labels"].metadata["class_names"] = _CLASSES
    for name in ("width", "height"):
        lake[name].metadata["format"] = "stored-pixels"
    random = np.random.default_rng(0)
    size = min(_BATCH, -(-rows // commits))
    for number, start in enumerate(range(0, rows, size), start=1):
        count = min(size, rows - start)
        counts = random.integers(0, 2 * boxes + 1, count)
        cuts = np.cumsum(counts)[:-1]
        flat = random.random((counts.sum(), 4)) * 200 + 1
        labels = random.integers(0, len(_CLASSES), len(flat)).astype(np.uint32)
        batch = {
            "images": [files[row % len(files)] for row in range(start, start + count)]
            if files is not None
            else [out.getvalue()] * count,
            "boxes": np.split(flat, cuts),
            "labels": np.split(labels, cuts),
            "width": np.full(count, 640, np.int32),
            "height": np.full(count, 480, np.int32),
            "image_id": np.arange(start, start + count),
        }
        if files is not None:
            batch["file_name"] = [f"folder/{row:012d}.jpg" for row in range(start, start + count)]
        if all_columns:
            batch["areas"] = np.split(flat[:, 2] * flat[:, 3], cuts)
            batch["iscrowds"] = np.split((labels == 0).astype(np.uint8), cuts)
        lake.append(batch)
        if number < commits:
            lake.commit(f"part {number}")
    lake.commit("synthetic")


def _memory(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure_table(path: str) -> dict[str, float]:
    """Seconds until the table is there, and MB more at the peak than before."""
    from deeplake_mmdet.lake.schema.columns import describe_columns
    from deeplake_mmdet.lake.schema.labels import label_coding
    from deeplake_mmdet.lake.schema.roles import assign_roles
    from deeplake_mmdet.lake.source.pinning import handle_of, resolve
    from deeplake_mmdet.lake.source.source import Source
    from deeplake_mmdet.lake.table.store import table_of

    resolved = resolve(Source(path))
    handle = handle_of(resolved)
    columns = describe_columns(handle)
    roles = assign_roles(columns)
    box_format = columns[roles.gt_bboxes].box_format
    coding = label_coding(columns[roles.gt_labels], _CLASSES)
    assert box_format is not None
    before = _memory("VmRSS")
    start = time.perf_counter()
    table = table_of(resolved, handle, roles, box_format, coding)
    seconds = time.perf_counter() - start
    # Not ru_maxrss: a process starts with that of the one it was forked from.
    grown = _memory("VmHWM") - before
    return {"seconds": seconds, "rows": len(table), "boxes": len(table.boxes), "mb": grown}


def measure_dataset(path: str) -> dict[str, float]:
    """Seconds to construct a dataset, and private MB that its arrays add to this process."""
    import logging

    from deeplake_mmdet import DeepLakeDataset

    logging.disable(logging.INFO)
    private = _private()
    start = time.perf_counter()
    dataset = DeepLakeDataset(path, filter_cfg={"filter_empty_gt": True}, pipeline=[])
    dataset.full_init()
    seconds = time.perf_counter() - start
    grown = _private() - private
    dataset.get_data_info(0)
    return {"seconds": seconds, "mb": grown, "rows": len(dataset)}


def measure_worker(path: str) -> dict[str, float]:
    """Private MB that a worker has more for unpickling the dataset."""
    import multiprocessing

    from deeplake_mmdet import DeepLakeDataset

    dataset = DeepLakeDataset(path, filter_cfg={"filter_empty_gt": True}, pipeline=[])
    dataset.full_init()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    import pickle

    data = pickle.dumps(dataset)
    worker = context.Process(target=_unpickle, args=(there,))
    worker.start()
    here.send_bytes(data)
    found: dict[str, float] = here.recv()
    worker.join()
    return {**found, "pickle_mb": len(data) / 2**20}


def _unpickle(pipe: Any) -> None:
    import pickle

    import deeplake  # noqa: F401

    import deeplake_mmdet.dataset  # noqa: F401

    data = pipe.recv_bytes()
    private = _private() - len(data) / 2**20
    start = time.perf_counter()
    dataset = pickle.loads(data)
    del data
    dataset.get_data_info(1)
    pipe.send({"seconds": time.perf_counter() - start, "mb": _private() - private})


def _private() -> float:
    # Mapped files are in the page cache once for all processes, whatever smaps calls them.
    return _memory("RssAnon")


def run(what: str, path: Path, cache: Path) -> dict[str, float]:
    """One measurement in a fresh process."""
    return measured(__file__, what, "--lake", str(path), environment={"DEEPLAKE_MMDET_CACHE": str(cache)})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--boxes", type=int, default=7)
    parser.add_argument(
        "--columns", choices=("few", "all"), default="few", help="all: areas and iscrowds too"
    )
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measures = {"table": measure_table, "dataset": measure_dataset, "worker": measure_worker}
        print(json.dumps(measures[args.measure](str(args.lake))))
        return
    with tempfile.TemporaryDirectory() as folder:
        lake, cache = args.lake or Path(folder) / "lake", Path(folder) / "cache"
        if not lake.exists():
            start = time.perf_counter()
            write_lake(lake, args.rows, args.boxes, args.columns == "all")
            print(f"wrote the lake in {time.perf_counter() - start:.0f} s", flush=True)
        builds, loads = [], []
        for _ in range(args.rounds):
            shutil.rmtree(cache, ignore_errors=True)
            builds.append(run("table", lake, cache))
            loads.append(run("table", lake, cache))
            print(
                f"build {builds[-1]['seconds']:.2f} s, {builds[-1]['mb']:+.0f} MB; "
                f"load {loads[-1]['seconds'] * 1000:.1f} ms, {loads[-1]['mb']:+.0f} MB",
                flush=True,
            )
        build = statistics.median(found["seconds"] for found in builds)
        load = statistics.median(found["seconds"] for found in loads)
        rows = builds[0]["rows"]
        print(f"{rows:.0f} rows, {builds[0]['boxes']:.0f} boxes: {rows / build:.0f} rows/s")
        print(f"peak {max(found['mb'] for found in builds):+.0f} MB; loading is {build / load:.0f}x faster")
        dataset, worker = run("dataset", lake, cache), run("worker", lake, cache)
        print(f"dataset with a warm cache: {dataset['seconds']:.2f} s, {dataset['mb']:+.0f} MB private")
        print(f"spawned worker: {worker['mb']:+.0f} MB private, pickle {worker['pickle_mb']:.1f} MB")
    append_record("annotation_table", args, builds=builds, loads=loads, dataset=dataset, worker=worker)


if __name__ == "__main__":
    main()
