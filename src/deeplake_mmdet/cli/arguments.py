"""Arguments that several commands share, named as in MMDetection's tools."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

    from deeplake_mmdet.training import Run

__all__ = [
    "CommandParser",
    "add_json_option",
    "add_prepared_argument",
    "add_run_arguments",
    "add_source_arguments",
    "look_at_config",
    "run_facts",
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


class CommandParser(argparse.ArgumentParser):
    """A command's parser, whose help fits a screen: the usage names what is needed, and not each option.

    Args:
        options: Those of ``argparse.ArgumentParser``.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _WideFormatter)
        super().__init__(**options)

    def format_usage(self) -> str:
        """The usage line, as errors show it."""
        self._shorten_usage()
        return super().format_usage()

    def format_help(self) -> str:
        """What ``--help`` prints."""
        self._shorten_usage()
        return super().format_help()

    def _shorten_usage(self) -> None:
        if self.usage is not None:
            return
        optional = [action for action in self._actions if action.option_strings and not action.required]
        formatter = self._get_formatter()
        formatter.add_usage(None, [action for action in self._actions if action not in optional], [])
        needed = formatter.format_help().partition("usage: ")[2].strip()
        self.usage = " ".join(needed.split()).replace("%", "%%") + " [options]" * bool(optional)


class _WideFormatter(argparse.HelpFormatter):
    """Leaves room for an option and its value beside what it means."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **options})


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


def add_json_option(parser: argparse.ArgumentParser, instead: str = "tables") -> None:
    """Add ``--json``: one document on standard output, and everything else on standard error.

    Args:
        parser: Of the command; changed in place.
        instead: What is printed without it.
    """
    parser.add_argument("--json", action="store_true", help=f"print JSON instead of {instead}")


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


def run_facts(result: Run) -> dict[str, Any]:
    """What a training or test has left behind, for ``--json``.

    Args:
        result: Of `train` or `test`.
    """
    from dataclasses import asdict, is_dataclass

    classes = [asdict(one) for one in result.class_scores if is_dataclass(one) and not isinstance(one, type)]
    return {
        "work_dir": result.work_dir,
        "metrics": result.metrics,
        "classes": classes,
        "best_checkpoint": result.best_checkpoint,
        "last_checkpoint": result.last_checkpoint,
        "notes": result.notes,
    }


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
