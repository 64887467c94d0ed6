"""Arguments that several commands share, named as in MMDetection's tools."""

from __future__ import annotations

import argparse

__all__ = ["add_run_arguments"]


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """``CONFIG``, ``--work-dir``, ``--cfg-options`` and ``--launcher``."""
    parser.add_argument("config", metavar="CONFIG", help="MMDetection 3.x config file")
    parser.add_argument(
        "--work-dir", metavar="DIR", help="folder of the run (default: work_dirs/<config name>)"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="change the config, e.g. train_cfg.max_epochs=5 model.bbox_head.num_classes=3",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
