"""Charts of one evaluation: confusion matrix, and precision, recall and F1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.report.figures import chart_text, new_figure, rgb, save_figure, say_nothing
from deeplake_mmdet.report.palette import class_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deeplake_mmdet.report.run_scores import RunScores

__all__ = ["confusion_figure", "confusion_picture", "precision_recall_picture"]

_MOST, _NUMBERED = 60, 20  # classes in the matrix, and up to how many its fields bear numbers
_NAMED, _ENDS = 16, 5  # curves with colours of their own, and of more the best and worst so many
_PRECISION, _RECALL, _F1 = "#0072b2", "#d55e00", "#222222"


def confusion_picture(scores: RunScores, out: str | os.PathLike[str]) -> Path:
    """Draw the confusion matrix: true classes down, predicted ones across, coloured by share of the row.

    Args:
        scores: The evaluation; of more than sixty classes those with the most errors are drawn.
        out: The picture; its folder is made where missing.

    Returns:
        Its path.
    """
    return save_figure(confusion_figure(scores), out)


def confusion_figure(scores: RunScores) -> Figure:
    """The figure of `confusion_picture`.

    Args:
        scores: The evaluation.
    """
    found, names = scores.analysis.confusion, scores.class_names
    chosen = _most_confused(found)
    matrix = found[np.ix_([*chosen, len(names)], [*chosen, len(names)])]
    count = len(chosen)
    size = float(np.clip(3.2 + 0.42 * count, 5.5, 15))
    figure = new_figure(size + 1.2, size)
    axes = figure.add_subplot()
    # What is on the background without being there has no share: the row is its own whole.
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    shown = [chart_text(names[label], 22) for label in chosen]
    letters = 9 if count <= 30 else 6
    axes.set_xticks(range(count + 1), [*shown, "missed"], rotation=45, ha="right", fontsize=letters)
    axes.set_yticks(range(count + 1), [*shown, "background"], fontsize=letters)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.axhline(count - 0.5, color="white", linewidth=3)
    axes.axvline(count - 0.5, color="white", linewidth=3)
    if count <= _NUMBERED:
        for row, column in np.argwhere(matrix > 0).tolist():
            ink = "white" if shares[row, column] > 0.55 else "#222222"
            axes.text(
                column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=ink, fontsize=9
            )
    title = f"objects by true and predicted class, score ≥ {scores.score:.2f}, IoU ≥ {scores.analysis.iou:g}"
    if count < len(names):
        title += f"\nthe {count} of {len(names)} classes with the most errors"
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the row")
    return figure


def _most_confused(matrix: NDArray[np.int64]) -> list[int]:
    count = len(matrix) - 1
    if count <= _MOST:
        return list(range(count))
    right = matrix.diagonal()[:count]
    errors = matrix[:count].sum(axis=1) + matrix[:, :count].sum(axis=0) - 2 * right
    return sorted(np.argsort(-errors, kind="stable")[:_MOST].tolist())


def precision_recall_picture(scores: RunScores, out: str | os.PathLike[str]) -> Path:
    """Draw precision against recall of each class at IoU 0.5; and both and F1 of all against the score.

    Args:
        scores: The evaluation.
        out: The picture; its folder is made where missing.

    Returns:
        Its path.
    """
    figure = new_figure(12, 5.2)
    left, right = figure.subplots(1, 2)
    _draw_curves(left, scores)
    _draw_thresholds(right, scores)
    return save_figure(figure, out)


def _draw_curves(axes: Axes, scores: RunScores) -> None:
    measured = np.flatnonzero(~np.isnan(scores.precision[0]))
    if not len(measured):
        say_nothing(axes, "no object to be found")
        return
    recalls = np.linspace(0, 1, len(scores.precision))
    areas = scores.precision[:, measured].mean(axis=0)
    order = measured[np.argsort(-areas, kind="stable")]
    named = order if len(order) <= _NAMED else np.concatenate([order[:_ENDS], order[-_ENDS:]])
    for label in np.setdiff1d(order, named).tolist():
        axes.plot(recalls, scores.precision[:, label], color="#bbbbbb", linewidth=0.7)
    for place, label in enumerate(named.tolist()):
        curve = scores.precision[:, label]
        style = "--" if len(named) < len(order) and place >= _ENDS else "-"  # colours may be equal
        name = f"{chart_text(scores.class_names[label], 24)}  {curve.mean():.3f}"
        axes.plot(recalls, curve, color=rgb(class_colour(label)), linewidth=1.8, linestyle=style, label=name)
    mean = scores.precision[:, measured].mean(axis=1)
    axes.plot(recalls, mean, color="black", linewidth=2.6, label=f"mean  {mean.mean():.3f}")
    axes.set_title("precision and recall at IoU 0.5", fontsize=10)
    heading = "AP at IoU 0.5" if len(named) == len(order) else f"AP, best and worst {_ENDS} of {len(order)}"
    axes.legend(title=heading, fontsize=8, title_fontsize=8, loc="lower left", framealpha=0.85)
    _frame(axes, "recall", "precision")


def _draw_thresholds(axes: Axes, scores: RunScores) -> None:
    right, wrong = scores.right.sum(axis=1), scores.wrong.sum(axis=1)
    objects = int(scores.objects.sum())
    axes.set_title("all classes together, by the score from which predictions count", fontsize=10)
    if not objects:
        say_nothing(axes, "no object to be found")
        return
    at = np.linspace(0, 1, len(right))
    with np.errstate(invalid="ignore"):
        precision = right / (right + wrong)
    recall = right / objects
    f1 = 2 * right / (right + wrong + objects)
    axes.plot(at, precision, color=_PRECISION, linewidth=1.8, label="precision")
    axes.plot(at, recall, color=_RECALL, linewidth=1.8, linestyle="--", label="recall")
    axes.plot(at, f1, color=_F1, linewidth=2.6, label="F1")
    best = int(f1.argmax())
    axes.axvline(at[best], color="#888888", linestyle=":", linewidth=1.2)
    where = (
        {"ha": "left", "x": at[best] + 0.015} if at[best] < 0.6 else {"ha": "right", "x": at[best] - 0.015}
    )
    axes.text(y=0.03, s=f"F1 {f1[best]:.3f} from {at[best]:.2f} on", fontsize=9, **where)
    axes.legend(fontsize=8, loc="best", framealpha=0.85)
    _frame(axes, "score", "")


def _frame(axes: Axes, across: str, down: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
