"""COCO's matching and accumulation, by either of two engines that give the same numbers."""

from __future__ import annotations

import numpy as np

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.curves import BACKENDS, Curves, Settings
from deeplake_mmdet.evaluation.instances import Instances

__all__ = ["accumulate"]


def accumulate(
    truth: Instances, predictions: Instances, class_count: int, image_count: int, settings: Settings
) -> Curves:
    """Match predictions to truth and count, as COCOeval's ``evaluate`` and ``accumulate`` do.

    Args:
        truth: Ordered by image.
        predictions: Ordered by image.
        class_count: Number of classes K; 1 is taken for proposals.
        image_count: Number of images evaluated.
        settings: How.

    Raises:
        ConfigError: There is no such backend.
    """
    if not settings.by_class:
        truth, predictions, class_count = _one_class(truth), _one_class(predictions), 1
    if settings.backend == "faster":
        from deeplake_mmdet.evaluation.engine_faster import accumulate_faster

        return accumulate_faster(truth, predictions, class_count, settings)
    if settings.backend == "pycocotools":
        from deeplake_mmdet.evaluation.engine_pycocotools import accumulate_pycocotools

        return accumulate_pycocotools(truth, predictions, class_count, image_count, settings)
    raise ConfigError(
        f"Unknown backend {settings.backend!r}",
        where="evaluator key 'backend'",
        advice=f"known are {', '.join(BACKENDS)}",
    )


def _one_class(objects: Instances) -> Instances:
    """All of one class; COCOeval goes through an image class by class, which decides between equal scores."""
    order = np.lexsort((objects.labels, objects.images))
    return objects.take(order).relabelled(np.zeros(len(objects), np.int64))
