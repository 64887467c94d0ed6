"""``deeplake-mmdet train``."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from deeplake_mmdet.cli.arguments import (
    add_json_option,
    add_prepared_argument,
    add_run_arguments,
    look_at_config,
    run_facts,
    trust_checkpoint,
)
from deeplake_mmdet.errors import was_interrupted

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a detector",
        description="Train the detector of a config.",
        epilog="Example: deeplake-mmdet train config.py --work-dir runs/first",
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
    parser.add_argument(
        "--tracker",
        action="append",
        choices=["tensorboard", "mlflow"],
        help="also write what is measured for this tracker, into the run's folder; to be repeated",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train, then say where everything is and what to type next."""
    cfg = look_at_config(args, ("train", "val"))
    from mmengine.dist import is_main_process

    trust_checkpoint(args)
    from deeplake_mmdet.report import score_tables  # these import torch and MMDetection, which takes seconds
    from deeplake_mmdet.terminal import console, plain, print_json
    from deeplake_mmdet.training import train

    try:
        result = train(
            cfg,
            work_dir=args.work_dir,
            resume=args.resume,
            amp=args.amp,
            auto_scale_lr=args.auto_scale_lr,
            prepared=args.prepared,
            tracker=args.tracker,
            launcher=args.launcher,
            processes=args.processes,
            max_restarts=args.max_restarts,
        )
    except BaseException as error:
        if was_interrupted(error):
            # By hand what Python 3.11's add_note does.
            error.__notes__ = [_way_on(args, cfg)]  # type: ignore[attr-defined]
        raise
    if not is_main_process():
        return
    if args.json:
        print_json(run_facts(result))
        return
    screen = console()
    for part in score_tables(result.metrics, result.class_scores, width=screen.width):
        screen.print(part)
    screen.print(plain(f"Run folder: {result.work_dir}"))
    for note in result.notes:
        screen.print(plain(note))
    checkpoint = result.best_checkpoint or result.last_checkpoint
    if checkpoint:
        screen.print(plain(f"Next: {_command('test', args, str(checkpoint))}"))


def _command(name: str, args: argparse.Namespace, *more: str) -> str:
    command = ["deeplake-mmdet", name, args.config, *more]
    command += ["--work-dir", args.work_dir] if args.work_dir else []
    command += ["--cfg-options", *args.cfg_options] if args.cfg_options else []
    return shlex.join(command)


def _way_on(args: argparse.Namespace, cfg: Any) -> str:
    """How to go on after Ctrl-C, from the newest checkpoint if there is one."""
    folder = Path(args.work_dir or cfg.get("work_dir") or Path("work_dirs") / Path(args.config).stem)
    last = folder / "last_checkpoint"
    if not last.is_file():
        return f"no checkpoint was written yet in {folder}"
    name = Path(last.read_text().strip()).name
    return f"go on from {name} by: {_command('train', args, '--resume')}"
