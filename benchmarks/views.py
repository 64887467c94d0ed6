"""Training on a view of half the rows, spread at random, against training on the whole lake.

    python benchmarks/views.py [--data FOLDER] [--rows 2000] [--rounds 7] [--latency 0.05] [--quick]

One process; the passes of the contestants take turns, local in threads and over an S3 endpoint with latency
in threads. The views are one in the lake's order, one ordered by a column (so that neighbours lie in chunks
far from each other) and one that is saved as a tag. Prints images per second, the ratio to the whole lake's
of the same turn with a 95 % interval of its median, and from S3 the requests for each image, which are exact,
beside the lake's layout. Then opens queries of a lake of 10^5 rows, each in a fresh process with an empty
cache and again with a full one. Appends to results.jsonl; ends with code 1 if a view needs more than four
times the requests of the whole lake.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loaders.built import set_up
from loaders.data import BenchSet, small_lake
from loaders.pipelines import lake_dataset, loader
from loaders.rounds import interval
from measuring import append_record, measured
from s3_server import BUCKET, Server, s3_server

_MOST_REQUESTS = 4.0  # for an image of a view, in those for one of the whole lake
_SAVED = "half"
_MANY_ROWS = 100_000


def rows_query(rows: int, count: int, order: str = "") -> str:
    """A query of ``count`` of ``rows`` rows, drawn at random."""
    chosen = sorted(np.random.default_rng(0).permutation(rows)[:count].tolist())
    listed = ",".join(map(str, chosen))
    return f"SELECT * FROM (SELECT *, ROW_NUMBER() AS base_row) WHERE base_row IN ({listed}) {order}".strip()


def save_half(path: Path, query: str) -> None:
    """Save the query as a view, unless that was done."""
    import deeplake

    lake: Any = deeplake.open(str(path))
    if _SAVED not in lake.tags.names():
        lake.query(query).tag(_SAVED)


def contestants(path: str, rows: int, endpoint: str | None) -> dict[str, Any]:
    """Loaders by name: the whole lake first, then its views."""
    from mmengine.runner import Runner

    from deeplake_mmdet import fast_loader

    half = rows // 2
    choices: Mapping[str, dict[str, str]] = {
        "whole": {},
        "half": {"query": rows_query(rows, half)},
        "half, ordered": {"query": rows_query(rows, half, "ORDER BY file_name DESC")},
        "half, saved": {"view": _SAVED},
    }
    return {
        name: Runner.build_dataloader(
            fast_loader(loader({**lake_dataset(path, "plain", endpoint), **choice}, 2), "threads"), seed=0
        )
        for name, choice in choices.items()
    }


def one_pass(dataloader: Any, number: int) -> tuple[int, float]:
    """Images of a pass, and seconds."""
    dataloader.batch_sampler.sampler.set_epoch(number)
    start, images = time.perf_counter(), 0
    for batch in dataloader:
        images += len(batch["inputs"])
    return images, time.perf_counter() - start


def compare(sides: dict[str, Any], rounds: int, server: Server | None) -> dict[str, dict[str, Any]]:
    """Rates and requests for each image, by contestant and turn."""
    found: dict[str, dict[str, Any]] = {name: {"rate": [], "requests": []} for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            for lake in side.dataset.lakes:
                lake.view.close()  # what Deep Lake has kept
                len(lake.view.handle)  # opened before the clock starts
            if server is not None:
                server.reset()
            images, seconds = one_pass(side, number)
            if number:  # the first turn warms up
                found[name]["rate"].append(images / seconds)
                if server is not None:
                    found[name]["requests"].append(server.counts().requests / images)
    for side in sides.values():
        side.dataset.close()
    return found


def report(title: str, found: dict[str, dict[str, Any]]) -> bool:
    """Print; whether the requests are within the limit."""
    print(title)
    whole, good = found["whole"], True
    for name, values in found.items():
        line = f"  {name:14} {statistics.median(values['rate']):7.1f} img/s"
        if name != "whole":
            ratios = [ours / theirs for ours, theirs in zip(values["rate"], whole["rate"], strict=True)]
            low, high = interval(ratios)
            line += f" = {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}) x whole"
        if values["requests"]:
            each, base = statistics.median(values["requests"]), statistics.median(whole["requests"])
            line += f", {each:.4f} requests/img = {each / base:.2f} x"
            good = good and each <= _MOST_REQUESTS * base
        print(line, flush=True)
    return good


def opening_queries(rows: int) -> dict[str, dict[str, str]]:
    """What is opened of the large lake."""
    return {
        "whole": {},
        "WHERE image_id % 2 == 0": {"query": "SELECT * WHERE image_id % 2 == 0"},
        "ORDER BY image_id DESC": {"query": "SELECT * ORDER BY image_id DESC"},
        "3 000 rows by number": {"query": rows_query(rows, 3000)},
        "half the rows by number": {"query": rows_query(rows, rows // 2)},
        "half, saved as a view": {"view": _SAVED},
    }


def measure_opening(path: str, choice: str) -> dict[str, float]:
    """Seconds of a query alone, and of making a dataset, in this process."""
    import logging

    import deeplake

    from deeplake_mmdet import DeepLakeDataset

    logging.disable(logging.INFO)
    chosen = json.loads(choice)
    lake: Any = deeplake.open_read_only(path)
    start = time.perf_counter()
    if "query" in chosen:
        len(lake.query(chosen["query"]))
    queried = time.perf_counter() - start
    start = time.perf_counter()
    dataset = DeepLakeDataset(path, pipeline=[], **chosen)
    dataset.full_init()
    return {"query": queried, "open": time.perf_counter() - start, "rows": len(dataset)}


def open_times(root: Path, rows: int) -> dict[str, list[dict[str, float]]]:
    """Times with an empty cache and with a full one."""
    path = small_lake(root, rows)
    save_half(path, rows_query(rows, rows // 2))
    found = {}
    print(f"{rows} rows: seconds of the query, of opening it first, and again")
    for name, choice in opening_queries(rows).items():
        with tempfile.TemporaryDirectory() as cache:
            environment = {"DEEPLAKE_MMDET_CACHE": cache}
            times = [
                measured(__file__, str(path), json.dumps(choice), environment=environment) for _ in range(2)
            ]
        found[name] = times
        first, again = times
        print(f"  {name:26} {first['query']:.2f} {first['open']:.2f} {again['open']:.2f}", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("/tmp/deeplake-mmdet-bench"), help="folder of data")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before each answer")
    parser.add_argument("--quick", action="store_true", help="few rows and rounds, to see that all is well")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure_opening(*args.measure)))
        return
    if args.quick:
        args.rows, args.rounds = min(args.rows, 400), min(args.rounds, 2)
    set_up()
    data = args.data.resolve()
    made = BenchSet.make(data, args.rows)
    save_half(made.lake, rows_query(args.rows, args.rows // 2))
    with s3_server(data, latency=args.latency) as server:
        os.environ.update({name.upper(): key for name, key in server.environment_keys.items()})
        url = f"s3://{BUCKET}/{made.lake.relative_to(data)}"
        local = compare(contestants(str(made.lake), args.rows, None), args.rounds, None)
        report("local:", local)
        sides = contestants(url, args.rows, server.url)
        chunks = len(sides["whole"].dataset.lakes[0].view.blocks)
        layout = f"{args.rows} images of {made.image_bytes // args.rows // 1000} kB in {chunks} chunks"
        remote = compare(sides, args.rounds, server)
        good = report(f"S3 at {1000 * args.latency:.0f} ms, {layout}:", remote)
    opened = open_times(data, 10_000 if args.quick else _MANY_ROWS)
    append_record("views", args, local=local, remote=remote, layout=layout, opened=opened)
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main()
