"""``deeplake-mmdet inspect``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_json_option, add_source_arguments, source_options

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="show what a lake holds",
        description="Show a lake's columns, their roles, its classes with counts, image sizes and versions.",
        epilog="Example: deeplake-mmdet inspect lakes/train",
    )
    add_source_arguments(parser)
    parser.add_argument("--endpoint-url", metavar="URL", help="S3-compatible storage other than AWS")
    parser.add_argument(
        "--tensors",
        nargs="+",
        metavar="ROLE=COLUMN",
        help="name columns, e.g. gt_bboxes=boxes gt_labels=labels",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="class names in the order of the stored labels, for lakes without; else a selection of them",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the inspection as tables."""
    from deeplake_mmdet.cli.inspection_tables import facts_of, render
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.lake import inspect
    from deeplake_mmdet.terminal import console, print_json

    found = inspect(
        args.lake,
        **source_options(args),
        tensors=parse_options(args.tensors),
        classes=args.classes,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
    )
    if args.json:
        print_json(facts_of(found))
    else:
        screen = console()
        for part in render(found):
            screen.print(part)
    if found.problem is not None:
        raise found.problem
