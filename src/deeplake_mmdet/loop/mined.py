"""What `mine` finds, and the rows that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ColumnError
from deeplake_mmdet.lake import (
    LakeView,
    ResolvedSource,
    RunBranch,
    class_names_of,
    open_view,
    source_of_rows,
)
from deeplake_mmdet.loop.predictions import COUNTED_FROM

__all__ = ["Mined", "open_rows", "score_threshold"]


@dataclass(frozen=True)
class Mined:
    """Rows of a lake, the most telling first.

    Attributes:
        run: The run whose predictions were looked at.
        base: The version of the lake that they were made for; row numbers are its.
        by: Name of the ranking.
        top: How many rows were asked for.
        rows: Row numbers, shape (n,), int64; n is less than ``top`` where no more have anything to show.
        values: What they are ranked by, shape (n,), float64; of duplicates the row that each repeats.
        heading: What the values are.
        numbers: Further numbers by column, each of shape (n,).
        file_names: The names that the images' files had; None if the lake has none.
        notes: What else is to be known.
        saved: Name of the view that holds the rows, if they were saved.
        picture: The picture that was drawn.
    """

    run: RunBranch
    base: ResolvedSource
    by: str
    top: int
    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    heading: str
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    file_names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    saved: str | None = None
    picture: Path | None = None

    def facts(self) -> dict[str, Any]:
        """Everything as plain JSON values; a row is a mapping."""
        numbers = {name.removeprefix("pred/"): values for name, values in self.numbers.items()}
        rows = [
            {
                "row": int(row),
                **({"file_name": self.file_names[place]} if self.file_names is not None else {}),
                "value": float(self.values[place]),
                **{name: values[place].item() for name, values in numbers.items()},
            }
            for place, row in enumerate(self.rows)
        ]
        return {
            "lake": self.base.url,
            "run": self.run.run_id,
            "base": {"branch": self.base.branch, "version": self.base.version},
            "by": self.by,
            "value": self.heading,
            "rows": rows,
            "notes": list(self.notes),
            "view": self.saved,
            "picture": None if self.picture is None else str(self.picture),
        }


def score_threshold(run: RunBranch) -> float:
    """From which score on a run's predictions were counted.

    Args:
        run: The run.
    """
    thresholds = run.metadata.get("thresholds")
    told = thresholds.get("score_thr") if isinstance(thresholds, Mapping) else None
    return float(told) if isinstance(told, (int, float)) else COUNTED_FROM


def open_rows(run: RunBranch, base: ResolvedSource, rows: Sequence[int] | None = None) -> LakeView:
    """Open some rows of the version that a run is of, or all; without truth where that cannot be read.

    Args:
        run: The run.
        base: The version.
        rows: Row numbers; the view has them in the lake's order.
    """
    ref = run.credentials
    source = base if rows is None else source_of_rows(base, ref, rows)
    try:
        return open_view(source, credentials=ref)
    except (AnnotationError, BoxFormatError, ColumnError):
        alone = {"gt_bboxes": False, "gt_labels": False}
        return open_view(source, credentials=ref, tensors=alone, classes=class_names_of(run))
