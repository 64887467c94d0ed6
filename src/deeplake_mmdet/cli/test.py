"""``deeplake-mmdet test``."""

from __future__ import annotations

import argparse
from typing import Any

from deeplake_mmdet.cli.arguments import (
    add_json_option,
    add_run_arguments,
    look_at_config,
    run_facts,
    trust_checkpoint,
)

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "test",
        help="evaluate a checkpoint",
        description="Evaluate a checkpoint on a config's test_dataloader.",
        epilog="Example: deeplake-mmdet test config.py runs/first/epoch_12.pth --show-dir drawn",
    )
    add_run_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="file written by train")
    parser.add_argument(
        "--out", metavar="FILE", help="write the predictions to FILE.json (COCO results) or .parquet"
    )
    parser.add_argument("--show-dir", metavar="DIR", help="draw every image with its predictions into DIR")
    parser.add_argument(
        "--tta",
        action="store_true",
        help="test each image in the versions of the config's tta_pipeline, else as it is and flipped",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="test a checkpoint that fits the model in part only; the rest keeps its initial weights",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace FILE, and draw into a DIR that has files in it"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Evaluate and print the scores, whole and by class."""
    cfg = look_at_config(args, ("test",), args.checkpoint)
    from mmengine.dist import is_main_process

    trust_checkpoint(args)
    from deeplake_mmdet.report import score_tables
    from deeplake_mmdet.terminal import console, plain, print_json
    from deeplake_mmdet.training import test

    result = test(
        cfg,
        args.checkpoint,
        work_dir=args.work_dir,
        launcher=args.launcher,
        processes=args.processes,
        out=args.out,
        show_dir=args.show_dir,
        tta=args.tta,
        allow_partial=args.allow_partial,
        overwrite=args.overwrite,
    )
    if not is_main_process():
        return
    if args.json:
        print_json(run_facts(result))
        return
    screen = console()
    for part in score_tables(result.metrics, result.class_scores, width=screen.width):
        screen.print(part)
    screen.print(plain(f"Run folder: {result.work_dir}"))
