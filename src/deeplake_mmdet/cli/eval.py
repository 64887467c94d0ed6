"""``deeplake-mmdet eval``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import add_source_arguments, source_options

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "eval",
        help="score a file of predictions",
        description="Score a file of COCO results against a lake; no model and no config needed.",
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", help="COCO results (.json), or a .parquet file")
    add_source_arguments(parser)
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["bbox"],
        metavar="NAME",
        help="bbox, segm, proposal, proposal_fast, several of them; or mAP or recall (Pascal VOC)",
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes to score, in this order")
    parser.add_argument(
        "--analysis", metavar="DIR", help="write metrics.json and metrics.npz with errors and curves to DIR"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an analysis of the same metric that is in DIR"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Score and print, whole and by class."""
    from deeplake_mmdet.evaluation import evaluate_predictions
    from deeplake_mmdet.report import class_table
    from deeplake_mmdet.terminal import console, plain

    options = {"analysis": args.analysis} if args.analysis else {}
    result = evaluate_predictions(
        args.predictions,
        args.lake,
        metric=args.metric,
        classes=args.classes,
        overwrite=args.overwrite,
        **source_options(args),
        **options,
    )
    screen = console()
    if result.class_scores:
        screen.print(class_table(result.class_scores))
    for key, value in result.metrics.items():
        screen.print(plain(f"{key} {value:.4f}"))
