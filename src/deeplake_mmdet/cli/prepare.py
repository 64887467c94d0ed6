"""``deeplake-mmdet prepare``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option, add_prepared_argument

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prepare",
        help="decode a config's images once, before training",
        description="Make the images that prepared= keeps: decoded, and resized if a fixed Resize follows.",
        epilog="Example: deeplake-mmdet prepare config.py --prepared 40GB",
    )
    parser.add_argument("config", metavar="CONFIG", help="MMDetection config file, for 3.x or 2.x")
    add_prepared_argument(parser)
    parser.add_argument(
        "--split", choices=["train", "val", "test"], default="train", help="default: %(default)s"
    )
    parser.add_argument(
        "--shard",
        default="0/1",
        metavar="I/N",
        help="each N-th row only, from 0/N on; auto: as Slurm, Kubernetes or torchrun say",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core)")
    parser.add_argument("--cfg-options", nargs="+", metavar="KEY=VALUE", help="change the config")
    add_json_option(parser, "lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare, and say what was done; 1 if images failed or the disk is full."""
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.terminal import print_json, readable
    from deeplake_mmdet.training import prepare

    done = prepare(
        args.config,
        prepared=args.prepared,
        splits=[args.split],
        shard=args.shard,
        threads=args.workers,
        cfg_options=parse_options(args.cfg_options),
    )
    if args.json:
        print_json([asdict(lake) for lake in done])
    for lake in done if not args.json else ():
        print(f"{readable(lake.lake)}: {lake.made} images prepared, {lake.before} were there, of {lake.rows}")
        for row, reason in lake.reasons:
            print(f"  row {row}: {readable(reason)}")
        if lake.failed > len(lake.reasons):
            print(f"  ... and {lake.failed - len(lake.reasons)} more")
        if lake.full:
            print("  the disk is full: the others are decoded in each epoch")
    return int(any(lake.failed or lake.full for lake in done))
