"""Names on a terminal: data, never markup, emoji codes or control characters.

Rich takes ``[...]`` in a text for markup and ``:...:`` for an emoji, so that names of classes, files and
lakes would vanish or end the command. What prints names uses these functions.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.errors import readable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

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


class _ReadableRecord(logging.LogRecord):
    """A line of a log in which nothing commands the terminal."""

    def getMessage(self) -> str:
        """The message."""
        return readable(super().getMessage(), lines=True)


def keep_readable() -> None:
    """Have all logs and tracebacks of this process write out what a terminal would obey.

    For processes of our commands.
    """
    logging.setLogRecordFactory(_ReadableRecord)
    sys.excepthook = print_readable


def print_readable(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback with control characters written out; `keep_readable` makes it ``sys.excepthook``.

    Args:
        kind: Class of the error.
        error: The error.
        trace: Its traceback.
    """
    lines = traceback.format_exception(kind, error, trace)
    print(readable("".join(lines), lines=True), file=sys.stderr, end="")


def readable_lines(record: logging.LogRecord) -> bool:
    """A logger's filter that writes out control characters in each record and lets all records pass.

    Args:
        record: Changed in place.
    """
    record.msg, record.args = readable(record.getMessage(), lines=True), None
    return True


def plain(text: object, style: str = "") -> Text:
    """A text for rich that is printed as it is, in one line.

    Args:
        text: Anything; its ``str`` counts.
        style: Of rich, e.g. ``'bold'``.
    """
    from rich.text import Text

    return Text(readable(text), style)


def console(**options: Any) -> Console:
    """A rich console that takes nothing in a text for markup, and breaks no lines but those of tables.

    Args:
        options: Settings of ``rich.console.Console``; they win over these.
    """
    from rich.console import Console

    return Console(**{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options})


def table(*headings: str, title: object = None, **options: Any) -> Table:
    """A rich table that breaks long names instead of cutting them off.

    Args:
        headings: Of the columns.
        title: Stands above the table, at its left.
        options: Settings of ``rich.table.Table``.
    """
    from rich.table import Column, Table

    columns = [Column(heading, overflow="fold") for heading in headings]
    shown = None if title is None else plain(title)
    return Table(*columns, title=shown, title_justify="left", **options)


def tree_from(label: object) -> Tree:
    """A rich tree whose root is printed as it is, in bold.

    Args:
        label: Of the root; its ``str`` counts.
    """
    from rich.tree import Tree

    return Tree(plain(label, "bold"))
