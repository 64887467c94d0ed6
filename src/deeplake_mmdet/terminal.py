"""Names on a terminal: data, never markup, emoji codes or control characters.

Rich takes ``[...]`` in a text for markup and ``:...:`` for an emoji, so that names of classes, files and
lakes would vanish or end the command. What prints names uses these functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["console", "plain", "readable", "table"]

# Control characters, those that turn the direction of writing, and halves of characters, which stand for
# bytes of a file's name that are no text: a terminal obeys them, or cannot be given them.
_UNPRINTABLE = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _UNPRINTABLE}
_IN_LINES = {code: text for code, text in _ESCAPES.items() if chr(code) not in "\n\t"}


def readable(text: object, *, lines: bool = False) -> str:
    """A text with what cannot be printed written out, as in ``\\x1b``.

    Args:
        text: Anything; its ``str`` counts.
        lines: Leave line breaks and tabs alone.
    """
    return str(text).translate(_IN_LINES if lines else _ESCAPES)


def plain(text: object, style: str = "") -> Text:
    """A text for rich that is printed as it is, in one line."""
    from rich.text import Text

    return Text(readable(text), style)


def console(**options: Any) -> Console:
    """A rich console that takes nothing in a text for markup, and breaks no lines but those of tables.

    Options as for ``rich.console.Console``.
    """
    from rich.console import Console

    return Console(**{"markup": False, "emoji": False, "highlight": False, "soft_wrap": True, **options})


def table(*headings: str, title: object = None, **options: Any) -> Table:
    """A rich table that breaks long names instead of cutting them off.

    Args:
        headings: Of the columns.
        title: Stands above the table, at its left.
        options: As for ``rich.table.Table``.
    """
    from rich.table import Column, Table

    columns = [Column(heading, overflow="fold") for heading in headings]
    shown = None if title is None else plain(title)
    return Table(*columns, title=shown, title_justify="left", **options)
