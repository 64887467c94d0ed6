"""``deeplake-mmdet doctor``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="look at this machine and its packages",
        description="Tell versions, ops, GPUs, cores, memory, limits, disks and identities: what works, and "
        "what to type where something does not. Asks nothing of the network and shows no secret.",
        epilog="Example: deeplake-mmdet doctor",
    )
    parser.add_argument(
        "--work-dir", default="work_dirs", metavar="DIR", help="where runs go (default: %(default)s)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is known.

    Args:
        args: Of the command line.

    Returns:
        1 if something does not work, else 0.
    """
    from deeplake_mmdet.doctor import Status, examine
    from deeplake_mmdet.terminal import console, plain, print_json, table

    facts = examine(args.work_dir)
    faults = sum(fact.status is Status.FAULT for fact in facts)
    if args.json:
        print_json({"facts": [fact.as_json() for fact in facts], "faults": faults})
        return int(faults > 0)
    screen = console()
    areas = list(dict.fromkeys(fact.area for fact in facts))
    marks = {Status.OK: "", Status.NOTE: "note", Status.FAULT: "FAULT"}
    for area in areas:
        shown = table("", "", "", title=area)
        shown.show_header = False
        for fact in facts:
            if fact.area == area:
                style = "bold red" if fact.status is Status.FAULT else ""
                told = fact.value + (f": {fact.advice}" if fact.advice and area != "ops" else "")
                shown.add_row(plain(fact.name), plain(marks[fact.status], style), plain(told))
        screen.print(shown)
    verb = "does" if faults == 1 else "do"
    told = f"{faults} of them {verb} not work" if faults else "Everything that was looked at works"
    screen.print(plain(told))
    return int(faults > 0)
