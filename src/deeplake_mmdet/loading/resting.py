"""Letting everything that reads in this process come to rest before other processes are started.

Deep Lake crashes a process that forks while one of its threads reads.
"""

from __future__ import annotations

import weakref
from typing import Protocol

__all__ = ["Resting", "rest_all", "to_rest"]


class Resting(Protocol):
    """Something that reads in threads of its own."""

    def rest(self) -> None:
        """Wait until nothing is under way."""


_all: weakref.WeakSet[Resting] = weakref.WeakSet()


def to_rest(reader: Resting) -> None:
    """Have `rest_all` wait for a reader, as long as the reader lives.

    Args:
        reader: Held by a weak reference only.
    """
    _all.add(reader)


def rest_all() -> None:
    """Wait until no reader of this process has anything under way."""
    for reader in list(_all):
        reader.rest()
