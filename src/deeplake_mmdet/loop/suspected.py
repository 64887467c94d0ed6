"""Which labels of mined rows are suspected, box by box, for people who repair them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.runs.suspects import suspects_of
from deeplake_mmdet.evaluation.truth import truth_of
from deeplake_mmdet.lake import cells_of, class_names_of
from deeplake_mmdet.loop.diagnostics import predictions_of
from deeplake_mmdet.loop.mined import Mined, open_rows, score_threshold

__all__ = ["suspected_labels"]

_BLOCK = 256  # rows at once


def suspected_labels(found: Mined) -> list[dict[str, Any]]:
    """The labels that a run's predictions speak against, in rows ranked by ``'label-errors'``.

    Args:
        found: From `mine` or `rank_rows`.

    Returns:
        A mapping for each, the strongest suspicion first: ``row``, ``file_name`` (if the lake has one),
        ``kind`` (``'class'``, ``'place'`` or ``'missing'``) and ``suspicion``, see `suspects_of`; of the
        prediction ``predicted`` (its class), ``score`` and ``box`` (left, top, right, bottom in pixels); and
        of the label, where there is one, ``label`` (its class), ``label_box`` and ``number`` (its place among
        those of the row).

    Raises:
        ConfigError: The rows are ranked by something else.
        DeepLakeMMDetError: The lake cannot be read.
    """
    if found.by != "label-errors":
        raise ConfigError(
            f"Rows ranked by {found.by!r} have no suspected labels",
            where="argument by",
            advice="rank by 'label-errors'",
        )
    told = [one for some in _blocks(found) for one in some]
    return sorted(told, key=lambda one: (-one["suspicion"], one["row"]))


def _blocks(found: Mined) -> Iterator[list[dict[str, Any]]]:
    order = np.argsort(found.rows)
    names = found.file_names
    view, classes = open_rows(found.run, found.base), class_names_of(found.run)
    places = {name: place for place, name in enumerate(classes)}
    own = np.array([places.get(name, -1) for name in view.classes], np.int64)
    threshold = score_threshold(found.run)
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        rows = found.rows[some].tolist()
        truth = truth_of(view, found.rows[some], with_areas=False)
        truth = truth.relabelled(own[truth.labels]) if len(truth) else truth
        columns = ("pred/boxes", "pred/labels", "pred/scores")
        predictions = predictions_of(*(cells_of(found.run, column, rows) for column in columns))
        suspects = suspects_of(truth, predictions, threshold)
        firsts = np.searchsorted(truth.images, np.arange(len(rows)))
        block = []
        for place in range(len(suspects)):
            one = suspects.at(place)
            row = rows[one.image]
            told: dict[str, Any] = {"row": row}
            if names is not None:
                told["file_name"] = names[int(some[one.image])]
            told |= {"kind": one.kind, "suspicion": one.suspicion}
            told |= _object(predictions, one.prediction, classes, "predicted", "box")
            if one.truth >= 0:
                told |= _object(truth, one.truth, classes, "label", "label_box")
                told["number"] = one.truth - int(firsts[one.image])
            block.append(told)
        yield block


def _object(side: Instances, place: int, classes: Sequence[str], name: str, box: str) -> Mapping[str, Any]:
    left, top, width, height = side.xywh[place].tolist()
    told: dict[str, Any] = {name: classes[int(side.labels[place])]}
    if side.scores is not None:
        told["score"] = float(side.scores[place])
    return {**told, box: [left, top, left + width, top + height]}
