"""CPU time of fetching whole chunks of images from S3: directly, through Deep Lake, and out of local files.

    python benchmarks/s3_fetch.py [--data FOLDER] [--rounds 7] [--latency 0.05]

Reading keeps one core busy with whatever it costs: on one core the rate from S3 as a share of the local
rate (R3 of loader.py) can be no better than what decoding and transforms of an image take, divided by the
same and what is measured here in excess of local files. Turns within one process, on one core, the server
on another; the rows of local files come as a loader asks for them, eight at a time in the order of a chunk
shuffle. Prints milliseconds for each image, in all threads, and appends to results.jsonl.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from loaders.built import set_up
from loaders.data import BenchSet
from loaders.window import pin
from measuring import append_record
from s3_server import BUCKET, s3_server

ROWS = 2000
CONNECTIONS = 4
BATCH = 8


def chunk_by_chunk(fetch: Callable[[int, int], list[Any]], view: Any) -> None:
    """Fetch all images, as the loader's reading threads do."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        fetched = threads.map(lambda span: len(fetch(*span)), pairwise(view.chunk_bounds.tolist()))
        assert sum(fetched) == ROWS


def batch_by_batch(view: Any) -> None:
    """Read all images out of local files."""
    from deeplake_mmdet.loading.order import order_of_pass

    bounds = view.chunk_bounds
    blocks = bounds.searchsorted(range(ROWS), side="right") - 1
    rows = order_of_pass(ROWS, 0, 0, shuffle=True, blocks=blocks).indices.tolist()
    for begin in range(0, ROWS, BATCH):
        view.fetch(rows[begin : begin + BATCH])


def cpu_ms(call: Callable[[], None]) -> float:
    """CPU time for each image, in all threads of this process."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start) / ROWS


def main() -> None:
    """Measure in turns and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("/tmp/deeplake-mmdet-bench"), help="folder of data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before each answer")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    made = BenchSet.make(args.data, ROWS)
    pin(cores[-1:])
    set_up()
    logging.disable(logging.WARNING)
    from deeplake_mmdet.lake import CredentialRef, Source, open_view, put_away
    from deeplake_mmdet.lake.images.cells import fetch_images

    with s3_server(args.data, core=cores[0], latency=args.latency) as server:
        url = f"s3://{BUCKET}/{made.lake.relative_to(args.data)}"
        far = open_view(Source(url), credentials=CredentialRef(put_away({"creds": server.creds})))
        near = open_view(Source(str(made.lake)))
        column = far.columns[far.roles.img]

        def by_deep_lake(start: int, stop: int) -> list[Any]:
            return fetch_images(far.handle, column, range(start, stop))

        ways: dict[str, Callable[[], None]] = {
            "direct": lambda: chunk_by_chunk(far.fetch_span, far),
            "deep lake": lambda: chunk_by_chunk(by_deep_lake, far),
            "local": lambda: batch_by_batch(near),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(args.rounds + 1):
            for name, way in ways.items():
                far.close()  # what Deep Lake has kept
                far.handle  # noqa: B018  # opened before the clock starts
                spent = cpu_ms(way)
                if number:  # the first round warms up
                    found[name].append(spent)
    for name, values in found.items():
        middle = statistics.median(values)
        print(f"{name:10} {middle:.3f} ({min(values):.3f}-{max(values):.3f}) ms for an image")
    pairs = zip(found["direct"], found["deep lake"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"direct / through Deep Lake: {ratio:.2f}")
    append_record("s3_fetch", args, ms=found, ratio=ratio)


if __name__ == "__main__":
    main()
