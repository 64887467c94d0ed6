"""``deeplake-mmdet train``."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from deeplake_mmdet.cli.arguments import (
    add_prepared_argument,
    add_run_arguments,
    look_at_config,
    trust_checkpoint,
)

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train", help="train a detector", description="Train the detector of a config."
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="go on from CHECKPOINT, or from the newest one in the work dir",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision (GPU only)")
    parser.add_argument(
        "--auto-scale-lr", action="store_true", help="scale the learning rate to the batch size"
    )
    parser.add_argument(
        "--max-restarts",
        type=int,
        default=0,
        metavar="K",
        help="with --processes: go on from the last checkpoint, up to K times, where one is killed",
    )
    add_prepared_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train, then say where everything is and what to type next."""
    from deeplake_mmdet.terminal import readable

    cfg = look_at_config(args, ("train", "val"))
    from mmengine.dist import is_main_process

    trust_checkpoint(args)
    from deeplake_mmdet.training import train  # imports torch and MMDetection, which takes seconds

    result = train(
        cfg,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        prepared=args.prepared,
        launcher=args.launcher,
        processes=args.processes,
        max_restarts=args.max_restarts,
    )
    if not is_main_process():
        return
    checkpoint = result.best_checkpoint or result.last_checkpoint
    print(f"\nRun folder: {readable(result.work_dir)}")
    for key, value in result.metrics.items():
        if key.endswith(("mAP", "mAP_50")):
            print(f"  {readable(key)} {value:.3f}")
    for note in result.notes:
        print(readable(note))
    if checkpoint:
        command = ["deeplake-mmdet", "test", args.config, str(checkpoint)]
        command += ["--work-dir", args.work_dir] if args.work_dir else []
        command += ["--cfg-options", *args.cfg_options] if args.cfg_options else []
        print(f"Next: {readable(shlex.join(command))}")
