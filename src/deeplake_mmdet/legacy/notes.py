"""Notes: what a conversion changed, approximated or left out, so that nothing vanishes silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deeplake_mmdet.legacy.kinds import be_dict

__all__ = ["Note", "Notebook", "Settings", "Severity"]

Severity = Literal["info", "approximated", "dropped"]


@dataclass(frozen=True)
class Note:
    """One remark of a conversion.

    Attributes:
        key: Dotted path in the 2.x config, e.g. ``lr_config.warmup``.
        what: What happened to it, in one sentence.
        why: The reason.
        severity: ``info`` (the meaning is kept), ``approximated`` (nearly), ``dropped`` (no effect now).
        old: The old value, where it helps.
        new: The new value, where there is one.
    """

    key: str
    what: str
    why: str = ""
    severity: Severity = "info"
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        values = " -> ".join(repr(value) for value in (self.old, self.new) if value is not None)
        values = f" ({values})" if values else ""
        reason = f": {self.why}" if self.why else ""
        return f"[{self.severity}] {self.key}: {self.what}{values}{reason}"


class Notebook:
    """Collects the notes of one conversion, each once."""

    def __init__(self) -> None:
        self._notes: dict[str, Note] = {}

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes.values())

    def info(self, key: str, what: str, why: str = "", *, old: Any = None, new: Any = None) -> None:
        """Note a change that keeps the meaning.

        Args:
            key, what, why: See `Note`.
            old, new: The values before and after; None where they do not help.
        """
        self._add(Note(key, what, why, "info", old, new))

    def approximated(self, key: str, what: str, why: str = "", *, old: Any = None, new: Any = None) -> None:
        """Note a change that nearly keeps the meaning.

        Args:
            key, what, why: See `Note`.
            old, new: The values before and after; None where they do not help.
        """
        self._add(Note(key, what, why, "approximated", old, new))

    def dropped(self, key: str, what: str, why: str = "", *, old: Any = None) -> None:
        """Note a setting that has no effect any more.

        Args:
            key, what, why: See `Note`.
            old: Its value; None where it does not help.
        """
        self._add(Note(key, what, why, "dropped", old))

    def _add(self, note: Note) -> None:
        self._notes.setdefault(repr(note), note)


class Settings:
    """A mapping whose entries are taken out one by one, so that none is overlooked.

    Args:
        content: The entries; not changed.
        key: Dotted path of the mapping in the 2.x config.
        notes: Where remarks go.

    Raises:
        ConfigError: They are no mapping.
    """

    def __init__(self, content: Mapping[str, Any] | None, key: str, notes: Notebook) -> None:
        be_dict(content, key)
        self._left = dict(content or {})
        self.key = key
        self.notes = notes

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def at(self, name: str) -> str:
        """Dotted path of an entry in the 2.x config.

        Args:
            name: The entry's key; there need not be one.
        """
        return f"{self.key}.{name}" if self.key else name

    def take(self, name: str, default: Any = None) -> Any:
        """Take an entry out.

        Args:
            name: Its key.
            default: What to return if there is none.
        """
        return self._left.pop(name, default)

    def move(self, *names: str) -> dict[str, Any]:
        """Take several entries out; those that are missing are left out.

        Args:
            names: Their keys.
        """
        return {name: self._left.pop(name) for name in names if name in self._left}

    def drop(self, name: str, why: str, *, harmless: tuple[Any, ...] = (None,)) -> None:
        """Take an entry out and note it as dropped, unless its value had no effect in 2.x either.

        Args:
            name: Its key; nothing happens if there is no such entry.
            why: The reason for the note.
            harmless: Values that are not noted.
        """
        if name in self._left:
            value = self._left.pop(name)
            if not any(value is other or value == other for other in harmless):
                self.notes.dropped(self.at(name), "dropped", why, old=value)

    def rest(self) -> dict[str, Any]:
        """Take out all that is left."""
        left, self._left = self._left, {}
        return left

    def drop_rest(self, why: str) -> None:
        """Note everything that is left as dropped.

        Args:
            why: The reason for the notes.
        """
        for name in list(self._left):
            self.drop(name, why, harmless=())
