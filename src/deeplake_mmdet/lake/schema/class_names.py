"""Class names as people write them down: lists, mappings and records, as names by label."""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any

import numpy as np

from deeplake_mmdet.errors import AnnotationError, DeepLakeMMDetError

__all__ = ["ClassNames", "class_list", "read_class_names"]

_NUMBER_KEYS = ("id", "index", "label", "class_id", "category_id")
_SHOWN = 80  # characters of a value that a message quotes


@dataclass(frozen=True)
class ClassNames:
    """Class names in the order of the labels that mean them.

    Attributes:
        names: Each once.
        numbers: The stored label of each, ascending, where that is not its place among the names: labels
            may begin at 1 or leave numbers out. Else None.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...] | None = None


def read_class_names(
    value: Any,
    where: str,
    *,
    advice: str = "write a list of texts, the name of label 0 first",
    error: type[DeepLakeMMDetError] = AnnotationError,
) -> ClassNames:
    """Read class names in any of the forms that say without doubt which label each name has.

    ====================================================== ==============================================
    form                                                   meaning
    ====================================================== ==============================================
    ``['person', 'car']``                                  the place is the label
    ``{0: 'person', 1: 'car'}``, keys as texts as well     the key is the label (YOLO's ``data.yaml``)
    ``{'person': 0, 'car': 1}``                            the value is the label
    ``[{'id': 1, 'name': 'person'}, ...]``                 ``id`` is the label (also ``index``, ``label``,
                                                           ``class_id``, ``category_id``); without any
                                                           number the place is. Other entries, such as
                                                           ``supercategory``, are not read
    ``{1: {'name': 'person', ...}, ...}``                  the key is the label
    ====================================================== ==============================================

    The order of a mapping or of records with numbers means nothing. Numbers may begin anywhere and leave
    gaps; a label in a gap has no name.

    Args:
        value: What was written down.
        where: The place, for errors.
        advice: What to write instead, for errors.
        error: Kind of the errors.

    Raises:
        DeepLakeMMDetError: Of kind ``error``: the value has another form (a single text, numbers for names,
            nested lists, None among the names), names are empty or repeated, or numbers are repeated or
            negative.
    """

    def refuse(what: str) -> DeepLakeMMDetError:
        return error(f"Class names cannot be read: {what}", where=where, advice=advice)

    if isinstance(value, np.ndarray):
        value = value.tolist()
    numbers: list[int] | None
    if isinstance(value, Mapping):
        names, numbers = _of_mapping(value, refuse)
    elif isinstance(value, (str, bytes)):
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
        raise refuse(f"they must be a list, such as {_shown(parts)}, not the text {_shown(value)}")
    elif isinstance(value, (Sequence, KeysView, ValuesView)):
        names, numbers = _of_list(list(value), refuse)
    else:
        raise refuse(f"there is {_shown(value)}, which is no list of texts")
    _check_each_once(names, "name", refuse)
    if not all(name.strip() for name in names):
        raise refuse(f"a name is empty: {_shown(names)}")
    if numbers is None:
        return ClassNames(tuple(names))
    _check_each_once(numbers, "number", refuse)
    if any(number < 0 for number in numbers):
        raise refuse(f"the number {min(numbers)} is negative")
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    ordered = [numbers[place] for place in order]
    return ClassNames(
        tuple(names[place] for place in order),
        None if ordered == list(range(len(ordered))) else tuple(ordered),
    )


def class_list(value: Any, where: str, **options: Any) -> tuple[str, ...]:
    """Read class names as `read_class_names` does, and give the names alone.

    Args:
        value, where: See `read_class_names`.
        options: ``advice`` and ``error`` of `read_class_names`.

    Returns:
        The names in ascending order of their labels.

    Raises:
        DeepLakeMMDetError: As `read_class_names`.
    """
    return read_class_names(value, where, **options).names


def _of_mapping(value: Mapping[Any, Any], refuse: Any) -> tuple[list[str], list[int]]:
    keys, values = list(value), list(value.values())
    by_key, by_value = [_number(key) for key in keys], [_number(item) for item in values]
    if None not in by_key and all(isinstance(item, Mapping) for item in values):
        values = [item.get("name") for item in values]
    if None not in by_key and all(map(_is_text, values)):
        return list(map(str, values)), [number for number in by_key if number is not None]
    if None not in by_value and all(map(_is_text, keys)):
        return list(map(str, keys)), [number for number in by_value if number is not None]
    raise refuse(
        f"the mapping {_shown(dict(value))} is neither from numbers to texts nor from texts to numbers"
    )


def _of_list(value: list[Any], refuse: Any) -> tuple[list[str], list[int] | None]:
    if all(map(_is_text, value)):
        return list(map(str, value)), None
    if all(isinstance(item, Mapping) for item in value):
        names = [item.get("name") for item in value]
        numbers = [_first_number(item) for item in value]
        if all(map(_is_text, names)):
            if all(number is None for number in numbers):
                return list(map(str, names)), None
            if None not in numbers:
                return list(map(str, names)), [number for number in numbers if number is not None]
        raise refuse(f"each record needs a text 'name' and a whole number 'id', but there is {_shown(value)}")
    odd = next(item for item in value if not _is_text(item))
    raise refuse(f"{_shown(odd)} among them is no text, there is {_shown(value)}")


def _first_number(record: Mapping[Any, Any]) -> int | None:
    return next((_number(record[key]) for key in _NUMBER_KEYS if key in record), None)


def _number(value: Any) -> int | None:
    """A whole number; JSON and YAML may also write it as a text, or with ``.0`` behind it."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else None
    if isinstance(value, str) and value.strip().isascii() and value.strip().lstrip("-").isdigit():
        return int(value)
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _check_each_once(found: Iterable[Any], what: str, refuse: Any) -> None:
    seen = set()
    for item in found:
        if item in seen:
            raise refuse(f"the {what} {item!r} occurs twice")
        seen.add(item)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
