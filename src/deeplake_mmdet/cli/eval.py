"""``deeplake-mmdet eval``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "eval",
        help="score a file of predictions",
        description="Score a file of COCO results against a lake; no model and no config needed.",
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", help="COCO results (.json), or a .parquet file")
    parser.add_argument("lake", metavar="LAKE", help="folder or URL of a lake")
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["bbox"],
        metavar="NAME",
        help="bbox, segm, proposal, proposal_fast, several of them; or mAP or recall (Pascal VOC)",
    )
    for name, text in (
        ("commit", "version id"),
        ("branch", "branch name"),
        ("tag", "tag name"),
        ("query", "TQL"),
    ):
        parser.add_argument(f"--{name}", help=f"{text}; the newest version otherwise")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score, in this order")
    parser.add_argument("--box-format", metavar="FORMAT", help="how the lake stores boxes, e.g. ltwh")
    parser.add_argument(
        "--analysis", metavar="DIR", help="write metrics.json and metrics.npz with errors and curves to DIR"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score and print, whole and by class."""
    from rich.console import Console

    from deeplake_mmdet.evaluation import evaluate_predictions
    from deeplake_mmdet.report import class_table

    options = {"analysis": args.analysis} if args.analysis else {}
    result = evaluate_predictions(
        args.predictions,
        args.lake,
        metric=args.metric,
        commit=args.commit,
        branch=args.branch,
        tag=args.tag,
        query=args.query,
        classes=args.classes,
        box_format=args.box_format,
        **options,
    )
    console = Console()
    if result.class_scores:
        console.print(class_table(result.class_scores))
    for key, value in result.metrics.items():
        console.print(f"{key} {value:.4f}", highlight=False)
