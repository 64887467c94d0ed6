"""LVIS metric with the lake as ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.evaluation.coco_metric import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import LVIS_STATISTICS
from deeplake_mmdet.evaluation.engine import Matching, Settings
from deeplake_mmdet.evaluation.federated import (
    LIMIT,
    check_searched,
    frequencies_of,
    searched_of,
    taking_part,
)
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.truth import Scope
from deeplake_mmdet.lake import LakeView, find_view
from deeplake_mmdet.registry import METRICS

__all__ = ["LVISMetric"]


@METRICS.register_module()
class LVISMetric(CocoMetric):
    """LVIS's average precision, by the rules of its own ``lvis`` package; needs no annotation file.

    Truth is federated: what was found of a class counts only on images that have it or were searched for it
    in vain (``neg_category_ids``), and on an image where not all of its objects are marked
    (``not_exhaustive_category_ids``) a prediction that finds none counts neither way. Both lists come from
    the lake, where an import of LVIS's file puts them. The best 300 predictions of an image take part.
    Objects and predictions of area 0 do not, nor do crowds mean anything; objects flagged ``ignore`` or
    ``difficult`` are ignored.

    The scores are ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``, and ``APr``, ``APc``, ``APf`` of
    rare, common and frequent classes; -1 where there is nothing to measure. Values are not rounded. How
    frequent a class is the lake's categories say; if they do not, it is told by numbers of images, which is
    logged; see `deeplake_mmdet.evaluation.federated.frequencies_of`.

    Unlike MMDetection's ``LVISMetric``, which sorts masks into sizes by the areas of their boxes, this takes
    masks' own areas, as the ``lvis`` package does; and ``iou_thrs`` are heeded. For proposals use
    `CocoMetric`.

    Args:
        metric: ``'bbox'``, ``'segm'``, or both.
        classwise: Log a table per class and return ``<class>_precision``.
        iou_thrs: IoU thresholds; 0.50 to 0.95 in steps of 0.05 otherwise.
        metric_items: Which scores to return, beside those above also ``AR@300``, ``ARs@300``, ``ARm@300`` and
            ``ARl@300``; the nine average precisions otherwise.
        format_only: Write the predictions, compute nothing.
        outfile_prefix: See `CocoMetric`.
        collect_device: As in mmengine.
        prefix: Of the result keys; ``'lvis'`` otherwise.
        collect_dir: As in mmengine.

    Attributes:
        class_scores: The scores of each class after the last evaluation (rank 0).
        curves: `Curves` by metric after the last evaluation (rank 0).
        frequencies: ``'r'``, ``'c'`` or ``'f'`` for each class, shape (K,) (rank 0).

    Raises:
        ConfigError: An argument is unknown.
    """

    default_prefix = "lvis"
    known_metrics = ("bbox", "segm")
    plan = LVIS_STATISTICS
    usual_items = tuple(LVIS_STATISTICS)[:9]

    def __init__(
        self,
        metric: str | Sequence[str] = "bbox",
        classwise: bool = False,
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | Path | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        *,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(
            metric, classwise, iou_thrs=iou_thrs, metric_items=metric_items, format_only=format_only,
            outfile_prefix=outfile_prefix, collect_device=collect_device, prefix=prefix,
            collect_dir=collect_dir, use_ignore_flags=True,
        )  # fmt: skip
        self._checked: set[str] = set()

    def check_view(self, view: LakeView) -> None:
        """Refuse a lake that does not say which classes its images were searched for, or without masks.

        Args:
            view: A lake that will be scored.

        Raises:
            ColumnError: It lacks one of these.
        """
        super().check_view(view)
        if not self.format_only:
            check_searched(view)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions of one batch; masks as run lengths.

        Args:
            data_batch: Not used.
            data_samples: See `deeplake_mmdet.evaluation.samples.read_sample`.

        Raises:
            DeepLakeMMDetError: See `CocoMetric.process` and `check_view`.
        """
        super().process(data_batch, data_samples)
        for key in {found.key for found in self.results[-len(data_samples) :]} - self._checked:
            self.check_view(find_view(key))
            self._checked.add(key)

    def _settings(self, metric: str) -> Settings:
        return Settings(self.iou_thrs, (LIMIT,), metric == "segm", federated=True)

    def _engine(self) -> type[Matching]:
        return Matching

    def _sides(self, metric: str, scope: Scope, order: NDArray[np.int64]) -> tuple[Instances, Instances]:
        return taking_part(*super()._sides(metric, scope, order))

    def _searched(self, scope: Scope) -> list[dict[str, list[int]]]:
        return searched_of(scope)

    def _begin(self, keys: Sequence[str]) -> None:
        super()._begin(keys)
        self.frequencies = frequencies_of([find_view(key) for key in keys])
