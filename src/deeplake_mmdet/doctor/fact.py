"""One thing that is known of this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

__all__ = ["Fact", "Status"]


class Status(str, Enum):
    """How a fact is to be taken."""

    OK = "ok"
    NOTE = "note"  # works, but something is slower or missing
    FAULT = "fault"  # something does not work


@dataclass(frozen=True)
class Fact:
    """One thing that is known of this machine.

    Attributes:
        area: ``'packages'``, ``'ops'``, ``'gpu'``, ``'machine'``, ``'disk'`` or ``'storage'``.
        name: What it is.
        value: For people; never a secret.
        status: How it is to be taken.
        advice: What to do or type, if anything.
    """

    area: str
    name: str
    value: str
    status: Status = Status.OK
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fact as JSON has it."""
        return {**asdict(self), "status": self.status.value}
