"""The curve of a training run, from the scalars that MMEngine logs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import SourceNotFoundError
from deeplake_mmdet.report.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingHistory", "read_history", "training_curve"]

_LOSS_COLOUR = "#0072b2"
# What curves of scores are called, under which names metrics log them, and how they look.
_SCORES = {
    "mAP50": ("bbox_mAP_50", "#009e73", "s"),
    "mAP": ("bbox_mAP", "#d55e00", "o"),
    "mask mAP": ("segm_mAP", "#cc79a7", "^"),
    "VOC mAP": ("mAP", "#e69f00", "D"),
}
_LOW_SCORES = 0.45  # where all are below it, the axis of the scores ends early


@dataclass
class TrainingHistory:
    """What a run logged, by training step.

    Attributes:
        loss: Step -> total loss.
        scores: 'mAP', 'mAP50', 'mask mAP' and 'VOC mAP', each step -> value in 0..1. Of several metrics with
            a ``bbox_mAP`` (as in 'coco/bbox_mAP') the first named counts.
        epochs: Epoch -> its last logged step; empty for runs counted in steps alone.
    """

    loss: dict[int, float] = field(default_factory=dict)
    scores: dict[str, dict[int, float]] = field(default_factory=lambda: {name: {} for name in _SCORES})
    epochs: dict[int, int] = field(default_factory=dict)

    def forget_from(self, step: int) -> None:
        """Drop what was logged at some step or later.

        Args:
            step: The first training step to drop.
        """
        for series in (self.loss, *self.scores.values()):
            for late in [at for at in series if at >= step]:
                del series[late]
        for epoch in [number for number, at in self.epochs.items() if at >= step]:
            del self.epochs[epoch]


def _lines(path: Path) -> list[dict[str, object]]:
    records = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # a crash can cut the last line short
        if isinstance(record, dict):
            records.append(record)
    return records


def _add(history: TrainingHistory, records: list[dict[str, object]]) -> None:
    def number(record: dict[str, object], key: str) -> float | None:
        value = record.get(key)
        return float(value) if isinstance(value, int | float) and np.isfinite(value) else None

    train = [
        (int(step), row) for row in records if "loss" in row and (step := number(row, "step")) is not None
    ]
    if train:
        # What an earlier run logged past the checkpoint that this one started from did not lead here.
        history.forget_from(train[0][0])
    for step, row in train:
        loss, epoch = number(row, "loss"), number(row, "epoch")
        if loss is not None:
            history.loss[step] = loss
        if epoch is not None:
            history.epochs[int(epoch)] = max(step, history.epochs.get(int(epoch), 0))

    for row in records:
        at = number(row, "step")
        for name, (suffix, _, _) in _SCORES.items():
            key = next((key for key in row if key.split("/")[-1] == suffix), None)
            value = number(row, key) if key else None
            if value is not None and at is not None:
                # Runs counted in epochs log their validation with the epoch as step.
                history.scores[name][history.epochs.get(int(at), int(at))] = max(value, 0.0)


def read_history(run_dir: str | os.PathLike[str]) -> TrainingHistory:
    """Read what a run logged under ``<run_dir>/<timestamp>/vis_data/scalars.json``.

    The files of a resumed run are joined in the order of their timestamps: a later one takes over from its
    first step on.

    Args:
        run_dir: The run's work folder.

    Returns:
        The history.

    Raises:
        SourceNotFoundError: There is no such file, or none that holds a loss or a score.
    """
    folder = Path(run_dir)
    paths = sorted(folder.glob("*/vis_data/scalars.json"))
    history = TrainingHistory()
    for path in paths:
        _add(history, _lines(path))
    if not history.loss and not any(history.scores.values()):
        raise SourceNotFoundError(
            "the log of this run holds no loss and no score"
            if paths
            else "this folder holds no training log",
            where=str(folder / "<timestamp>" / "vis_data" / "scalars.json"),
            advice="name the work_dir of a run that got as far as its first logged step "
            "and kept MMEngine's LocalVisBackend",
        )
    return history


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = max(1, len(values) // 12) | 1
    window = np.ones(min(width, len(values)))
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")


def _draw_loss(axes: Axes, series: dict[int, float]) -> None:
    steps = sorted(series)
    values = np.array([series[step] for step in steps])
    axes.plot(steps, values, color=_LOSS_COLOUR, alpha=0.25, linewidth=1)
    axes.plot(steps, _smooth(values), color=_LOSS_COLOUR, linewidth=2, label="loss")
    # The first steps from random weights would flatten all that follows.
    top = float(np.percentile(values, 98)) * 1.1
    axes.set_ylim(0, top if top > 0 else 1)
    axes.set_ylabel("training loss", color=_LOSS_COLOUR)


def training_curve(run_dir: str | os.PathLike[str], out_png: str | os.PathLike[str]) -> Path:
    """Draw the loss and the validation scores of a run against its steps.

    Args:
        run_dir: The run's work folder, as for ``read_history``.
        out_png: The picture to write, 990 x 550 pixels; its folder is made where missing.

    Returns:
        The path of the picture.

    Raises:
        SourceNotFoundError: The folder holds no log of a run.
    """
    from matplotlib.ticker import MaxNLocator

    history = read_history(run_dir)
    figure = new_figure(9, 5)
    left = figure.add_subplot()
    left.set_xlabel("step")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.grid(alpha=0.25)
    left.spines["top"].set_visible(False)
    if history.loss:
        _draw_loss(left, history.loss)

    right = left.twinx()
    right.spines["top"].set_visible(False)
    best = max((value for series in history.scores.values() for value in series.values()), default=1)
    right.set_ylim(0, 1.02 if best > _LOW_SCORES else max(best * 1.3, 0.05))
    right.set_ylabel("validation score")
    for name, (_, colour, mark) in _SCORES.items():
        steps = sorted(history.scores[name])
        if steps:
            values = [history.scores[name][step] for step in steps]
            # The best weights are the ones that are kept.
            label = f"{name}, best {max(values):.3f}"
            right.plot(steps, values, color=colour, marker=mark, markersize=5, linewidth=2, label=label)

    if history.epochs:
        # The last epoch may be under way; no epoch can seem longer than it is.
        pace = max(max(step / epoch for epoch, step in history.epochs.items()), 1e-9)
        functions = (partial(np.multiply, 1 / pace), partial(np.multiply, pace))
        top = left.secondary_xaxis("top", functions=functions)
        top.set_xlabel("epoch")
        top.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [handle for axes in (left, right) for handle in axes.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)

    return save_figure(figure, out_png)
