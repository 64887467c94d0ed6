"""``deeplake-mmdet convert``."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext, redirect_stdout
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "convert",
        help="make a 3.x config of a 2.x one",
        description="Convert a config for MMDetection 2.x, with or without deeplake_* keys, into one for "
        "3.x, and list what was changed, approximated or left out.",
        epilog="Example: deeplake-mmdet convert old.py --out new.py --diff",
    )
    parser.add_argument("config", metavar="CONFIG", help="MMDetection 2.x config file")
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="write the new config to FILE.py (default: to the terminal)"
    )
    parser.add_argument("--report", metavar="FILE", help="also write the notes to FILE, as text or .json")
    parser.add_argument(
        "--diff", action="store_true", help="compare with MMDetection's own 3.x config of the same name"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that stand there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Convert, print the config unless it goes to a file, and the notes to stderr."""
    from deeplake_mmdet.cli.conversion_tables import render
    from deeplake_mmdet.terminal import console

    # What others say while they are imported, and the log, must not get into a config on stdout.
    with nullcontext() if args.out else redirect_stdout(sys.stderr):
        from deeplake_mmdet.config import convert

        done = convert(args.config, args.out, report=args.report, diff=args.diff, overwrite=args.overwrite)
    if done.out is None:
        print(done.text, end="")
    screen = console(stderr=done.out is None)
    for part in render(done, compared=args.diff, width=screen.width):
        screen.print(part)
