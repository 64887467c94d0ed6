"""Runs of predictions beside the lake that is looked at: the same rows, the same classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake import (
    LakeView,
    RunBranch,
    base_of,
    cells_of,
    class_names_of,
    open_run,
    rows_in_base,
)
from deeplake_mmdet.loop.mined import score_threshold

__all__ = ["Predicted", "RunInView", "open_run_of"]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a run has found on one image.

    Attributes:
        boxes: (left, top, right, bottom) in pixels, shape (n, 4), float64.
        labels: Index into `RunInView.names`, shape (n,), int64.
        scores: Shape (n,), float64.
        masks: COCO's compressed run lengths as dicts, n of them; None where the run has none.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    masks: Sequence[Any] | None


class RunInView:
    """A run of predictions, by the rows and the classes of a view.

    Args:
        run: The run.
        view: The lake that it is of.
        rows: The run's row of each row of the view, shape (n,); None where they are the same.

    Attributes:
        names: Class names of predictions: the view's, then those that it does not have.
        score: The score from which predictions were counted.
    """

    def __init__(self, run: RunBranch, view: LakeView, rows: NDArray[np.int64] | None) -> None:
        self._run, self._rows = run, rows
        own = class_names_of(run)
        places = {name: place for place, name in enumerate(view.classes)}
        more = [name for name in dict.fromkeys(own) if name not in places]
        places |= {name: len(view.classes) + place for place, name in enumerate(more)}
        self._labels = np.array([places[name] for name in own], np.int64)
        self.names: tuple[str, ...] = (*view.classes, *more)
        self.score = score_threshold(run)
        self._numbers: dict[str, NDArray[Any]] = {}

    @property
    def has_numbers(self) -> bool:
        """Whether its errors were counted, which needs truth."""
        return "pred/fp" in self._run.columns

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is known of it: id, model and when it was made."""
        told = self._run.metadata
        return {
            "id": self._run.run_id,
            "score": self.score,
            "counted": self.has_numbers,
            **{key: str(told[key]) for key in ("model", "config_name", "created") if key in told},
        }

    def number(self, name: str) -> NDArray[Any]:
        """A number of each row of the view, shape (n,).

        Args:
            name: Without ``pred/``, e.g. ``'missed'``.

        Raises:
            ColumnError: The run has no such number.
            DeepLakeMMDetError: The lake cannot be read.
        """
        column = f"pred/{name}"
        if column not in self._run.columns:
            raise ColumnError(
                f"The run has no {name!r}, which is counted where the lake has truth",
                where=f"run {self._run.run_id}",
            )
        if name not in self._numbers:
            whole = np.asarray(cells_of(self._run, column, slice(None)))
            self._numbers[name] = whole if self._rows is None else whole[self._rows]
        return self._numbers[name]

    def predictions(self, rows: Sequence[int], *, masks: bool) -> list[Predicted | None]:
        """What it has found on some rows of the view; None of rows that were not predicted on.

        Args:
            rows: Row numbers of the view, at least one.
            masks: Whether masks are wanted.

        Raises:
            DeepLakeMMDetError: The lake cannot be read.
        """
        own = list(rows) if self._rows is None else self._rows[list(rows)].tolist()
        names = ["boxes", "labels", "scores"]
        if masks and "pred/masks" in self._run.columns:
            names.append("masks")
        if "pred/lowest_score" in self._run.columns:
            names.append("lowest_score")
        with ThreadPoolExecutor(len(names)) as threads:
            read = threads.map(lambda name: cells_of(self._run, f"pred/{name}", own), names)
            cells = dict(zip(names, read, strict=True))

        def of(place: int) -> Predicted | None:
            if "lowest_score" in cells and float(np.asarray(cells["lowest_score"][place]).item()) < 0:
                return None
            return Predicted(
                np.asarray(cells["boxes"][place], np.float64).reshape(-1, 4),
                self._labels[np.asarray(cells["labels"][place], np.int64).reshape(-1)],
                np.asarray(cells["scores"][place], np.float64).reshape(-1),
                json.loads(cells["masks"][place]) if "masks" in cells else None,
            )

        return list(map(of, range(len(own))))


def open_run_of(view: LakeView, run_id: str) -> RunInView:
    """Open a run of the lake that a view shows.

    Args:
        view: The lake.
        run_id: Id of the run.

    Raises:
        ConfigError: The run is of another version, whose rows may be others.
        SourceNotFoundError: The lake has no such run.
        DeepLakeMMDetError: The lake cannot be read.
    """
    run = open_run(view.source.url, run_id, view.credentials)
    base = base_of(run)
    if (base.branch_id, base.version) != (view.source.branch_id, view.source.version):
        raise ConfigError(
            f"The run {run.run_id!r} is of branch {base.branch}, version {base.version}, whose rows may be "
            "others than those that are shown",
            where=f"lake {view.source}",
            advice=f"look at that version: deeplake-mmdet browse LAKE --run {run.run_id}",
        )
    return RunInView(run, view, rows_in_base(view.source, view.credentials))
