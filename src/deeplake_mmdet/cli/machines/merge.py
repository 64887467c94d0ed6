"""``deeplake-mmdet merge``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "merge",
        help="put the shards of an import or of predictions together",
        description="Put the shards together, in one commit, that 'import --shard' or 'predict --write-back "
        "--shard' wrote into a lake.",
        epilog="Example: deeplake-mmdet merge lakes/train",
    )
    parser.add_argument("lake", metavar="LAKE", help="folder or address of the lake")
    parser.add_argument(
        "--run", metavar="ID", help="whose shards (default: the import's, or the only run's)", dest="run_id"
    )
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    add_json_option(parser, "lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Merge, and say how many rows there are.

    Args:
        args: Of the command line.

    Returns:
        Exit status of the command.
    """
    from deeplake_mmdet.lake import merge
    from deeplake_mmdet.terminal import print_json, readable

    creds = {"endpoint_url": args.endpoint_url} if args.endpoint_url else None
    done = merge(args.lake, run=args.run_id, creds=creds)
    if args.json:
        print_json(done)
        return 0
    print(
        f"Merged {len(done.shards)} shards: {done.rows} rows on branch {done.branch} of {readable(done.lake)}"
    )
    for note in done.notes:
        print(f"Note: {readable(note)}")
    return 0
