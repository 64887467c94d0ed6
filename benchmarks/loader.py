"""Our data loader against the limit of the machine, stock MMDetection and other loaders.

    python benchmarks/loader.py [SECTION] [--quick] [--data FOLDER] [--rounds N] [--results FILE]

Sections: limits, local, stock, mosaic, remote, second-pass, first-batch, ranks, shared-cores, peers, scaling,
or all of them.

Each measurement is a fresh process; the contestants of a section take turns, and medians are compared. A
section prints one table, with its ratios and their targets, and appends it to ``results.jsonl``. The images
are made at the first run (8 000 of 640×480, about 100 kB each). ``peers`` needs environments:
``sh benchmarks/peers/make_env.sh FOLDER/envs``. All else that runs on the machine spoils the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from loaders import sections_local, sections_peers, sections_remote
from loaders.plan import Plan
from loaders.records import RESULTS

_SECTIONS: dict[str, Callable[[Plan], None]] = {
    "limits": sections_local.limits,
    "local": sections_local.local,
    "stock": sections_local.stock,
    "mosaic": sections_local.mosaic,
    "remote": sections_remote.remote,
    "second-pass": sections_remote.second_pass,
    "first-batch": sections_remote.first_batch,
    "ranks": sections_remote.ranks,
    "shared-cores": sections_remote.shared_cores,
    "peers": sections_peers.peers,
    "scaling": sections_local.scaling,
}


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="?", default="all", choices=[*_SECTIONS, "all"])
    parser.add_argument("--quick", action="store_true", help="few rounds and short windows")
    data = Path("/tmp/deeplake-mmdet-bench")
    parser.add_argument("--data", type=Path, default=data, help="folder of data and caches")
    parser.add_argument("--rounds", type=int, help="rounds of each section")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append results to")
    args = parser.parse_args()
    plan = Plan(args.data.resolve(), args.quick, args.rounds, args.results)
    for name, section in _SECTIONS.items():
        if args.section in (name, "all"):
            section(plan)


if __name__ == "__main__":
    main()
