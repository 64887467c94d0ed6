"""The pictures of an evaluation, as they stand in a run's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.evaluation import RunPredictions
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.report.evaluation_charts import confusion_picture, precision_recall_picture
from deeplake_mmdet.report.lake_items import Predicted, lake_items
from deeplake_mmdet.report.mosaic import MosaicItem, prediction_mosaic
from deeplake_mmdet.report.run_scores import RunScores, score_run

__all__ = ["EVALUATION_PICTURES", "draw_evaluation", "drawn"]

EVALUATION_PICTURES = ("predictions.png", "confusion.png", "precision_recall.png")
_SHOWN, _COLUMNS = 8, 2
_MOST = 30  # predictions of an image: those of a model that is hardly trained would hide it
_SCORE = 0.3  # where none is known to be better
_LEAST = 0.01  # where nothing is right, the best threshold is 0, and would show all that a model makes up


def draw_evaluation(
    folder: Path, predictions: RunPredictions, views: Sequence[LakeView], title: str = ""
) -> dict[str, str]:
    """Draw predictions beside truth, the confusion matrix, and precision and recall.

    Predictions count from the score on that gives the highest F1, or 0.3 where all are wrong.

    Args:
        folder: Where to; it is made where missing.
        predictions: The predictions.
        views: Their lakes.
        title: Stands above the predictions.

    Returns:
        Why a picture is missing, by its name; empty where all could be drawn.
    """
    scores: list[RunScores] = []
    missing = {}
    if why := drawn(lambda: scores.append(score_run(predictions, views))):
        missing = dict.fromkeys(EVALUATION_PICTURES[1:], why)
    threshold = _SCORE
    if scores and _LEAST <= scores[0].score <= 1:
        threshold = scores[0].score

    def mosaic() -> None:
        items = _items(predictions, views)
        out, names = folder / EVALUATION_PICTURES[0], predictions.class_names
        prediction_mosaic(items, names, out, columns=_COLUMNS, min_score=threshold, title=title, most=_MOST)

    works: dict[str, Callable[[], object]] = {EVALUATION_PICTURES[0]: mosaic}
    if scores:
        works[EVALUATION_PICTURES[1]] = lambda: confusion_picture(scores[0], folder / EVALUATION_PICTURES[1])
        works[EVALUATION_PICTURES[2]] = lambda: precision_recall_picture(
            scores[0], folder / EVALUATION_PICTURES[2]
        )
    for name, work in works.items():
        if why := drawn(work):
            missing[name] = why
    return missing


def drawn(work: Callable[[], object]) -> str:
    """Draw a picture, which must never end a run.

    Args:
        work: Draws it.

    Returns:
        Why it could not be drawn; empty if it was.
    """
    try:
        work()
    except DeepLakeMMDetError as error:
        return str(error)
    except Exception as error:  # of whatever library, on whatever data
        return f"{type(error).__name__}: {error}"
    return ""


def _items(predictions: RunPredictions, views: Sequence[LakeView]) -> list[MosaicItem]:
    """A few images, spread over all that show something."""
    objects = np.zeros(len(predictions), np.int64)
    for number, view in enumerate(views):
        here = predictions.lake == number
        rows = predictions.rows[here]
        objects[here] = np.asarray(view.table.offsets)[rows + 1] - np.asarray(view.table.offsets)[rows]
    able = np.flatnonzero(objects > 0)
    if not len(able):
        able = np.arange(len(predictions))
    chosen = able[np.unique(np.linspace(0, len(able) - 1, _SHOWN).round().astype(int))] if len(able) else able
    items = []
    for image in chosen.tolist():
        view, row, span = (
            views[predictions.lake[image]],
            int(predictions.rows[image]),
            predictions.span(image),
        )
        masks = [predictions.mask(place) for place in range(span.start, span.stop)]
        found = Predicted(
            predictions.boxes[span],
            predictions.labels[span],
            predictions.scores_of_boxes[span],
            masks if predictions.masks is not None else None,
        )
        items += lake_items(view, [row], [found])
    return items
