"""A conversion's notes and differences as rich tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from deeplake_mmdet.terminal import plain, table

if TYPE_CHECKING:
    from deeplake_mmdet.config import Conversion
    from deeplake_mmdet.legacy.notes import Note, Severity

__all__ = ["render"]

# What needs a look comes first; the meaning of the words stands in the head of the table.
_ORDER: tuple[Severity, ...] = ("dropped", "approximated", "info")
_STYLES = {"dropped": "red", "approximated": "yellow", "info": "dim"}
_LONGEST = 120  # characters of a value; the report file has all
_WIDEST_KEY = 36  # columns that a key may take before it is broken
_TABLE = 100  # columns of a terminal from which on a table of notes can be read


def render(done: Conversion, *, compared: bool, width: int) -> Iterator[Table | Text]:
    """What was written, the notes, and the differences from a stock config if they were asked for.

    Args:
        done: What to show.
        compared: Whether the differences were asked for.
        width: Columns of the terminal. On a narrow one, notes are paragraphs and not a table.
    """
    if done.out is not None:
        yield plain(f"Wrote {done.out}", "bold")
    if not done.legacy:
        yield Text("Nothing to convert: this is a config for MMDetection 3.x. Its bases were merged in.")
    elif not done.notes:
        yield Text("Everything means the same; there are no notes.")
    if done.notes and width < _TABLE:
        yield from _paragraphs(done)
    elif done.notes:
        yield _notes(done)
    if compared and done.stock is None:
        yield Text("MMDetection 3.x has no config of this name, nor of its bases' names, to compare with.")
    elif compared:
        yield _differences(done)


def _notes(done: Conversion) -> Table:
    made = table("", "setting", "what happened", "why", title=_title(done))
    made.columns[0].no_wrap = True
    _wrap_anywhere(made, 1, [note.key for note in done.notes])
    for note in _in_order(done):
        texts = map(plain, (note.key, _what(note), note.why))
        made.add_row(plain(note.severity, _STYLES[note.severity]), *texts)
    return made


def _paragraphs(done: Conversion) -> Iterator[Text]:
    yield plain(_title(done))
    for note in _in_order(done):
        reason = f": {note.why}" if note.why else ""
        head = plain(f"{note.severity} ", _STYLES[note.severity])
        yield head.append(plain(note.key, "bold")).append(plain(f" {_what(note)}{reason}"))


def _title(done: Conversion) -> str:
    counts = Counter(note.severity for note in done.notes)
    return "Notes: " + ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind])


def _in_order(done: Conversion) -> list[Note]:
    return sorted(done.notes, key=lambda note: _ORDER.index(note.severity))


def _what(note: Note) -> str:
    if note.old is None:
        return note.what
    new = "" if note.new is None else f" -> {_short(repr(note.new))}"
    return f"{note.what} ({_short(repr(note.old))}{new})"


def _differences(done: Conversion) -> Table | Text:
    if not done.differences:
        return plain(f"Equal to MMDetection's {done.stock}.")
    made = table("setting", "here", "there", title=f"Beside MMDetection's {done.stock}")
    parts = [item.key.partition(".") for item in done.differences]
    _wrap_anywhere(made, 0, [rest for _, _, rest in parts])
    above = None
    for item, (top, _, rest) in zip(done.differences, parts, strict=True):
        if rest and top != above:
            made.add_section()
            made.add_row(plain(top, "bold"))
        above = top
        made.add_row(
            plain(rest or top), *(plain(_short(text) or "not set") for text in (item.ours, item.theirs))
        )
    return made


def _wrap_anywhere(made: Table, number: int, keys: list[str]) -> None:
    """Dotted paths hold no spaces to break lines at."""
    made.columns[number].min_width = min(_WIDEST_KEY, max(map(len, keys)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
