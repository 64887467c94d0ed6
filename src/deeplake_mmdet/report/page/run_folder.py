"""What lies in a run's folder, read as far as it can be: runs crash, and come from other versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.evaluation import RunPredictions, read_run_predictions
from deeplake_mmdet.report.page.literal_config import read_dumped_config
from deeplake_mmdet.report.page.scalars import Scalars, read_scalars

__all__ = ["RunFolder", "read_run_folder"]

_LARGEST = 64 * 2**20  # bytes of a record


@dataclass
class RunFolder:
    """A run.

    Attributes:
        path: Its folder.
        starts: From ``run.json``, one for each start of the training; empty without one.
        scalars: What it has logged.
        skipped: From ``skipped_rows*.json``: rows that could not be used, by lake.
        config: The newest dumped config; None if there is none that can be read.
        predictions: Of its best validation, or of its test; None if none are kept.
        checkpoints: Names of its checkpoints.
        notes: What is missing or cannot be read, in sentences.
    """

    path: Path
    starts: list[Mapping[str, Any]] = field(default_factory=list)
    scalars: Scalars = field(default_factory=Scalars)
    skipped: list[Mapping[str, Any]] = field(default_factory=list)
    config: dict[str, Any] | None = None
    predictions: RunPredictions | None = None
    checkpoints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_run_folder(path: Path, split: str | None = None) -> RunFolder:
    """Read a run.

    Args:
        path: The work folder of a training or of a test.
        split: ``'val'`` or ``'test'``: whose predictions; None for those of the validation, else of the test.

    Raises:
        SourceNotFoundError: There is no such folder, or no run in it, or no predictions of that split.
    """
    if not path.is_dir():
        raise SourceNotFoundError(
            "There is no such folder of a run" if not path.exists() else "This is no folder of a run",
            where=str(path),
            advice="name the work dir of a training (deeplake-mmdet train prints it)",
        )
    run = RunFolder(path)
    run.scalars = read_scalars(path)
    _read_starts(run)
    _read_skipped(run)
    _read_config(run)
    _read_predictions(run, split)
    run.checkpoints = sorted(file.name for file in path.glob("*.pth"))
    if not (run.starts or run.scalars.train or run.scalars.scores or run.predictions or run.config):
        raise SourceNotFoundError(
            " ".join(["This folder holds no run that can be shown.", *run.notes]).rstrip("."),
            where=str(path),
            advice="name the work dir of a training (deeplake-mmdet train prints it)",
        )
    _tell_missing(run)
    return run


def _json(path: Path, run: RunFolder) -> Any:
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("far too large")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        run.notes.append(f"{path.name} cannot be read: {type(error).__name__}.")
        return None


def _read_starts(run: RunFolder) -> None:
    content = _json(run.path / "run.json", run)
    starts = content.get("starts") if isinstance(content, dict) else None
    run.starts = [one for one in starts if isinstance(one, dict)] if isinstance(starts, list) else []


def _read_skipped(run: RunFolder) -> None:
    for path in sorted(run.path.glob("skipped_rows*.json")):
        content = _json(path, run)
        for one in content if isinstance(content, list) else []:
            if isinstance(one, dict) and one not in run.skipped:
                run.skipped.append(one)


def _read_config(run: RunFolder) -> None:
    dumped = sorted(run.path.glob("*/vis_data/config.py"), reverse=True) or sorted(run.path.glob("*.py"))
    if not dumped:
        return
    try:
        run.config = read_dumped_config(dumped[0])
    except (OSError, ValueError) as error:
        told = error if isinstance(error, ValueError) else type(error).__name__
        run.notes.append(f"The config that the run has left ({dumped[0].name}) is not shown: {told}.")


def _read_predictions(run: RunFolder, split: str | None) -> None:
    for name in ("val", "test") if split is None else (split,):
        file = run.path / "evaluation" / f"{name}.npz"
        if not file.is_file():
            continue
        try:
            run.predictions = read_run_predictions(file)
            return
        except DeepLakeMMDetError as error:
            run.notes.append(f"{file.name}: {error.what.rstrip('.')}.")
    if split is not None:
        raise SourceNotFoundError(
            f"This run has no predictions of its {split} split",
            where=str(run.path / "evaluation" / f"{split}.npz"),
            advice="deeplake-mmdet test writes those of the test split, training those of the other",
        )


def _tell_missing(run: RunFolder) -> None:
    if not run.starts and run.scalars.train:
        run.notes.append(
            "There is no run.json that could be read: on which version of which lake this run was trained is "
            "not known. It was made by another tool, or by an older version of this package."
        )
    if run.predictions is None:
        run.notes.append(
            "No predictions are kept in this folder, so that there are no curves, errors and pictures below: "
            + (
                "the run was validated by an older version of this package, or without a metric of it."
                if run.scalars.scores
                else "the run has not been validated."
            )
        )
    if run.starts and not run.scalars.train:
        run.notes.append("The run has logged no training step: it crashed, or was stopped, before the first.")
    if run.scalars.broken:
        lines = "A line" if run.scalars.broken == 1 else f"{run.scalars.broken} lines"
        run.notes.append(f"{lines} of the log cannot be read, as where a crash cuts one off.")
