"""Arguments that several commands share, named as in MMDetection's tools."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = [
    "add_prepared_argument",
    "add_run_arguments",
    "add_source_arguments",
    "look_at_config",
    "source_options",
    "trust_checkpoint",
]

_SOURCE = {
    "commit": "version id; the newest otherwise",
    "branch": "branch name",
    "tag": "tag name",
    "view": "saved view",
    "query": "TQL, e.g. 'SELECT * WHERE width > 500'",
    "box_format": "how boxes are stored, if the lake does not say: ltwh, ltrb, ccwh, ..._fractional",
}


def add_run_arguments(parser: argparse.ArgumentParser, *, whole: bool = True) -> None:
    """Add ``CONFIG``, and the options that `train` and `test` both take.

    Args:
        parser: Of the command; changed in place.
        whole: False for a command that has its own ``CONFIG``, no run folder and no launcher.
    """
    if whole:
        parser.add_argument("config", metavar="CONFIG", help="MMDetection config file, for 3.x or 2.x")
        parser.add_argument(
            "--work-dir", metavar="DIR", help="folder of the run (default: work_dirs/<config name>)"
        )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="change the config, e.g. train_cfg.max_epochs=5 model.bbox_head.num_classes=3",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_processes,
        help="run in N processes on this machine, or 'auto': one per GPU",
    )
    if whole:
        parser.add_argument(
            "--launcher",
            choices=["none", "pytorch", "slurm", "mpi"],
            help="who has started this process (default: found out for torchrun and srun)",
        )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="let checkpoints and pretrained weights run code: only if you trust whoever made them",
    )


def add_prepared_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--prepared``, for commands that load images.

    Args:
        parser: Of the command; changed in place.
    """
    parser.add_argument(
        "--prepared",
        metavar="SIZE",
        help="keep decoded images for all epochs and runs, in so much room: e.g. 40GB, or ram",
    )


def trust_checkpoint(args: argparse.Namespace) -> None:
    """Have this process and those that it starts trust checkpoints, if ``--trust-checkpoint`` was given.

    Args:
        args: With the arguments of `add_run_arguments`.
    """
    if args.trust_checkpoint:
        from deeplake_mmdet.training.resume.checkpoint_reading import TRUST_VARIABLE

        os.environ[TRUST_VARIABLE] = "1"


def look_at_config(args: argparse.Namespace, splits: Sequence[str], checkpoint: str | None = None) -> Config:
    """Load the config of `add_run_arguments` and look at its data, before torch is imported.

    Args:
        args: With the arguments of `add_run_arguments`.
        splits: Of ``'train'``, ``'val'`` and ``'test'``: those whose data are used.
        checkpoint: The command's checkpoint argument, if it has one: to tell when the two are swapped.

    Raises:
        DeepLakeMMDetError: Config or data cannot be used.
    """
    from deeplake_mmdet.config import check_data, check_order, load_config, parse_options

    options = parse_options(args.cfg_options)
    check_order(args.config, checkpoint)
    cfg = load_config(args.config, options)
    check_data(cfg, splits, model=not getattr(args, "resume", False))
    return cfg


def _processes(text: str) -> bool | int:
    try:
        return True if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'auto'") from None


def add_source_arguments(
    parser: argparse.ArgumentParser, *, name: str = "LAKE", help: str = "folder or address"
) -> None:
    """Add ``LAKE``, and the options that choose a version and rows of it.

    Args:
        parser: Of the command; changed in place.
        name: What the first argument is called in the command's help.
        help: What it is.
    """
    parser.add_argument("lake", metavar=name, help=help)
    for option, text in _SOURCE.items():
        parser.add_argument(f"--{option.replace('_', '-')}", help=text)


def source_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_source_arguments` as keyword arguments of Python functions, without the lake.

    Args:
        args: With the arguments of `add_source_arguments`.

    Returns:
        ``commit``, ``branch``, ``tag``, ``view``, ``query`` and ``box_format``; None where not given.
    """
    return {name: getattr(args, name) for name in _SOURCE}
