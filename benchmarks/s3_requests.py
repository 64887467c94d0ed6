"""Requests to open a lake on S3 and to build its annotation table, against the limit of 60.

    python benchmarks/s3_requests.py [--rows 100000] [--boxes 7] [--commits 1 10] [--latency 0.03]

Writes a synthetic lake with stored image sizes, as `import` makes them, for each number of commits, serves
it over HTTP on this machine (`s3_server`), opens it in a fresh process and counts what the server was asked.
Then reads the first 1 000 images, by spans of 100 rows and by rows in random order. Prints and appends to
results.jsonl; ends with code 1 if a lake of one commit, as `import` makes it, needs more than 60 requests.

Deep Lake stores what each commit adds to a column as an object of its own, and compacting does not join them:
a lake whose rows came in ten commits takes ten requests for each column.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from annotation_table import write_lake
from measuring import append_record, measured
from s3_server import BUCKET, Server, s3_server

_LIMIT = 60
_IMAGES, _SPAN = 1000, 100


def measure(address: str, server: Server) -> dict[str, float]:
    """Requests and seconds of each step, in this process."""
    from deeplake_mmdet.lake import CredentialRef, Source, open_view

    found: dict[str, float] = {}

    def step(name: str) -> None:
        nonlocal start
        found[f"{name}_requests"] = server.counts().requests
        found[f"{name}_seconds"] = round(time.perf_counter() - start, 3)
        server.reset()
        start = time.perf_counter()

    server.reset()
    start = time.perf_counter()
    ref = CredentialRef({"endpoint_url": server.url, "aws_region": "us-east-1"})
    view = open_view(Source(address), credentials=ref)
    step("table")
    found["rows"] = len(view.table)
    images = min(_IMAGES, len(view.table))
    for row in range(0, images, _SPAN):
        view.fetch_span(row, min(row + _SPAN, images))
    step("spans")
    view.close()
    view.fetch([0])
    step("reopen")
    view.fetch(np.random.default_rng(0).permutation(images).tolist())
    step("rows")
    return found


def run(address: str, server: Server, cache: Path) -> dict[str, float]:
    """The same in a fresh process."""
    keys = {name.upper(): value for name, value in server.environment_keys.items()}
    keys |= {"AWS_EC2_METADATA_DISABLED": "true", "DEEPLAKE_MMDET_CACHE": str(cache)}
    return measured(__file__, address, server.url, str(server.pid), environment=keys)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=7)
    parser.add_argument("--commits", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--latency", type=float, default=0.03, help="seconds before each answer")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        address, url, pid = args.measure
        print(json.dumps(measure(address, Server(url, int(pid)))))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for commits in args.commits:
            write_lake(Path(folder) / "bucket" / f"lake{commits}", args.rows, args.boxes, True, commits)
        with s3_server(Path(folder) / "bucket", latency=args.latency) as server:
            for commits in args.commits:
                found = run(f"s3://{BUCKET}/lake{commits}", server, Path(folder) / f"cache{commits}")
                results[commits] = found
                print(
                    f"{found['rows']} rows in {commits} commits: {found['table_requests']} requests to open "
                    f"and build the table ({found['table_seconds']:.1f} s), limit {_LIMIT}\n"
                    f"  then {_IMAGES} images: {found['spans_requests']} requests by spans of {_SPAN} rows "
                    f"({found['spans_seconds']:.2f} s), {found['rows_requests']} in random order "
                    f"({found['rows_seconds']:.2f} s)",
                    flush=True,
                )
    append_record("s3_requests", args, results=results)
    if results.get(1, {}).get("table_requests", 0) > _LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
