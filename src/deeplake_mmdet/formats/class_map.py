"""Classes of a source under other names, several of them made one perhaps, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.formats.voc_split import near_name
from deeplake_mmdet.lake import class_list

__all__ = ["LEFT_OUT", "check_map", "choose_classes", "mapped_names"]

LEFT_OUT = -1  # in place of the label of a class that is not imported
_SHOWN = 20


def check_map(value: Any) -> dict[str, str]:
    """A mapping of class names as a dict; empty for None.

    Args:
        value: Old names to new ones, or None.

    Raises:
        ConfigError: It is no mapping of texts that are not empty.
    """
    if value is None:
        return {}
    sound = isinstance(value, Mapping) and all(
        isinstance(part, str) and part.strip() for pair in value.items() for part in pair
    )
    if not sound:
        raise ConfigError(
            f"'map' is {value!r:.80}",
            where="map",
            advice="Give old and new names of classes: map={'old': 'new'}, --map old=new",
        )
    return dict(value)


def mapped_names(names: Sequence[str], renamed: Mapping[str, str], where: str) -> tuple[str, ...]:
    """The names of the classes after renaming, each once, in the order in which they come first.

    Args:
        names: Of the source.
        renamed: From `check_map`.
        where: The source, for the error.

    Raises:
        ConfigError: ``renamed`` has an old name that the source lacks.
    """
    _refuse_unknown([name for name in renamed if name not in names], names, f"map, {where}")
    return tuple(dict.fromkeys(renamed.get(name, name) for name in names))


def choose_classes(
    names: Sequence[str], renamed: Mapping[str, str], classes: Any, where: str
) -> tuple[tuple[str, ...], list[int]]:
    """The classes of a lake, and which of them each class of the source is.

    Args:
        names: Of the source, in order.
        renamed: From `check_map`.
        classes: Names that are wanted, in label order, as they are after renaming; None for all.
        where: The source, for errors.

    Returns:
        The lake's class names, and the label of each of ``names``; `LEFT_OUT` for those that are not wanted.

    Raises:
        ConfigError: ``renamed`` or ``classes`` has a name that is not there, or ``classes`` is no list of
            texts or names none.
    """
    there = mapped_names(names, renamed, where)
    chosen = there
    if classes is not None:
        chosen = class_list(classes, "argument 'classes'", error=ConfigError)
        if not chosen:
            raise ConfigError("'classes' names none", where=f"classes, {where}")
        _refuse_unknown([name for name in chosen if name not in there], there, f"classes, {where}")
    label_of = {name: label for label, name in enumerate(chosen)}
    return chosen, [label_of.get(renamed.get(name, name), LEFT_OUT) for name in names]


def _refuse_unknown(unknown: Sequence[str], names: Sequence[str], where: str) -> None:
    if unknown:
        hints = [
            repr(name) + (f" (did you mean {near!r}?)" if (near := near_name(name, names)) else "")
            for name in unknown[:_SHOWN]
        ]
        raise ConfigError(
            f"There is no class {', '.join(hints)}",
            where=where,
            advice=f"Classes there: {', '.join(map(repr, names[:_SHOWN]))}",
        )
