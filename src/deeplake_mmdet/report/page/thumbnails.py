"""Small copies of a lake's images, and what is in them, as plain values for the page."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from deeplake_mmdet.errors import DeepLakeMMDetError, ImageError
from deeplake_mmdet.evaluation import RunPredictions
from deeplake_mmdet.evaluation.truth import truth_of
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.report.page.outlines import outline
from deeplake_mmdet.report.run_scores import RunScores

__all__ = ["SIDE", "image_parts", "thumbnail"]

_log = logging.getLogger("deeplake_mmdet")

SIDE = 420  # pixels of a thumbnail's longer side
_QUALITY = 78
_LEAST_SCORE = 0.05
_MOST = 100  # predictions of an image
_MASKS = 60  # masks of an image
_AT_ONCE = 32
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def thumbnail(encoded: bytes, height: int, width: int) -> bytes:
    """A small JPEG of an image; decoded at a fraction of its size where that is enough.

    Args:
        encoded: The image's file.
        height: Pixels.
        width: Pixels.

    Raises:
        ImageError: It cannot be decoded.
    """
    flag = next((code for part, code in _REDUCED if max(height, width) >= part * SIDE), int(cv2.IMREAD_COLOR))
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    if pixels is None:
        raise ImageError("the image cannot be decoded")
    scale = min(SIDE / max(height, width, 1), 1)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ImageError("the image cannot be written as JPEG")
    return jpeg.tobytes()


def image_parts(
    images: Sequence[int],
    predictions: RunPredictions,
    views: Sequence[LakeView | None],
    scores: RunScores,
    budget: int,
) -> tuple[dict[int, dict[str, Any]], int]:
    """Images with their objects and predictions; thumbnails while their bytes last.

    Args:
        images: Places of images, the most wanted first.
        predictions: The run's.
        views: The lake of each of ``predictions.lakes``.
        scores: Of these predictions.
        budget: Bytes that all thumbnails may take, as they stand in the page.

    Returns:
        By place ``src`` (or ``why`` there is none), ``w`` and ``h`` (pixels of the stored image), ``scale``,
        ``row``, ``lake``, ``file``, ``objects``; and the number of bytes that were taken.
    """
    parts: dict[int, dict[str, Any]] = {}
    taken = 0
    suspicions = _suspicions(scores)
    for number, view in enumerate(views):
        own = [image for image in images if predictions.lake[image] == number]
        for start in range(0, len(own), _AT_ONCE):
            some = own[start : start + _AT_ONCE]
            if view is None or taken >= budget:
                continue
            for image, part in _of_lake(some, predictions, view, scores).items():
                part["lake"] = number
                if image in suspicions:
                    part["suspicion"] = suspicions[image]
                taken += len(part.get("src", ""))
                parts[image] = part
    return parts, taken


def _of_lake(
    images: Sequence[int], predictions: RunPredictions, view: LakeView, scores: RunScores
) -> dict[int, dict[str, Any]]:
    rows = predictions.rows[list(images)].tolist()
    try:
        encoded: Sequence[bytes | DeepLakeMMDetError] = view.fetch(rows, scattered=True)
    except DeepLakeMMDetError as error:
        encoded = [error] * len(rows)
    try:
        names = view.file_names(rows)
    except DeepLakeMMDetError as error:
        _log.warning(f"The files' names cannot be read: {error}")
        names = None
    found = {}
    for place, (image, row) in enumerate(zip(images, rows, strict=True)):
        height, width = int(view.table.heights[row]), int(view.table.widths[row])
        part: dict[str, Any] = {
            "row": row,
            "w": width,
            "h": height,
            "scale": round(min(SIDE / max(height, width, 1), 1), 5),
            "objects": _objects(image, row, predictions, view, scores),
        }
        if names is not None:
            part["file"] = names[place][:200]
        try:
            one = encoded[place]
            if isinstance(one, DeepLakeMMDetError):
                raise one
            part["src"] = base64.b64encode(thumbnail(one, height, width)).decode()
        except (DeepLakeMMDetError, cv2.error) as error:
            part["why"] = error.what if isinstance(error, DeepLakeMMDetError) else "it cannot be decoded"
        found[image] = part
    return found


def _objects(
    image: int, row: int, predictions: RunPredictions, view: LakeView, scores: RunScores
) -> Mapping[str, Any]:
    """Truth and predictions: box, label, and of a prediction its score and the object that it found.

    ``f`` is the number of that object among the image's; -1 if none, -2 if the prediction counts neither way.
    """
    first, end = np.searchsorted(scores.truth.images, [image, image + 1]).tolist()
    ignored = scores.truth.ignored()[first:end]
    truth = [
        {"b": _box(box), "l": int(label)} | ({"i": 1} if flag else {})
        for box, label, flag in zip(
            scores.truth.xywh[first:end], scores.truth.labels[first:end], ignored, strict=True
        )
    ]
    span = predictions.span(image)
    order = np.argsort(-predictions.scores_of_boxes[span], kind="stable") + span.start
    matches = scores.analysis.matches
    found = []
    for place in order[:_MOST].tolist():
        score = float(predictions.scores_of_boxes[place])
        if score < min(_LEAST_SCORE, scores.score):
            break
        target = int(matches.target[place])
        state = target - first if target >= 0 else -2 if matches.left_out[place] else -1
        found.append(
            {"b": _box(scores.predictions.xywh[place]), "l": int(predictions.labels[place]),
             "s": round(score, 3), "f": state, "p": place}
        )  # fmt: skip
    _add_masks(image, row, truth, found, predictions, view, scores.score)
    for one in found:
        del one["p"]
    return {"truth": truth, "found": found}


def _add_masks(
    image: int,
    row: int,
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    predictions: RunPredictions,
    view: LakeView,
    score: float,
) -> None:
    height, width = int(view.table.heights[row]), int(view.table.widths[row])
    scale = min(SIDE / max(height, width, 1), 1)
    if predictions.masks is None or height * width == 0:
        return
    for one in found[:_MASKS]:
        if (counts := predictions.mask(one["p"])) and one["s"] >= score / 2:
            one["m"] = outline(counts, height, width, scale)
    if view.roles.gt_masks is None:
        return
    try:
        masks = truth_of(view, np.array([row]), with_masks=True).masks or ()
    except DeepLakeMMDetError:
        return  # an object without a mask that can be drawn; its box is
    for one, mask in zip(truth[:_MASKS], masks, strict=False):
        if mask:
            one["m"] = outline(mask, height, width, scale)


def _box(xywh: Any) -> list[float]:
    return [round(min(max(float(value), -1e7), 1e7), 1) for value in xywh]


def _suspicions(scores: RunScores) -> dict[int, list[dict[str, Any]]]:
    """By image, what speaks against its labels, the strongest first; three at the most."""
    told: dict[int, list[dict[str, Any]]] = {}
    suspects, truth, found = scores.suspects, scores.truth, scores.predictions
    for place in range(min(len(suspects), 20_000)):
        one = suspects.at(place)
        some = told.setdefault(one.image, [])
        if len(some) == 3:
            continue
        label = int(truth.labels[one.truth]) if one.truth >= 0 else None
        some.append(
            {
                "kind": one.kind,
                "b": _box(found.xywh[one.prediction]),
                "label": label,
                "found": int(found.labels[one.prediction]),
                "score": round(float(found.confidence()[one.prediction]), 2),
            }
        )
    return told
