"""All that a run has logged, by name and training step."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Scalars", "read_scalars", "thinned"]

_MOST_POINTS = 1000
_NO_SCORES = ("data_time", "time", "step", "epoch", "iter", "lr", "base_lr", "memory", "loss")

Series = dict[int, float]


@dataclass
class Scalars:
    """What a run has logged.

    Attributes:
        train: By name (``loss``, ``loss_cls``, ``lr``, ``data_time``, ...), values by training step.
        scores: Of validations, by name, values by training step.
        epochs: Epoch -> its last logged step; empty for runs counted in steps alone.
        resumed: First logged steps of all starts but the first.
        broken: Lines that are no JSON, as where a crash has cut one off.
    """

    train: dict[str, Series] = field(default_factory=dict)
    scores: dict[str, Series] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)
    broken: int = 0

    @property
    def last_step(self) -> int:
        """The last step that anything was logged at; 0 without any."""
        return max((max(series, default=0) for series in self.train.values()), default=0)

    def epoch_of(self, step: int) -> int | None:
        """The epoch that a step belongs to.

        Args:
            step: Training step.
        """
        return next((epoch for epoch, last in sorted(self.epochs.items()) if step <= last), None)


def read_scalars(folder: Path) -> Scalars:
    """Read ``<folder>/<timestamp>/vis_data/scalars.json``; a later start takes over from its first step on.

    Args:
        folder: The run's work folder.
    """
    found = Scalars()
    for path in sorted(folder.glob("*/vis_data/scalars.json")):
        _add(found, list(_lines(path, found)))
    return found


def _lines(path: Path, found: Scalars) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        found.broken += 1
        return
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            found.broken += bool(line.strip())
            continue
        if isinstance(record, dict):
            yield record


def _number(record: dict[str, Any], key: str) -> float | None:
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _add(found: Scalars, records: list[dict[str, Any]]) -> None:
    def is_training(record: dict[str, Any]) -> bool:
        return "loss" in record or "lr" in record

    training = [(int(step), one) for one in records if is_training(one) and (step := _number(one, "step"))]
    if training:
        first = training[0][0]
        if found.train:
            found.resumed.append(first)
        _forget(found, first)
    for step, record in training:
        for name in record:
            value = _number(record, name)
            if value is not None and name not in ("step", "iter", "epoch"):
                found.train.setdefault(name, {})[step] = value
        if (epoch := _number(record, "epoch")) is not None:
            found.epochs[int(epoch)] = max(step, found.epochs.get(int(epoch), 0))
    for record in records:
        at = _number(record, "step")
        if is_training(record) or at is None:
            continue
        # Runs counted in epochs log their validation with the epoch as step.
        step = found.epochs.get(int(at), int(at))
        for name in record:
            value = _number(record, name)
            if value is not None and name not in _NO_SCORES:
                found.scores.setdefault(name, {})[step] = value


def _forget(found: Scalars, first: int) -> None:
    """Drop what an earlier start has logged past the checkpoint that a later one went on from."""
    for series in (*found.train.values(), *found.scores.values()):
        for late in [step for step in series if step >= first]:
            del series[late]
    found.epochs = {epoch: step for epoch, step in found.epochs.items() if step < first}


def thinned(series: Series) -> tuple[list[int], list[float]]:
    """Steps and values to draw, a thousand at the most: means of neighbours.

    Args:
        series: Values by step.
    """
    steps = np.array(sorted(series), np.int64)
    values = np.array([series[step] for step in steps.tolist()], np.float64)
    if len(steps) > _MOST_POINTS:
        bounds = np.linspace(0, len(steps), _MOST_POINTS + 1).astype(np.int64)
        sizes = np.diff(bounds)
        values = np.add.reduceat(values, bounds[:-1]) / sizes
        steps = steps[bounds[1:] - 1]
    return steps.tolist(), [float(f"{value:.5g}") for value in values.tolist()]
