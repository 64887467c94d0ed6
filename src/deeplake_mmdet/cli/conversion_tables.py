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
    from deeplake_mmdet.legacy.notes import Severity

__all__ = ["render"]

# What needs a look comes first; the meaning of the words stands in the head of the table.
_ORDER: tuple[Severity, ...] = ("dropped", "approximated", "info")
_STYLES = {"dropped": "red", "approximated": "yellow", "info": "dim"}
_LONGEST = 120  # characters of a value; the report file has all
_WIDEST_KEY = 36  # columns that a key may take before it is broken


def render(done: Conversion, *, compared: bool) -> Iterator[Table | Text]:
    """What was written, the notes, and the differences from a stock config if they were asked for."""
    if done.out is not None:
        yield plain(f"Wrote {done.out}", "bold")
    if not done.legacy:
        yield Text("Nothing to convert: this is a config for MMDetection 3.x. Its bases were merged in.")
    elif not done.notes:
        yield Text("Everything means the same; there are no notes.")
    if done.notes:
        yield _notes(done)
    if compared and done.stock is None:
        yield Text("MMDetection 3.x has no config of this name, nor of its bases' names, to compare with.")
    elif compared:
        yield _differences(done)


def _notes(done: Conversion) -> Table:
    counts = Counter(note.severity for note in done.notes)
    title = ", ".join(f"{counts[kind]} {kind}" for kind in _ORDER if counts[kind])
    made = table("", "setting", "what happened", "why", title=f"Notes: {title}")
    made.columns[0].no_wrap = True
    _wrap_anywhere(made, 1, [note.key for note in done.notes])
    for note in sorted(done.notes, key=lambda note: _ORDER.index(note.severity)):
        what = note.what
        if note.old is not None:
            new = "" if note.new is None else f" -> {_short(repr(note.new))}"
            what += f" ({_short(repr(note.old))}{new})"
        made.add_row(plain(note.severity, _STYLES[note.severity]), *map(plain, (note.key, what, note.why)))
    return made


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
