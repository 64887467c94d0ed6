"""What an import did: figures, refusals and the next command."""

from __future__ import annotations

import io
import logging
import shlex
from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

__all__ = ["ImportSummary", "Refusal", "Refusals"]

LOGGER = logging.getLogger("deeplake_mmdet.transfer")
_KEPT_PER_REASON = 100
_SHOWN_PER_REASON = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that was not imported.

    Attributes:
        kind: ``'image'`` or ``'box'``.
        file: The image or annotation file.
        reason: The same words for all like it.
        detail: What is particular to this one.
    """

    kind: str
    file: str
    reason: str
    detail: str = ""


@dataclass
class Refusals:
    """Refusals: all counted and logged (level INFO), the first hundred of each reason kept.

    Attributes:
        kept: In the order of import.
        counts: ``(kind, reason)`` to the number of all.
    """

    kept: list[Refusal] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, refusal: Refusal) -> None:
        """Count, log and, if there is room, keep one."""
        key = (refusal.kind, refusal.reason)
        self.counts[key] += 1
        if self.counts[key] <= _KEPT_PER_REASON:
            self.kept.append(refusal)
        LOGGER.info("refused %s: %s: %s %s", refusal.kind, refusal.file, refusal.reason, refusal.detail)

    def total(self, kind: str) -> int:
        """How many images or boxes were refused."""
        return sum(count for (of, _), count in self.counts.items() if of == kind)


@dataclass
class ImportSummary:
    """What was imported, what was refused and why.

    Attributes:
        lake: Path or URL of the new lake.
        source: What was read.
        class_counts: Boxes in the lake by class name, in label order.
        images: Images in the lake.
        boxes: Boxes in the lake.
        empty_images: Images in the lake without any box.
        emptied_images: Those of them whose every box was refused.
        lost_with_images: Boxes that went with refused images; they are not among the refused boxes.
        refusals: What was refused.
        notes: Everything else that differs from the source, in sentences.
        seconds: Duration.
    """

    lake: str
    source: str
    class_counts: dict[str, int]
    images: int = 0
    boxes: int = 0
    empty_images: int = 0
    emptied_images: int = 0
    lost_with_images: int = 0
    refusals: Refusals = field(default_factory=Refusals)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def refused(self) -> list[Refusal]:
        """The first hundred refusals of each reason; ``refusals.counts`` has the totals."""
        return self.refusals.kept

    @property
    def refused_images(self) -> int:
        """How many images were refused."""
        return self.refusals.total("image")

    @property
    def refused_boxes(self) -> int:
        """How many boxes were refused in images that were imported."""
        return self.refusals.total("box")

    @property
    def next_command(self) -> str:
        """The command to type next."""
        return f"deeplake-mmdet inspect {shlex.quote(self.lake)}"

    def render(self) -> RenderableType:
        """The summary as rich tables."""
        head = (
            f"Imported {self.images} images with {self.boxes} boxes into {self.lake} ({self.seconds:.1f} s)"
        )
        parts: list[RenderableType] = [Text(head)]
        if self.empty_images:
            lost = f" ({self.emptied_images} because every box was refused)" * bool(self.emptied_images)
            parts.append(Text(f"{self.empty_images} of these images have no boxes{lost}"))
        classes = Table("class", "boxes")
        for name, count in self.class_counts.items():
            classes.add_row(Text(name), str(count))
        parts.append(classes)
        if self.refusals.counts:
            parts += [Text(self._refusal_line()), self._refusal_table()]
        parts += [Text(f"Note: {note}") for note in self.notes]
        parts.append(Text(f"Next: {self.next_command}"))
        return Group(*parts)

    def __str__(self) -> str:
        """The summary as plain text."""
        console = Console(file=io.StringIO(), width=160, color_system=None)
        with console.capture() as capture:
            console.print(self.render())
        return capture.get()

    def _refusal_line(self) -> str:
        line = f"Refused: {self.refused_images} images and {self.refused_boxes} boxes"
        return line + (
            f"; {self.lost_with_images} more boxes went with their images" * bool(self.lost_with_images)
        )

    def _refusal_table(self) -> Table:
        table = Table(*(Column(name, overflow="fold") for name in ("what", "reason", "file", "details")))
        for (kind, reason), count in self.refusals.counts.items():
            shown = [r for r in self.refusals.kept if (r.kind, r.reason) == (kind, reason)][
                :_SHOWN_PER_REASON
            ]
            for refusal in shown:
                table.add_row(*map(Text, (kind, reason, refusal.file, refusal.detail)))
            if count > len(shown):
                table.add_row(kind, Text(reason), f"and {count - len(shown)} more", "")
        return table
