"""The report's plots as PNG and SVG files, for slides and papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplake_mmdet.report.evaluation_charts import confusion_figure
from deeplake_mmdet.report.figures import chart_text, new_figure, save_figure
from deeplake_mmdet.report.run_scores import RunScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_plots"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_STYLES = ("-", "--")
_MOST_NAMED = 12  # classes whose curves are drawn one by one


def draw_plots(
    runs: Sequence[Mapping[str, Any]], scored: Sequence[RunScores | None], folder: Path
) -> list[Path]:
    """Draw what the page shows.

    Args:
        runs: One or two runs, as the page has them: ``name``, ``series`` and ``scores``, which may be None.
        scored: Their scores.
        folder: Where the files go; made if it is missing.

    Returns:
        The files: of each plot a PNG and an SVG.
    """
    files = []
    for name, (draw, there) in _PLOTS.items():
        if shown := [run for run in runs if there(run)]:
            figure = new_figure(7, 4.4)
            axes = figure.add_subplot()
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            draw(axes, shown)
            files += [save_figure(figure, folder / f"{name}{ending}") for ending in (".png", ".svg")]
    for number, scores in enumerate(scored):
        if scores is not None:
            name = "confusion" if len(scored) == 1 else f"confusion_{'AB'[number]}"
            figure = confusion_figure(scores)
            files += [save_figure(figure, folder / f"{name}{ending}") for ending in (".png", ".svg")]
    for name in (*_PLOTS, "confusion", "confusion_A", "confusion_B"):
        for ending in (".png", ".svg"):
            if (old := folder / f"{name}{ending}") not in files:
                old.unlink(missing_ok=True)  # of an earlier report, of which this one has nothing to show
    return files


def _lines(key: str, ylabel: str, only: Callable[[str], bool] = lambda name: True) -> Any:
    def draw(axes: Axes, runs: Sequence[Any]) -> None:
        for number, run in enumerate(runs):
            series = {name: line for name, line in run["series"][key].items() if only(name)}
            for place, (name, (steps, values)) in enumerate(list(series.items())[: len(_COLOURS)]):
                label = chart_text(f"{run['name']}: {name}" if len(runs) > 1 else name)
                mark = "o" if key == "scores" else None
                axes.plot(
                    steps, values, color=_COLOURS[place], linestyle=_STYLES[number], label=label, marker=mark,
                    markersize=3, linewidth=1.6,
                )  # fmt: skip
        axes.set_xlabel("step")
        axes.set_ylabel(ylabel)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize="small")

    return draw


def _precision_recall(axes: Axes, runs: Sequence[Any]) -> None:
    recalls = np.linspace(0, 1, 101)
    for number, run in enumerate(runs):
        scores = run["scores"]
        classes = [place for place, count in enumerate(scores["objects"]) if count][:_MOST_NAMED]
        if len(runs) == 1:
            for place in classes:
                values = np.array(scores["precision"][place], float)
                axes.plot(recalls, values, color=scores["colours"][place], linewidth=1.2,
                          label=chart_text(scores["classes"][place]))  # fmt: skip
        if scores["mean_precision"]:
            label = f"{chart_text(run['name'])}, " if len(runs) > 1 else ""
            axes.plot(
                recalls,
                np.array(scores["mean_precision"], float),
                color=_COLOURS[number] if number else "0.1",
                linewidth=2.4,
                label=f"{label}mean of classes",
            )
    axes.set(xlabel="recall", ylabel="precision at IoU 0.5", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize="small")


def _errors(axes: Axes, runs: Sequence[Any]) -> None:
    kinds = [one["kind"] for one in runs[0]["scores"]["errors"]]
    high = 0.8 / len(runs)
    for number, run in enumerate(runs):
        costs = [one["cost"] or 0 for one in run["scores"]["errors"]]
        axes.barh(np.arange(len(kinds)) + number * high, costs, high * 0.92, color=_COLOURS[number],
                  label=chart_text(run["name"]))  # fmt: skip
    axes.set_yticks(np.arange(len(kinds)) + (len(runs) - 1) * high / 2, kinds)
    axes.invert_yaxis()
    axes.set_xlabel("AP at IoU 0.5 that these errors cost")
    if len(runs) > 1:
        axes.legend(frameon=False, fontsize="small")


def _calibration(axes: Axes, runs: Sequence[Any]) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="as sure as it is right")
    for number, run in enumerate(runs):
        bins = [one for one in run["scores"]["calibration"]["bins"] if one[2]]
        axes.plot([one[0] for one in bins], [one[1] for one in bins], color=_COLOURS[number], marker="o",
                  label=chart_text(run["name"]))  # fmt: skip
    axes.set(xlabel="mean score", ylabel="share that found an object", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize="small")


def _thresholds(axes: Axes, runs: Sequence[Any]) -> None:
    steps = np.arange(101) / 100
    for number, run in enumerate(runs):
        scores = run["scores"]
        right = np.array(scores["right"], float).reshape(-1, 101).sum(axis=0)
        wrong = np.array(scores["wrong"], float).reshape(-1, 101).sum(axis=0)
        objects = sum(scores["objects"])
        with np.errstate(invalid="ignore", divide="ignore"):
            lines = {
                "precision": right / (right + wrong),
                "recall": right / objects if objects else right * np.nan,
                "F1": 2 * right / (right + wrong + objects),
            }
        for place, (name, values) in enumerate(lines.items()):
            label = chart_text(f"{run['name']}: {name}" if len(runs) > 1 else name)
            axes.plot(steps, values, color=_COLOURS[place], linestyle=_STYLES[number], label=label)
    axes.set(xlabel="score from which predictions count", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize="small")


def _has(key: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda run: bool(run["series"][key])


def _scored(run: Mapping[str, Any]) -> bool:
    return run.get("scores") is not None and bool(sum(run["scores"]["objects"]))


_PLOTS: dict[str, tuple[Callable[[Any, Any], None], Callable[[Mapping[str, Any]], bool]]] = {
    "loss": (_lines("loss", "training loss"), _has("loss")),
    "learning_rate": (_lines("lr", "learning rate"), _has("lr")),
    "scores": (
        _lines("scores", "validation score", lambda name: name.endswith(("mAP", "mAP_50", "mAP_75", "AP50"))),
        _has("scores"),
    ),
    "times": (_lines("times", "seconds of a step"), _has("times")),
    "precision_recall": (_precision_recall, _scored),
    "errors": (_errors, _scored),
    "calibration": (_calibration, _scored),
    "thresholds": (_thresholds, _scored),
}  # fmt: skip
