"""``{{_base_.variable}}`` in the text of a config: finding it, and writing it as plain Python.

MMCV and MMEngine put a text in its place while the file runs, and the value afterwards: in an expression, or
within a text, a made-up name stays behind. Plain Python has the value from the start.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Reference", "left_over", "references", "rewritten"]

_REFERENCE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_CHAIN = re.compile(r"_base_\.([\w.]+)")
_SILENT = (tokenize.NL, tokenize.COMMENT)
_BEGINS = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
# From Python 3.12 on, an f-string is several tokens.
_OPENS = (getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "TSTRING_START", -1))
_CLOSES = (getattr(tokenize, "FSTRING_END", -1), getattr(tokenize, "TSTRING_END", -1))


@dataclass(frozen=True)
class Reference:
    """A variable of a base that a file uses.

    Attributes:
        name: Its dotted name, without ``_base_``.
        line: Where it stands, from 1.
        within_text: Whether it is a part of a string.
        plain: Whether it is written ``_base_.name``, which Python itself looks up.
    """

    name: str
    line: int
    within_text: bool = False
    plain: bool = False


def references(text: str) -> list[Reference]:
    """All that a file takes from its bases, but for what remarks and documentation say.

    Raises:
        SyntaxError: It names a base, and is no Python.
    """
    if "_base_." not in text:
        return []
    tree = ast.parse(text)
    places = [place for place in _places(text) if not place.silent]
    found = [Reference(place.name, place.line, place.run is not None) for place in places]
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner or not isinstance(node.ctx, ast.Load):
            continue
        if chain := _CHAIN.fullmatch(ast.unparse(node)):
            found.append(Reference(chain[1], node.lineno, plain=True))
    return [item for item in found if not (item.plain and _stands_in_braces(item, found))]


def rewritten(text: str) -> str:
    """The same program, line by line, with ``_base_['variable']`` for ``{{_base_.variable}}``."""
    edits: list[tuple[int, int, str]] = []
    for number, place in enumerate(_places(text)):
        value = "_base_" + "".join(f"[{part!r}]" for part in place.name.split("."))
        if place.silent:
            edits.append((place.start, place.end, f"_base_.{place.name}"))  # MMEngine would break quotes
            continue
        if place.run is None:
            edits.append((place.start, place.end, value))
            continue
        mark = f"_base_variable_{number}_"
        while mark in text:
            mark += "_"
        edits.append((place.start, place.end, mark))
        edits.append((place.run, place.run, f".replace({mark!r}, str({value}))"))
    # From the end, so that places stay true; what is put in at one place, in the order of the text.
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def left_over(text: str, found: Sequence[Reference]) -> bool:
    """Whether a text holds a name that MMEngine made up for one of these references."""
    names = "|".join(re.escape(item.name) for item in found if not item.plain)
    return bool(names) and re.search(rf"_(?:{names})_[0-9a-f]{{6}}", text) is not None


@dataclass(frozen=True)
class _Place:
    """Where a reference stands.

    Attributes:
        name: Its dotted name.
        line: From 1.
        start: Its first character.
        end: The character behind its last.
        run: The end of the strings in a row that it is within; None in plain code.
        silent: Whether it stands in a remark or in documentation.
    """

    name: str
    line: int
    start: int
    end: int
    run: int | None
    silent: bool


def _places(text: str) -> list[_Place]:
    found = list(_REFERENCE.finditer(text))
    if not found:
        return []
    runs, silent = _strings(text)
    places = []
    for match in found:
        start, end = match.span()
        quiet = any(first <= start < last for first, last in silent)
        run = next((last for first, last in runs if first <= start < last), None)
        places.append(_Place(match[1], text.count("\n", 0, start) + 1, start, end, run, quiet))
    return places


def _strings(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The spans of strings, those in a row as one; and of remarks and documentation."""
    starts = [0, *(number + 1 for number, sign in enumerate(text) if sign == "\n")]

    def at(place: tuple[int, int]) -> int:
        return starts[place[0] - 1] + place[1]

    runs: list[tuple[int, int]] = []
    silent: list[tuple[int, int]] = []
    before = last = tokenize.ENCODING
    for kind, start, end in _joined(tokenize.generate_tokens(io.StringIO(text).readline)):
        if kind == tokenize.COMMENT:
            silent.append((at(start), at(end)))
        if kind in _SILENT:
            continue
        if kind == tokenize.STRING and last == tokenize.STRING:
            runs[-1] = (runs[-1][0], at(end))
        elif kind == tokenize.STRING:
            runs.append((at(start), at(end)))
            before = last
        elif kind in (tokenize.NEWLINE, tokenize.ENDMARKER) and last == tokenize.STRING and before in _BEGINS:
            silent.append(runs.pop())
        last = kind
    return runs, silent


def _joined(
    tokens: Iterator[tokenize.TokenInfo],
) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Kinds and places of tokens, with an f-string as one."""
    depth, start = 0, (1, 0)
    for token in tokens:
        if token.type in _OPENS:
            start = start if depth else token.start
            depth += 1
        elif token.type in _CLOSES:
            depth -= 1
            if not depth:
                yield tokenize.STRING, start, token.end
        elif not depth:
            yield token.type, token.start, token.end


def _stands_in_braces(item: Reference, found: Sequence[Reference]) -> bool:
    """``{{_base_.x}}`` is Python too: a set in a set."""
    return any(not other.plain and other.line == item.line and other.name == item.name for other in found)
