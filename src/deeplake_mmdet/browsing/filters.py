"""What is to be seen of a lake: which rows, in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["KINDS", "OBJECTS", "ORDERS", "SIZES", "Filters", "read_filters"]

#: Areas of objects in square pixels, as COCO parts them.
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, math.inf)}
OBJECTS = ("with", "without")
#: Kinds of errors by which rows can be chosen -> the run's number that counts them.
KINDS = {"missed": "missed", "false": "fp", "confused": "confused"}
#: Orders -> the run's number that the highest come first of; none for those of the lake itself.
ORDERS = {
    "lake": "", "most objects": "", "most missed": "missed", "most false": "fp", "most confused": "confused",
    "most disagreement": "disagreement", "most suspicious labels": "label_error",
}  # fmt: skip
_LONGEST_QUERY = 10_000
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Filters:
    """Which rows, in which order. Rows have to fit all that is given.

    Attributes:
        classes: Class indices: rows with an object of any of them.
        sizes: Keys of `SIZES`: rows with an object of any of them, and of the classes, if these are given.
        objects: ``'with'`` or ``'without'`` any object; empty for both.
        query: TQL, see `deeplake_mmdet.lake.select_rows`; empty for none.
        run: Id of the run whose predictions are looked at; empty for none.
        kinds: Keys of `KINDS`: rows with an error of any of these kinds in the run.
        order: A key of `ORDERS`.
    """

    classes: tuple[int, ...] = ()
    sizes: tuple[str, ...] = ()
    objects: str = ""
    query: str = ""
    run: str = ""
    kinds: tuple[str, ...] = ()
    order: str = "lake"

    @property
    def choose_nothing(self) -> bool:
        """Whether all rows are shown in the lake's order."""
        return self == Filters(run=self.run)


def read_filters(told: Mapping[str, Any]) -> Filters:
    """Filters as a page tells them.

    Args:
        told: ``class``, ``size``, ``kind``: lists of texts or numbers; ``objects``, ``query``, ``run``,
            ``order``: texts. All may be missing.

    Raises:
        ConfigError: One cannot be understood.
    """
    classes = tuple(sorted({_whole("class", value) for value in _several(told, "class")}))
    found = Filters(
        classes,
        tuple(sorted({_one_of("size", value, tuple(SIZES)) for value in _several(told, "size")})),
        _one_of("objects", told.get("objects") or "", ("", *OBJECTS)),
        _text("query", told).strip(),
        _text("run", told),
        tuple(sorted({_one_of("kind", value, tuple(KINDS)) for value in _several(told, "kind")})),
        _one_of("order", told.get("order") or "lake", tuple(ORDERS)),
    )
    if len(found.classes) > _MOST_CLASSES:
        raise ConfigError(f"More than {_MOST_CLASSES} classes are chosen", where="filter 'class'")
    if not found.run and (found.kinds or ORDERS[found.order]):
        raise ConfigError(
            "Errors can only be told of a run", where="filters", advice="choose a run of predictions first"
        )
    return found


def _several(told: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = told.get(name, ())
    return found if isinstance(found, (list, tuple)) else [found]


def _text(name: str, told: Mapping[str, Any]) -> str:
    found = told.get(name) or ""
    if not isinstance(found, str) or len(found) > _LONGEST_QUERY:
        raise ConfigError("No text, or too long a one", where=f"filter {name!r}")
    return found


def _whole(name: str, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ConfigError(f"{text[:40]!r} is no number", where=f"filter {name!r}")
    return int(text)


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ConfigError(f"There is no {name} {str(value)[:40]!r}", where="filters", advice=", ".join(known))
    return str(value)
