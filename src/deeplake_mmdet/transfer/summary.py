"""What an import did: figures, what was refused or changed, and the next command."""

from __future__ import annotations

import io
import logging
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from deeplake_mmdet.terminal import console, plain, table

__all__ = ["Finding", "Findings", "ImportSummary"]

LOGGER = logging.getLogger("deeplake_mmdet.transfer")
LOGGER.setLevel(logging.WARNING)  # one line for each refusal is for who asks for it: the summary counts them
_KEPT_PER_REASON = 100
_SHOWN_PER_REASON = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was not imported, or not as its file says.

    Attributes:
        kind: ``'image'``, ``'box'`` or ``'mask'``.
        file: The image or annotation file.
        reason: What was wrong or changed, in the same words for all like it.
        detail: What is particular to this one.
    """

    kind: str
    file: str
    reason: str
    detail: str = ""


@dataclass
class Findings:
    """Findings of one sort: all counted and logged (level INFO), the first hundred of each reason kept.

    Attributes:
        verb: What was done, for the log: ``'refused'`` or ``'changed'``.
        kept: In the order of import.
        counts: ``(kind, reason)`` to the number of all.
    """

    verb: str
    kept: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Count and log a finding, and keep it if fewer than a hundred of its kind and reason are kept.

        Args:
            finding: The finding.
        """
        key = (finding.kind, finding.reason)
        self.counts[key] += 1
        if self.counts[key] <= _KEPT_PER_REASON:
            self.kept.append(finding)
        LOGGER.info("%s %s: %s: %s %s", self.verb, finding.kind, finding.file, finding.reason, finding.detail)

    def join(self, other: Findings) -> None:
        """Count and keep those of another process, which has logged them.

        Args:
            other: Its findings.
        """
        for finding in other.kept:
            if self.counts[finding.kind, finding.reason] < _KEPT_PER_REASON:
                self.kept.append(finding)
        self.counts += other.counts

    def total(self, kind: str) -> int:
        """How many findings there are of one kind.

        Args:
            kind: ``'image'``, ``'box'`` or ``'mask'``.
        """
        return sum(count for (of, _), count in self.counts.items() if of == kind)

    def facts(self) -> list[dict[str, Any]]:
        """How many there are of each kind and reason, as plain JSON values."""
        return [
            {"what": kind, "reason": reason, "count": count} for (kind, reason), count in self.counts.items()
        ]

    def table(self) -> Table:
        """The first few of each reason, and how many there are, as a rich table."""
        made = table("what", "reason", "file", "details")
        for (kind, reason), count in self.counts.items():
            shown = [f for f in self.kept if (f.kind, f.reason) == (kind, reason)][:_SHOWN_PER_REASON]
            for finding in shown:
                made.add_row(*map(plain, (kind, reason, finding.file, finding.detail)))
            if count > len(shown):
                made.add_row(kind, plain(reason), f"and {count - len(shown)} more", "")
        return made


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
        not_decoded: How many images were imported without being decoded, as ``verify`` asked for.
        refusals: What was refused.
        changes: What was imported otherwise than its file says.
        notes: Everything else that differs from the source, in sentences.
        seconds: Duration.
        rows: How many images the lake has now, if these were added to one that stood; else None.
        shard: ``'i/n'``, if this was one of several shards, which ``merge`` puts together; else None.
    """

    lake: str
    source: str
    class_counts: dict[str, int]
    images: int = 0
    boxes: int = 0
    empty_images: int = 0
    emptied_images: int = 0
    lost_with_images: int = 0
    not_decoded: int = 0
    refusals: Findings = field(default_factory=lambda: Findings("refused"))
    changes: Findings = field(default_factory=lambda: Findings("changed"))
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rows: int | None = None
    shard: str | None = None

    @property
    def refused(self) -> list[Finding]:
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
    def is_mostly_refused(self) -> bool:
        """Whether more images were refused than imported; the command then ends with status 1."""
        return self.refused_images > self.images

    @property
    def next_command(self) -> str:
        """The command to type next."""
        command = "inspect" if self.shard is None else "merge"
        return f"deeplake-mmdet {command} {shlex.quote(self.lake)}"

    def facts(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        names = ("lake", "source", "images", "boxes", "class_counts", "empty_images", "emptied_images")
        more = ("lost_with_images", "not_decoded", "rows", "notes", "seconds")
        found = {"refused": self.refusals.facts(), "changes": self.changes.facts()}
        return (
            {name: getattr(self, name) for name in names}
            | found
            | {name: getattr(self, name) for name in more}
        )

    def render(self) -> RenderableType:
        """The summary as rich tables."""
        head = (
            f"Imported {self.images} images with {self.boxes} boxes into {self.lake} ({self.seconds:.1f} s)"
        )
        if self.shard is not None:
            head = head.replace(f" into {self.lake}", f" as shard {self.shard} of {self.lake}", 1)
        if self.rows is not None:
            head = head.replace("Imported", "Appended", 1) + f"; it has {self.rows} images now"
        parts: list[RenderableType] = [plain(head)]
        if self.is_mostly_refused:
            total = self.images + self.refused_images
            line = f"Most images were refused: {self.refused_images} of {total}. The reasons are below"
            parts.append(plain(line, "bold red"))
        if self.empty_images:
            lost = f" ({self.emptied_images} because every box was refused)" * bool(self.emptied_images)
            parts.append(plain(f"{self.empty_images} of these images have no boxes{lost}"))
        classes = table("class", "boxes")
        for name, count in self.class_counts.items():
            classes.add_row(plain(name), str(count))
        parts.append(classes)
        if self.refusals.counts:
            parts += [plain(self._refusal_line()), self.refusals.table()]
        if self.changes.counts:
            parts += [plain(self._change_line()), self.changes.table()]
        parts += [plain(f"Note: {note}") for note in self.notes]
        whole = "" if self.shard is None else ", once all shards are imported"
        parts.append(plain(f"Next: {self.next_command}{whole}"))
        return Group(*parts)

    def __str__(self) -> str:
        """The summary as plain text."""
        paper = console(file=io.StringIO(), width=160, color_system=None)
        with paper.capture() as capture:
            paper.print(self.render())
        return capture.get()

    def _refusal_line(self) -> str:
        line = f"Refused: {self.refused_images} images and {self.refused_boxes} boxes"
        return line + (
            f"; {self.lost_with_images} more boxes went with their images" * bool(self.lost_with_images)
        )

    def _change_line(self) -> str:
        totals = (("images", "image"), ("boxes", "box"), ("masks", "mask"))
        counts = ((name, self.changes.total(kind)) for name, kind in totals)
        return "Imported with a change: " + ", ".join(f"{count} {name}" for name, count in counts if count)
