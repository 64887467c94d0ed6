"""Kinds of values that settings of a 2.x config have, and the refusal of any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = [
    "DICT",
    "NUMBER",
    "NUMBERS",
    "PAIR",
    "STEPS",
    "TEXT",
    "TEXTS",
    "WHOLE",
    "Kind",
    "be_dict",
    "each",
    "either",
    "is_number",
    "maybe",
    "must_be",
    "pairs",
    "wrong",
]

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 40


@dataclass(frozen=True)
class Kind:
    """What a setting may be.

    Attributes:
        holds: Whether a value is of this kind.
        wanted: What an error says that it must be.
        example: What an error says to write.
    """

    holds: Callable[[Any], bool]
    wanted: str
    example: str


def must_be(kind: Kind, value: Any, key: str) -> None:
    """Refuse a value of another kind.

    Args:
        kind: What it must be.
        value: The setting's value.
        key: Its dotted path.

    Raises:
        ConfigError: With the key, the value and what to write.
    """
    if not kind.holds(value):
        name = key.rpartition(".")[2].partition("[")[0]
        raise wrong(value, key, kind.wanted, f"write {name}={kind.example}")


def wrong(value: Any, key: str, wanted: str, advice: str) -> ConfigError:
    """The error for a value of another kind.

    Args:
        value: The setting's value.
        key: Its dotted path.
        wanted: What it must be.
        advice: What to write.
    """
    got = type(value).__name__
    # Not what a dict holds, or what stands in its place: anything may, secrets too.
    if not value or (_is_plain(value) if "dict" not in wanted else isinstance(value, (int, float))):
        got = _SHORT.repr(value)
    return ConfigError(f"{key!r} must be {wanted}, got {got}", where=f"config key '{key}'", advice=advice)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (int, float, str))


def be_dict(value: Any, key: str) -> None:
    """Refuse what is neither a dict nor None.

    Args:
        value: The setting's value.
        key: Its dotted path.

    Raises:
        ConfigError: With the key.
    """
    if value is not None and not isinstance(value, Mapping):
        raise wrong(value, key, "a dict", f"write {key.rpartition('.')[2]}=dict(...)")


def is_number(value: Any) -> bool:
    """Whether a value is a number, and no bool.

    Args:
        value: Anything.
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def maybe(kind: Kind) -> Kind:
    """A kind, or None.

    Args:
        kind: The kind.
    """
    return Kind(lambda value: value is None or kind.holds(value), kind.wanted, kind.example)


def either(first: Kind, second: Kind) -> Kind:
    """One kind or the other, whose example is given.

    Args:
        first, second: The kinds.
    """
    wanted = f"{first.wanted} or {second.wanted}"
    return Kind(lambda value: first.holds(value) or second.holds(value), wanted, second.example)


def each(kind: Kind, wanted: str, example: str, *, least: int = 0) -> Kind:
    """A list or tuple of one kind.

    Args:
        kind: That of its items.
        wanted, example: See `Kind`.
        least: How many items it must have.
    """

    def holds(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and len(value) >= least and all(map(kind.holds, value))

    return Kind(holds, wanted, example)


def pairs(value: Any) -> bool:
    """Whether a value is a list of pairs of numbers, with at least one.

    Args:
        value: Anything.
    """
    return isinstance(value, (list, tuple)) and bool(value) and all(map(PAIR.holds, value))


NUMBER = Kind(lambda value: is_number(value) and not math.isnan(value), "a number", "0.1")
WHOLE = Kind(
    lambda value: is_number(value) and math.isfinite(value) and value == int(value), "a whole number", "1"
)
TEXT = Kind(lambda value: isinstance(value, str), "a text", "'...'")
TEXTS = each(TEXT, "a list of texts", "['...']")
DICT = Kind(lambda value: isinstance(value, Mapping), "a dict", "dict(...)")
NUMBERS = each(NUMBER, "a list of numbers", "[1.0, 2.0]", least=1)
PAIR = Kind(lambda value: NUMBERS.holds(value) and len(value) == 2, "two numbers", "(1, 2)")
STEPS = each(DICT, "a list of dicts", "[dict(type='LoadImageFromFile'), ...]")
