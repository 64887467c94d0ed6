"""What is shown on a terminal."""

from __future__ import annotations

from deeplake_mmdet.terminal.outputs import print_json, results_apart
from deeplake_mmdet.terminal.progress import Progress, duration
from deeplake_mmdet.terminal.text import (
    console,
    keep_readable,
    plain,
    print_readable,
    readable,
    readable_lines,
    table,
    tree_from,
)
from deeplake_mmdet.terminal.verbosity import DETAIL, set_verbosity, verbosity

__all__ = [
    "DETAIL",
    "Progress",
    "console",
    "duration",
    "keep_readable",
    "plain",
    "print_json",
    "print_readable",
    "readable",
    "readable_lines",
    "results_apart",
    "set_verbosity",
    "table",
    "tree_from",
    "verbosity",
]
