"""A picture of mined rows: what is in each image beside what was found in it."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake import cells_of, class_names_of
from deeplake_mmdet.loop.mined import Mined, open_rows, score_threshold
from deeplake_mmdet.report import MosaicItem, prediction_mosaic

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
    images = view.fetch([places[row] for row in rows])
    predicted = [cells_of(run, f"pred/{name}", rows) for name in ("boxes", "labels", "scores")]
    own = class_names_of(run)
    names = [*own, *(name for name in view.lake_classes if name not in own)]
    number = np.array([names.index(name) for name in view.lake_classes], np.int64)
    items = []
    for place, row in enumerate(rows):
        span, here = view.table.span(places[row]), places[row]
        boxes, labels, scores = (part[place] for part in predicted)
        items.append(
            MosaicItem(
                _pixels(images[place], int(view.table.heights[here]), int(view.table.widths[here])),
                view.table.xyxy(here),
                number[view.table.labels[span]],
                np.reshape(boxes, (-1, 4)),
                np.reshape(labels, -1).astype(np.int64),
                np.reshape(scores, -1),
                f"row {row}: {found.by} {found.values[place]:.4g}",
            )
        )
    try:
        return prediction_mosaic(items, names, out_png, min_score=score_threshold(run))
    except OSError as error:
        raise ConfigError(
            f"The picture cannot be written: {error.strerror or error}", where=f"picture {out_png}"
        ) from None


def _pixels(image: bytes | ImageError, height: int, width: int) -> NDArray[np.uint8]:
    """An image decoded; a grey one of its size where it cannot be."""
    shown = None
    if not isinstance(image, ImageError):
        shown = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    if shown is None:
        return np.full((max(height, 1), max(width, 1), 3), 128, np.uint8)
    return np.asarray(shown, np.uint8)
