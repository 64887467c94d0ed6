"""What a model returns for an image, as a `Prediction`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.evaluation.rle import compress, compress_dense
from deeplake_mmdet.evaluation.samples import within_reach
from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["prediction_of"]


def prediction_of(
    sample: Any, index: int, name: str, *, classes: int, score_thr: float = 0.0, extras: Mapping[str, Any]
) -> Prediction:
    """Take the predictions out of a data sample.

    Args:
        sample: With ``ori_shape`` and ``pred_instances``: (k, 4) xyxy ``bboxes`` in pixels of the loaded
            image, (k,) ``scores``, (k,) ``labels`` and, perhaps, ``masks`` and ``mask_scores``.
        index: Number of the image.
        name: Its name.
        classes: Number of classes.
        score_thr: Objects of lower scores are left out.
        extras: Of the prediction.

    Raises:
        AnnotationError: The predictions are impossible, as those of a model whose training diverged.
    """
    instances = sample.pred_instances
    height, width = map(int, sample.ori_shape[:2])
    boxes, _ = within_reach(_array(instances.bboxes).reshape(-1, 4))
    scores, labels = _array(instances.scores), _array(instances.labels)
    _check(boxes, scores, labels, classes, name)
    chosen = np.argsort(-scores, kind="stable")
    chosen = chosen[scores[chosen] >= score_thr]
    masks = None
    if "masks" in instances:
        masks = _masks(instances.masks, chosen, (height, width), name)
        if "mask_scores" in instances:
            extras = {**extras, "mask_scores": _array(instances.mask_scores)[chosen].astype(np.float32)}
    return Prediction(
        index,
        name,
        (height, width),
        boxes[chosen].astype(np.float32),
        labels[chosen].astype(np.int64),
        scores[chosen].astype(np.float32),
        masks,
        extras,
    )


def _masks(masks: Any, chosen: NDArray[np.int64], size: tuple[int, int], name: str) -> list[dict[str, Any]]:
    try:
        if isinstance(masks, (list, tuple)):
            counts = [compress(masks[place], *size) for place in chosen.tolist()]
        else:
            dense = _array(masks)
            if dense.shape[1:] != size:
                raise ValueError(f"masks are {dense.shape[1:]}, the image is {size}")
            counts = compress_dense(dense[chosen])
    except ValueError as error:
        raise _refused(name, f"A predicted mask cannot be used: {error}") from None
    return [{"size": list(size), "counts": part.decode()} for part in counts]


def _check(boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any], classes: int, name: str) -> None:
    if not len(labels) == len(scores) == len(boxes):
        raise _refused(name, f"There are {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels")
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        raise _refused(name, "A predicted box or score is not a number")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise _refused(
            name, f"Labels reach from {labels.min()} to {labels.max()}, and there are {classes} classes"
        )


def _refused(name: str, what: str) -> AnnotationError:
    return AnnotationError(
        what,
        where=f"predictions for {name}",
        advice="look at the model: its training may have diverged, or its head is for other classes",
    )


def _array(values: Any) -> NDArray[Any]:
    values = getattr(values, "tensor", values)  # of box types
    return values.numpy(force=True) if hasattr(values, "detach") else np.asarray(values)
