"""What an export did: figures, and what was left out or changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType

from deeplake_mmdet.terminal import plain
from deeplake_mmdet.transfer.summary import Finding, Findings

__all__ = ["ExportSummary"]


@dataclass
class ExportSummary:
    """What was exported, what was left out or changed, and why.

    Attributes:
        format: ``'coco'``, ``'voc'`` or ``'yolo'``.
        lake: The lake, pinned.
        folder: Where the files are.
        predictions: The run whose predictions they are; None for the lake's truth.
        images: Images that have annotations in the export, maybe none.
        boxes: Boxes in the export.
        masks: Masks in the export.
        left_out: Images, boxes and masks that are not in it.
        changes: What is in it otherwise than in the lake.
        notes: Everything else, in sentences.
        seconds: Duration.
    """

    format: str
    lake: str
    folder: str
    predictions: str | None = None
    images: int = 0
    boxes: int = 0
    masks: int = 0
    left_out: Findings = field(default_factory=lambda: Findings("left out"))
    changes: Findings = field(default_factory=lambda: Findings("changed"))
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def leave_out(self, kind: str, file: str, reason: str, detail: str = "") -> None:
        """Count and name what is not exported. See `Finding`."""
        self.left_out.add(Finding(kind, file, reason, detail))

    def change(self, kind: str, file: str, reason: str, detail: str = "") -> None:
        """Count and name what is exported otherwise than it is in the lake. See `Finding`."""
        self.changes.add(Finding(kind, file, reason, detail))

    @property
    def is_mostly_left_out(self) -> bool:
        """Whether more images were left out than exported; the command then ends with status 1."""
        return self.left_out.total("image") > self.images

    def facts(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        counted = {"left_out": self.left_out.facts(), "changes": self.changes.facts()}
        names = ("format", "lake", "folder", "predictions", "images", "boxes", "masks")
        return {name: getattr(self, name) for name in names} | counted | {"notes": self.notes}

    def render(self) -> RenderableType:
        """The summary as rich tables."""
        what = "predictions" if self.predictions else "boxes"
        masks = f", {self.masks} of them with masks," * bool(self.masks)
        head = f"Exported {self.images} images with {self.boxes} {what}{masks} to {self.folder}"
        parts: list[RenderableType] = [plain(f"{head} ({self.seconds:.1f} s)")]
        for line, found in (("Left out:", self.left_out), ("Exported with a change:", self.changes)):
            if found.counts:
                parts += [plain(line), found.table()]
        return Group(*parts, *(plain(f"Note: {note}") for note in self.notes))
