"""Later epochs with prepared images, against our own loader without, stock MMDetection and bare decoding.

    python benchmarks/prepared.py [--data FOLDER] [--rows 800] [--rounds 5]

One process; the contestants' epochs take turns, in two worker processes that stay. Prints, for each pipeline,
images per second and the medians of the ratios of one turn with their range, and appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from loaders.built import set_up
from loaders.data import BenchSet
from loaders.pipelines import lake_dataset, loader, stock_dataset, wrap_mosaic
from measuring import append_record
from s3_server import BUCKET, s3_server

_DECODED = 300


def epoch(dataloader: Any) -> float:
    """Images per second of one pass."""
    start, images = time.perf_counter(), 0
    for batch in dataloader:
        images += len(batch["inputs"])
    return images / (time.perf_counter() - start)


def bare_decoding(made: BenchSet, cores: int) -> float:
    """Images per second that some cores decode and do nothing else."""
    import cv2
    import numpy as np

    files = [path.read_bytes() for path in sorted(made.images.iterdir())[:_DECODED]]
    start = time.perf_counter()
    for data in files:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cores * len(files) / (time.perf_counter() - start)


def build(dataset: dict[str, Any], pipeline: str, *, ours: bool = True) -> Any:
    """A loader of two processes."""
    from mmengine.runner import Runner

    from deeplake_mmdet import fast_loader

    config = loader(wrap_mosaic(dataset) if pipeline == "mosaic" else dataset, 2)
    return Runner.build_dataloader(fast_loader(config, "processes") if ours else config, seed=0)


def compare(
    made: BenchSet, pipeline: str, prepared: dict[str, str], rounds: int, remote: dict[str, Any] | None = None
) -> dict[str, list[float]]:
    """Rates of each contestant, by turn; ``first`` is that of the epoch that fills,
    ``first without`` that of the first epoch without prepared images.

    Args:
        made: The images.
        pipeline: Which one, by its name in `loaders.pipelines`.
        prepared: The dataset's key.
        rounds: How many turns.
        remote: The same lake behind an endpoint, for the contestant with prepared images.
    """
    local = lake_dataset(str(made.lake), pipeline)
    sides = {
        "with": build({**(remote or local), "prepared": prepared}, pipeline),
        "without": build(local, pipeline),
    }
    if pipeline == "mosaic":
        sides["stock"] = build(stock_dataset(made, pipeline), pipeline, ours=False)
    found: dict[str, list[float]] = {name: [] for name in (*sides, "bare")}
    bare_decoding(made, 2)
    found["first without"] = [epoch(sides["without"])]  # both with the start of their workers
    found["first"] = [epoch(sides["with"])]
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(epoch(side))
        found["bare"].append(bare_decoding(made, 2))
    for name in ("with", "without"):
        sides[name].dataset.close()
    return found


def told(found: dict[str, Any], against: str) -> str:
    """A ratio of medians, with the range of the turns' own."""
    turns = [ours / theirs for ours, theirs in zip(found["with"], found[against], strict=True)]
    return f"{statistics.median(turns):.2f} ({min(turns):.2f} to {max(turns):.2f}) x {against}"


def main() -> None:
    """Measure all pipelines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("/tmp/deeplake-mmdet-bench"))
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds, of the S3 endpoint")
    args = parser.parse_args()
    set_up()
    made = BenchSet.make(args.data.resolve(), args.rows)
    half = f"{args.rows * 640 * 480 * 3 // 2}b"
    results = {}
    with s3_server(args.data, latency=args.latency) as server:
        os.environ.update({name.upper(): key for name, key in server.environment_keys.items()})
        far = f"s3://{BUCKET}/{made.lake.relative_to(args.data.resolve())}"
        for name, pipeline, size, at in (
            ("Resize 640 + flip", "plain", "1TB", None),
            ("load and pack", "least", "1TB", None),
            ("YOLOX: Mosaic, MixUp", "mosaic", "1TB", None),
            ("room for half the rows", "plain", half, None),
            (f"S3 at {1000 * args.latency:.0f} ms", "plain", "1TB", server),
        ):
            remote = None if at is None else lake_dataset(far, pipeline, at.url)
            with tempfile.TemporaryDirectory(dir=args.data) as folder:
                found = compare(made, pipeline, {"size": size, "folder": folder}, args.rounds, remote)
            results[name] = found
            against = [side for side in ("without", "stock", "bare") if side in found]
            first = found["first"][0] / found["first without"][0]
            print(
                f"{name}: {statistics.median(found['with']):.0f} img/s = "
                f"{', '.join(told(found, side) for side in against)}; first epoch {first:.2f} x without"
            )
    append_record("prepared", args, results=results)


if __name__ == "__main__":
    main()
