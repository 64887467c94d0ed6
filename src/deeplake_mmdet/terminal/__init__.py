"""What is shown on a terminal."""

from __future__ import annotations

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

__all__ = [
    "console",
    "keep_readable",
    "plain",
    "print_readable",
    "readable",
    "readable_lines",
    "table",
    "tree_from",
]
