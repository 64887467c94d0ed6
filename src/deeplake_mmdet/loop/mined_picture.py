"""A picture of mined rows: what is in each image beside what was found in it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import cells_of, class_names_of
from deeplake_mmdet.loop.mined import Mined, open_rows, score_threshold
from deeplake_mmdet.report import Predicted, lake_items, prediction_mosaic

__all__ = ["draw_rows"]

_MOST = 12


def draw_rows(found: Mined, out_png: str | os.PathLike[str]) -> Path:
    """Draw the first rows, in their order, truth left and predictions right.

    Args:
        found: What was mined.
        out_png: The picture.

    Returns:
        Its path.

    Raises:
        ConfigError: There is no row to show, or the picture cannot be written.
        StorageError: The lake cannot be read.
    """
    rows = found.rows[:_MOST].tolist()
    if not rows:
        raise ConfigError(
            "There is no row to show", where=f"picture {out_png}", advice="rank by something else (--by)"
        )
    run = found.run
    view = open_rows(run, found.base, rows)
    places = {row: place for place, row in enumerate(sorted(rows))}  # a view has the lake's order
    predicted = [cells_of(run, f"pred/{name}", rows) for name in ("boxes", "labels", "scores")]
    own = class_names_of(run)
    names = [*own, *(name for name in view.classes if name not in own)]
    files = found.file_names or [""] * len(rows)
    captions = [
        f"{files[place]} (row {row})".lstrip() + f"  ·  {found.by} {found.values[place]:.4g}"
        for place, row in enumerate(rows)
    ]
    items = lake_items(
        view,
        [places[row] for row in rows],
        [
            Predicted(np.reshape(boxes, (-1, 4)), np.reshape(labels, -1), np.reshape(scores, -1))
            for boxes, labels, scores in zip(*predicted, strict=True)
        ],
        captions=captions,
        label_map=np.array([names.index(name) for name in view.classes], np.int64),
    )
    title = f"run {run.run_id}: {len(rows)} rows by {found.by}"
    try:
        return prediction_mosaic(items, names, out_png, min_score=score_threshold(run), title=title)
    except OSError as error:
        raise ConfigError(
            f"The picture cannot be written: {error.strerror or error}", where=f"picture {out_png}"
        ) from None
