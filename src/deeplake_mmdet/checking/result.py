"""What a check found: facts of the lakes, and findings with their severity, rows and advice."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.kinds import KINDS, SEVERITIES
from deeplake_mmdet.checking.plan import FixStep, plan_of
from deeplake_mmdet.lake import LakeView, ResolvedSource, Source

__all__ = ["CheckResult", "Finding", "LakeFacts", "LeftOut"]

_EXAMPLES = 20  # rows of a finding in its JSON


@dataclass(frozen=True, eq=False)
class Finding:
    """One kind of fault, or one thing to know, with all that have it.

    Attributes:
        kind: Of `kinds.KINDS`, e.g. ``'box-outside'``.
        count: How many there are.
        unit: Of what, e.g. ``'boxes'``.
        lake: 0 for the lake, 1 for the second one.
        rows: The numbers of all rows concerned, ascending, shape (k,), int64.
        column: The column concerned; None for several or none.
        details: What is particular to some of them, in words.
        twins: Of images that are in the first lake, too: some of their rows here and there.
        files: The names that the files of the first few rows had, where the lake records them.
    """

    kind: str
    count: int
    unit: str
    lake: int
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    column: str | None = None
    details: tuple[str, ...] = ()
    twins: tuple[tuple[int, int], ...] = ()
    files: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        """``'error'``, ``'warning'`` or ``'note'``."""
        return KINDS[self.kind].severity

    @property
    def what(self) -> str:
        """What it is, in words."""
        return KINDS[self.kind].what

    @property
    def advice(self) -> str:
        """What to do about it."""
        return KINDS[self.kind].advice

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values, with the first twenty rows for examples."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "count": self.count,
            "unit": self.unit,
            "lake": self.lake,
            "column": self.column,
            "row_count": len(self.rows),
            "example_rows": self.rows[:_EXAMPLES].tolist(),
            "example_files": list(self.files),
            "details": list(self.details),
            "advice": self.advice,
        }


@dataclass(frozen=True, eq=False)
class LakeFacts:
    """Figures of one lake.

    Attributes:
        asked: The lake as the user named it.
        source: What it was pinned to.
        rows: Number of rows.
        boxes: Number of boxes that can be read.
        empty: Number of rows without a box.
        images: How many images were read.
        verify: How far: ``'decode'``, ``'header'`` or ``'none'``.
        classes: Name, number of boxes and number of images of each class, in the lake's order.
        size_edges: Edges of the histogram of box sizes, the square roots of areas in pixels, shape (s + 1,).
        size_counts: Boxes between two edges each, shape (s,), int64.
        coco_sizes: Number of small (area below 32 x 32 pixels), medium and large (96 x 96 and more) boxes.
        smallest: Width and height in pixels of the smallest image by area; (0, 0) if none is known.
        largest: Those of the largest image.
        view: The lake, for pictures; None if it is empty.
    """

    asked: Source
    source: ResolvedSource
    rows: int
    boxes: int = 0
    empty: int = 0
    images: int = 0
    verify: str = "none"
    classes: tuple[tuple[str, int, int], ...] = ()
    size_edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    size_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    coco_sizes: tuple[int, int, int] = (0, 0, 0)
    smallest: tuple[int, int] = (0, 0)
    largest: tuple[int, int] = (0, 0)
    view: LakeView | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        names = ("rows", "boxes", "images", "verify")
        return {
            "url": self.source.url,
            "branch": self.source.branch,
            "version": self.source.version,
            "queries": list(self.source.queries),
            **{name: getattr(self, name) for name in names},
            "rows_without_boxes": self.empty,
            "classes": [{"name": name, "boxes": b, "images": i} for name, b, i in self.classes],
            "box_sizes": {"edges": self.size_edges.tolist(), "counts": self.size_counts.tolist()},
            "coco_sizes": dict(zip(("small", "medium", "large"), self.coco_sizes, strict=True)),
            "smallest_image": list(self.smallest),
            "largest_image": list(self.largest),
        }


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What a training with a config would leave out of the lake.

    Attributes:
        config: The config file.
        key: The dataset's key in it.
        rows: Number of rows of the lake.
        kept: Number of images that are trained on.
        images: Rows that are left out, by the first reason that holds, each of shape (k,), int64.
        boxes: Number of boxes that are left out, by the first reason that holds, of all rows.
        kept_boxes: Number of the other boxes.
        ignored: How many of those are ignored in training (crowds, difficult ones, ``bbox_min_size``).
        notes: What else there is to know, in sentences.
    """

    config: str
    key: str
    rows: int
    kept: int
    images: dict[str, NDArray[np.int64]]
    boxes: dict[str, int]
    kept_boxes: int
    ignored: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        return {
            "config": self.config,
            "key": self.key,
            "rows": self.rows,
            "kept_images": self.kept,
            "left_out_images": {
                reason: {"count": len(rows), "example_rows": rows[:_EXAMPLES].tolist()}
                for reason, rows in self.images.items()
            },
            "left_out_boxes": self.boxes,
            "kept_boxes": self.kept_boxes,
            "ignored_boxes": self.ignored,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What `check` found.

    Attributes:
        lakes: Figures of the lake, and of the second one if there is one.
        findings: Errors first, then warnings, then notes.
        left_out: What training with the given config would leave out; None without a config.
        seconds: Duration.
    """

    lakes: tuple[LakeFacts, ...]
    findings: tuple[Finding, ...]
    left_out: LeftOut | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.of("error")

    def of(self, severity: str) -> list[Finding]:
        """The findings of one severity.

        Args:
            severity: ``'error'``, ``'warning'`` or ``'note'``.
        """
        return [finding for finding in self.findings if finding.severity == severity]

    def find(self, kind: str, lake: int = 0) -> Finding | None:
        """One finding of a lake; None if there is none.

        Args:
            kind: Of `kinds.KINDS`.
            lake: 0 for the lake, 1 for the second one.
        """
        return next((found for found in self.findings if (found.kind, found.lake) == (kind, lake)), None)

    def save_picture(self, path: str | os.PathLike[str]) -> Path:
        """Draw classes, box sizes, and images of some faults.

        Args:
            path: The PNG file to write; its folder is made where missing.

        Raises:
            StorageError: An image cannot be read.
        """
        from deeplake_mmdet.checking.picture import draw

        return draw(self, path)

    def plan(self) -> list[FixStep]:
        """What one could do about the findings; nothing is done."""
        steps = []
        for number, facts in enumerate(self.lakes):
            steps += plan_of(facts.asked, number, [one for one in self.findings if one.lake == number])
        return steps

    def to_dict(self) -> dict[str, Any]:
        """All as plain JSON values."""
        return {
            "ok": self.ok,
            "counts": {f"{severity}s": len(self.of(severity)) for severity in SEVERITIES},
            "lakes": [facts.to_dict() for facts in self.lakes],
            "findings": [finding.to_dict() for finding in self.findings],
            "left_out": None if self.left_out is None else self.left_out.to_dict(),
            "seconds": round(self.seconds, 3),
        }
