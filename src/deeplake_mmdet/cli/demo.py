"""``deeplake-mmdet demo``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="make a small lake, train on it, show the result",
        description="Draw a small lake, train a detector on it, evaluate it and show the result.",
        epilog="Example: deeplake-mmdet demo --work-dir runs/demo",
    )
    parser.add_argument(
        "--work-dir", default="runs/demo", metavar="DIR", help="folder of the run (%(default)s)"
    )
    parser.add_argument(
        "--train-images", type=int, default=400, metavar="N", help="images to train on (%(default)s)"
    )
    parser.add_argument(
        "--val-images", type=int, default=100, metavar="N", help="images to test on (%(default)s)"
    )
    parser.add_argument(
        "--epochs", type=int, default=8, metavar="N", help="rounds over the images (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of pictures and training (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the demo and say where everything is and what to type next."""
    from deeplake_mmdet.demo import demo
    from deeplake_mmdet.report import class_table
    from deeplake_mmdet.terminal import console

    made = demo(
        args.work_dir,
        train_images=args.train_images,
        val_images=args.val_images,
        epochs=args.epochs,
        seed=args.seed,
    )
    screen = console()
    screen.print(class_table(made.run.class_scores, title="Held-out images"))
    screen.print(f"mAP50 {made.run.metrics['coco/bbox_mAP_50']:.3f} after {made.seconds / 60:.1f} minutes\n")
    screen.print(f"Samples          {made.samples}")
    screen.print(f"Training curve   {made.curve}")
    screen.print(f"Predictions      {made.predictions}")
    screen.print(f"Checkpoint       {made.checkpoint}")
    screen.print("\nNext:")
    command, config, checkpoint = (
        os.path.relpath(path) for path in (sys.argv[0], made.config, made.checkpoint)
    )
    screen.print(f"  {command} inspect {args.work_dir}/lakes/train")
    screen.print(f"  {command} test {config} {checkpoint}")
    screen.print(f"  {command} import coco ANNOTATIONS.json LAKE --images FOLDER")
