"""What a COCO file says beyond, or otherwise than, what is read of it: kept, so that it can be written again.

The remainder of an entry is ``{"has": {key: value, ...}, "lacks": [key, ...]}``: what it has beside what is
read, and what it lacks of it. Written again is what was read, without what it lacks and with what it has.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["Remainder", "Remainders", "is_plain_box", "parts_of", "with_remainder"]

Remainder = Mapping[str, Any]
_ENCODER = json.JSONEncoder()
_SINGLE = frozenset((int, float, str, bool, type(None)))


class Remainders:
    """Finds remainders; those that only lack something are shared, as millions of them may be alike.

    Attributes:
        kept: Keys that are kept though nothing else of this package reads them, with ``prefix`` before them.
        lost: Keys whose values are nested too deep to be written again.
    """

    def __init__(self, prefix: str) -> None:
        self.kept: set[str] = set()
        self.lost: set[str] = set()
        self._prefix = prefix
        self._shared: dict[tuple[str, ...], Remainder] = {}

    def of(self, entry: Mapping[str, Any], read: Mapping[str, Any]) -> Remainder | None:
        """The remainder of an entry; None if there is none.

        Args:
            entry: As JSON has it.
            read: What will be written of it, without its remainder.
        """
        has = {key: value for key, value in entry.items() if not (key in read and same(value, read[key]))}
        lacks = () if read.keys() <= entry.keys() else tuple(key for key in read if key not in entry)
        for key in [key for key, value in has.items() if not _can_be_written(value)]:
            del has[key]
            self.lost.add(f"{self._prefix}{key}")
        if not has:
            return self._shared.setdefault(lacks, {"lacks": list(lacks)}) if lacks else None
        if not has.keys() <= read.keys():
            self.kept.update(f"{self._prefix}{key}" for key in has.keys() - read.keys())
        return {"has": has, "lacks": list(lacks)} if lacks else {"has": has}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON; 1 and 1.0 are, 1 and true are not.

    Args:
        one, other: As JSON has them.
    """
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _can_be_written(value: Any) -> bool:
    if type(value) in _SINGLE:
        return True
    try:
        _ENCODER.encode([[[[[[[[value]]]]]]]])  # nested as deep as it will be in the lake, and some more
    except RecursionError:
        return False
    return True


def is_plain_box(value: Any) -> bool:
    """Whether ``bbox`` is four numbers that float64 holds exactly.

    Args:
        value: As JSON has it.
    """
    if type(value) is not list or len(value) != 4:
        return False
    try:
        return all(type(x) in (int, float) and float(x) == x for x in value)
    except OverflowError:
        return False


def parts_of(remainder: Any) -> tuple[Mapping[str, Any], Collection[str]]:
    """What an entry has beside what is read of it, and what it lacks.

    Args:
        remainder: From `Remainders.of`, or whatever else stands in its place.
    """
    if not isinstance(remainder, Mapping):
        return {}, ()
    has, lacks = remainder.get("has"), remainder.get("lacks")
    return has if isinstance(has, Mapping) else {}, lacks if isinstance(lacks, list) else ()


def with_remainder(read: Mapping[str, Any], remainder: Any, known: Collection[str] = ()) -> dict[str, Any]:
    """An entry as it was.

    Args:
        read: What is written of it without its remainder.
        remainder: From `Remainders.of`; what else it holds is passed over.
        known: Keys that are to stay as ``read`` has them, whatever the remainder says.
    """
    has, lacks = parts_of(remainder)
    entry = {key: value for key, value in read.items() if key in known or key not in lacks}
    entry.update((key, value) for key, value in has.items() if key not in known)
    return entry
