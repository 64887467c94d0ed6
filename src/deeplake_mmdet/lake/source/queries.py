"""What can be told from the text of a TQL query, without running it."""

from __future__ import annotations

import re

from deeplake_mmdet.errors import ConfigError

__all__ = ["UNQUOTABLE", "is_plain_selection", "is_random", "split_source"]

UNQUOTABLE = ('"', "\n", "\r")  # in a name: TQL has no way to write them
# TQL has 'text' with '' inside it for a quote, "names", and comments from -- to the end of the line.
_TEXT = re.compile(r"'(?:[^']|'')*'|--[^\n]*")
_QUOTED = re.compile(r'"[^"]*"')
_RANDOM = re.compile(r"\bRANDOM\s*\(|\bSAMPLE\s+BY\b", re.IGNORECASE)
_PLAIN = re.compile(r"\s*SELECT\s+\*\s*(?=(WHERE|ORDER|SAMPLE|LIMIT|OFFSET|FROM)\b|;|$)", re.IGNORECASE)
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
