"""``deeplake-mmdet bench``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option, add_prepared_argument

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="measure a config's loader",
        description="Run the loader of a config without a model: times by stage, and what the limit is.",
        epilog="Example: deeplake-mmdet bench config.py --step-ms 120",
    )
    parser.add_argument("config", metavar="CONFIG", help="MMDetection config file, for 3.x or 2.x")
    parser.add_argument(
        "--batches", type=int, default=100, metavar="N", help="how many are loaded (%(default)s)"
    )
    parser.add_argument(
        "--mode", choices=["auto", "threads", "processes"], help="the loader's (default: the config's)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads or worker processes")
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        default="train",
        help="whose data are loaded (%(default)s)",
    )
    parser.add_argument(
        "--step-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="pause after each batch, as if a training step took so long",
    )
    add_prepared_argument(parser)
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change the config")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, and print a table, some figures and the limit."""
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.terminal import console, plain, print_json, table
    from deeplake_mmdet.training import bench

    report = bench(
        args.config,
        batches=args.batches,
        mode=args.mode,
        workers=args.workers,
        split=args.split,
        step_ms=args.step_ms,
        prepared=args.prepared,
        cfg_options=parse_options(args.cfg_options),
        progress=True,
    )
    if args.json:
        print_json(report.to_dict())
        return
    made = table("stage", "")
    for heading in ("seconds", "share", "ms/image", "CPU ms/image"):
        made.add_column(heading, justify="right")
    for row in report.rows():
        made.add_row(*map(plain, row))
    screen = console()
    screen.print(made)
    for line in report.facts():
        screen.print(plain(line))
    screen.print()
    screen.print(plain(report.sentence(), "bold"))
