"""``deeplake-mmdet inspect``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="show what a lake holds",
        description="Show a lake's columns, their roles, its classes with counts, image sizes and versions.",
    )
    parser.add_argument("lake", metavar="LAKE", help="folder or address")
    for option, text in (
        ("commit", "version id"),
        ("branch", "branch name"),
        ("tag", "tag name"),
        ("view", "saved view"),
        ("query", "TQL, e.g. 'SELECT * WHERE width > 500'"),
        ("box-format", "how boxes are stored, if the lake does not say: ltwh, ltrb, ccwh, ..._fractional"),
        ("endpoint-url", "S3-compatible storage other than AWS"),
    ):
        parser.add_argument(f"--{option}", help=text)
    parser.add_argument(
        "--tensors",
        nargs="+",
        metavar="ROLE=COLUMN",
        help="name columns, e.g. gt_bboxes=boxes gt_labels=labels",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the inspection as tables."""
    from rich.console import Console

    from deeplake_mmdet.cli.inspection_tables import render
    from deeplake_mmdet.config import parse_options
    from deeplake_mmdet.lake import inspect

    found = inspect(
        args.lake,
        commit=args.commit,
        branch=args.branch,
        tag=args.tag,
        view=args.view,
        query=args.query,
        tensors=parse_options(args.tensors),
        box_format=args.box_format,
        credentials={"endpoint_url": args.endpoint_url} if args.endpoint_url else None,
    )
    console = Console()
    for part in render(found):
        console.print(part)
    if found.problem is not None:
        raise found.problem
