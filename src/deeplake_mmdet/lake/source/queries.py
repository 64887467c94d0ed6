"""What can be told from the text of a TQL query, without running it."""

from __future__ import annotations

import re

from deeplake_mmdet.errors import ConfigError

__all__ = ["UNQUOTABLE", "is_plain_selection", "is_random", "named_anew", "selecting_all", "split_source"]

UNQUOTABLE = ('"', "\n", "\r")  # in a name: TQL has no way to write them
# TQL has 'text' with '' inside it for a quote, "names", and comments from -- to the end of the line.
_TEXT = re.compile(r"'(?:[^']|'')*'|--[^\n]*")
_QUOTED = re.compile(r'"[^"]*"')
_RANDOM = re.compile(r"\bRANDOM\s*\(|\bSAMPLE\s+BY\b", re.IGNORECASE)
_PLAIN = re.compile(r"\s*SELECT\s+\*\s*(?=(WHERE|ORDER|SAMPLE|LIMIT|OFFSET|FROM)\b|;|$)", re.IGNORECASE)
# Of a text whose quoted names are single words: all columns or some, then what selects and orders rows.
_CHOSEN = re.compile(
    r"\s*SELECT\s+(\*|\w+(?:\s*,\s*\w+)*)\s*(?=(WHERE|ORDER\s+BY|LIMIT|OFFSET|FROM)\b|$)", re.IGNORECASE
)
_INNER = re.compile(r"FROM\s*\(", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*SELECT\s+\*\s*,\s*ROW_NUMBER\s*\(\s*\)\s+AS\s+\w+\s*", re.IGNORECASE)
_OTHER = re.compile(
    r"\b(SELECT|FROM|JOIN|GROUP|UNGROUP|EXPAND|UNION|INTERSECT|EXCEPT|SAMPLE|RANDOM|SHUFFLE|WITH)\b",
    re.IGNORECASE,
)
_ALIAS = re.compile(r"\bAS\s+(\w+)", re.IGNORECASE)
_SOURCE = re.compile(r"\b(FROM|JOIN)\s*(\"[^\"]*\"|(?=[^\s\"(])[^\s()]+)", re.IGNORECASE)


def is_random(query: str) -> bool:
    """Whether two runs of a query may give different rows: it has ``RANDOM()`` or ``SAMPLE BY``.

    Args:
        query: Text in TQL.
    """
    return _RANDOM.search(_QUOTED.sub(_blank, _TEXT.sub(_blank, query))) is not None


def is_plain_selection(query: str) -> bool:
    """Whether a query only selects and orders rows: ``SELECT *``, and no column is computed.

    Args:
        query: Text in TQL.
    """
    return _PLAIN.match(_TEXT.sub(_blank, query)) is not None


def selecting_all(query: str) -> str | None:
    """Take a query that only selects and orders rows, the same each time, and have it give all columns.

    Args:
        query: Text in TQL, such as ``SELECT images, boxes WHERE a > 1 ORDER BY b``, or with
            ``FROM (SELECT *, ROW_NUMBER() AS n)`` before ``WHERE``.

    Returns:
        A query of the same rows in the same order with all columns. None if rows are joined, grouped, split,
        or drawn by chance, columns are computed or renamed, or the text is none of the forms known here.
    """
    words = _words(query).rstrip("; \t\r\n")
    chosen = _CHOSEN.match(words)
    if chosen is None:
        return None
    rest, inner = chosen.end(), ""
    if found := _INNER.match(words, rest):
        end = _closing(words, found.end())
        part = query[found.end() : end]
        if end < 0:
            return None
        if not _NUMBERED.fullmatch(words, found.end(), end):
            part = selecting_all(part) or ""
            if not part:
                return None
        rest, inner = end + 1, f"FROM ({part}) "
    return None if _OTHER.search(words, rest) else f"SELECT * {inner}{query[rest : len(words)]}"


def named_anew(query: str) -> set[str]:
    """Names that a query gives to what it computes; a column of the same name is not to be had from it.

    Args:
        query: Text in TQL.
    """
    words = _words(query)
    return {query[slice(*match.span(1))].strip('"') for match in _ALIAS.finditer(words)}


def _words(query: str) -> str:
    """A query without comments, texts emptied and quoted names as single words; all places stay."""
    emptied = _TEXT.sub(lambda match: (" " if match[0][0] == "-" else "'") * len(match[0]), query)
    return _QUOTED.sub(lambda match: "q" * len(match[0]), emptied)


def _closing(words: str, start: int) -> int:
    """Place of the parenthesis that closes one opened before ``start``; -1 if there is none."""
    depth = 1
    for place in range(start, len(words)):
        depth += {"(": 1, ")": -1}.get(words[place], 0)
        if not depth:
            return place
    return -1


def split_source(query: str) -> tuple[str | None, str]:
    """Take ``FROM "lake"`` out of a query.

    Args:
        query: Text in TQL.

    Returns:
        The lake it names, or None; and the query without it, to be run on that lake.

    Raises:
        ConfigError: It names two lakes, or joins one: only one can be pinned to a version.
    """
    blanked = _TEXT.sub(_blank, query)
    found = [(match, query[slice(*match.span(2))].strip('"')) for match in _SOURCE.finditer(blanked)]
    if not found:
        return None, query
    names = sorted({name for _, name in found})
    if len(names) > 1 or any(match[1].upper() == "JOIN" for match, _ in found):
        raise ConfigError(
            f"The query reads {', '.join(map(repr, names))}, but only one lake can be pinned to a version",
            where=f"dataset key 'query'={query!r}",
            advice="join the lakes into one first, or use one dataset for each (ConcatDataset)",
        )
    for match, _ in reversed(found):
        query = query[: match.start()] + query[match.end() :]
    return names[0], query


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])
