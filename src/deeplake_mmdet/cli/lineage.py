"""``deeplake-mmdet lineage``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option

__all__ = ["add_parser"]

_WIDE = 100_000  # the terminal breaks lines, so that no path is cut off


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "lineage",
        help="tell which data made a model, and which predictions and views came of it",
        description="Tell where a checkpoint, a training, or what lies in a lake comes from, and what came "
        "of it: lakes with their versions, runs of predictions, saved views.",
        epilog="Example: deeplake-mmdet lineage runs/first/epoch_12.pth --verify",
    )
    parser.add_argument("what", metavar="CHECKPOINT|FOLDER|LAKE", help="file, folder of a training, or lake")
    parser.add_argument("--run", dest="run_id", metavar="ID", help="of a lake: this run of predictions alone")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="see whether the lakes still hold those versions with the same rows; exit status 1 if not",
    )
    parser.add_argument("--tag", metavar="NAME", help="tag what the model was trained on by this name")
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    add_json_option(parser, "a tree")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the lineage; 1 if something that was verified does not hold."""
    from deeplake_mmdet.loop.tracing import is_sound, lineage
    from deeplake_mmdet.report.lineage_tree import tree_of
    from deeplake_mmdet.terminal import console, print_json

    facts = lineage(
        args.what,
        run=args.run_id,
        verify=args.verify,
        tag=args.tag,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
    )
    if args.json:
        print_json(facts)
    else:
        console(width=_WIDE).print(tree_of(facts))
    return 0 if is_sound(facts) else 1
