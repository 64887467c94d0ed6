"""Single values of a COCO file as people write them: ids, numbers, flags, sizes and boxes.

Numbers that are equal are the same, as in JSON and Python: ``1.0`` is 1. Texts that state a number are read,
and told to the caller, who counts them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

__all__ = ["Id", "IdIndex", "is_number", "read_box", "read_flag", "read_id", "read_size", "shown", "stated"]

Id = int | float | str
"""What names an image, a category or an annotation: a whole number, where it is one; else as in the file."""

_NUMBER = re.compile(r"\s*[+-]?(\d{1,300}(\.\d*)?|\.\d{1,300})([eE][+-]?\d{1,3})?\s*", re.ASCII)


def read_id(value: Any) -> Id | None:
    """Read an id; None if the value (null, a list, ``true``, NaN, ...) is none.

    Args:
        value: As JSON has it.

    Returns:
        A text as it is; a number as an integer where it is a whole one.
    """
    if type(value) is int or type(value) is str:
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def stated(value: Any) -> int | float | None:
    """The finite number that a number or a text is; None for anything else. ``'03'`` is 3.

    Args:
        value: As JSON has it.
    """
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    found = read_id(value)
    return None if isinstance(found, str) else found


class IdIndex:
    """Looks ids up: an equal one first, as pycocotools does, else the only one that states the same number.

    Args:
        ids: What can be found, each once.
    """

    def __init__(self, ids: Iterable[Id]) -> None:
        self._ids = frozenset(ids)

    def find(self, value: Id) -> tuple[Id, bool] | None:
        """Find an id.

        Args:
            value: The id as it is written where it is used.

        Returns:
            The id as it was given to the index, and whether it is equal to ``value`` rather than only the
            same number; None if there is none, or several are the same number and none is equal.
        """
        if value in self._ids:
            return value, True
        number = stated(value)
        found = None if number is None else self._by_number.get(number)
        return None if found is None else (found, False)

    @cached_property
    def _by_number(self) -> dict[int | float, Id | None]:
        found: dict[int | float, Id | None] = {}
        for name in self._ids:
            number = stated(name)
            if number is not None:
                found[number] = None if number in found else name
        return found


def is_number(value: Any) -> bool:
    """Whether a value is a number that float64 can hold, finite and no bool.

    Args:
        value: As JSON has it.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def read_flag(value: Any) -> tuple[int, str | None] | None:
    """A flag, and what is odd about it; None if it cannot be read.

    Missing, null, empty and NaN are 0. Texts count as what they say, so that ``"0"`` and ``"false"`` are 0
    (to pycocotools and MMDetection, as texts that are not empty, they are true). Other numbers than 0 are 1,
    as they are there.

    Args:
        value: As JSON has it.

    Returns:
        0 or 1, and a phrase for messages or None; None instead of both if the value cannot be read.
    """
    if value is None or value is False or (type(value) is int and value == 0):
        return 0, None
    if value is True or (isinstance(value, (int, float)) and value in (0, 1)):
        return int(value), None
    if isinstance(value, float) and math.isnan(value):
        return 0, "is NaN and taken as 0"
    if isinstance(value, str):
        word = value.strip().lower()
        number = {"": 0, "false": 0, "true": 1}.get(word, stated(word))
        return None if number is None else (int(number != 0), "is a text and taken as what it says")
    if isinstance(value, (int, float)):
        return 1, "is neither 0 nor 1 and taken as 1"
    return None


def read_size(width: Any, height: Any) -> tuple[tuple[int, int] | None, str | None]:
    """An image's size, ``(width, height)`` in pixels, None if it is unknown; and what is odd about it.

    0 x 0 means unknown, as in Pascal VOC.

    Args:
        width, height: As JSON has them.

    Returns:
        The size or None, and a phrase for messages or None. Both are None where the file states no size.
    """
    sides = [None if isinstance(side, float) and math.isnan(side) else side for side in (width, height)]
    if sides == [None, None]:
        return None, None
    if None in sides:
        return None, "only one of width and height is stated; the size is taken as unknown"
    numbers = [stated(side) for side in sides]
    if numbers == [0, 0]:
        return None, "the stated size is 0 x 0; it is taken as unknown"
    if not all(isinstance(number, int) and 0 < number < 2**31 for number in numbers):
        return None, "the stated size is no size in pixels; it is taken as unknown"
    odd = "the size is stated as text" if any(isinstance(side, str) for side in sides) else None
    return (int(numbers[0] or 0), int(numbers[1] or 0)), odd


def read_box(value: Any) -> tuple[list[int | float] | None, str | None]:
    """Read a box ``[x, y, width, height]`` in pixels.

    Args:
        value: ``bbox`` as JSON has it; a text that holds a list of numbers will do.

    Returns:
        The box, and what is odd about it or None; or None, and why it is no box.
    """
    if value is None or value == [] or (isinstance(value, float) and math.isnan(value)):
        return None, "box is missing"
    odd = None
    if isinstance(value, str):
        value, odd = _list_in(value), "box is a text and taken as what it says"
    if not isinstance(value, list) or len(value) != 4:
        return None, "box is not four finite numbers"
    if any(isinstance(number, str) for number in value):
        value, odd = [stated(number) for number in value], "box is a text and taken as what it says"
    if not all(map(is_number, value)):
        return None, "box is not four finite numbers"
    if value[2] <= 0 or value[3] <= 0:
        return None, "box has no area (width or height is zero or negative)"
    return value, odd


def _list_in(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def shown(value: Any) -> str:
    """A value's ``repr`` for messages, cut after 80 characters.

    Args:
        value: Whatever JSON can hold, however deeply nested.
    """
    try:
        return f"{value!r:.80}"
    except RecursionError:
        return f"a {type(value).__name__} nested too deep to be shown"
