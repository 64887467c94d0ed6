"""Pascal VOC metric with the lake as ground truth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.gather import LakeMetric
from deeplake_mmdet.evaluation.recalls import box_recalls
from deeplake_mmdet.evaluation.samples import Found, read_sample
from deeplake_mmdet.evaluation.tables import voc_lines
from deeplake_mmdet.evaluation.truth import Scope, scope_of
from deeplake_mmdet.evaluation.voc.scores import VOCClassScore, voc_scores
from deeplake_mmdet.registry import METRICS
from deeplake_mmdet.terminal import DETAIL

__all__ = ["VOCMetric"]

_log = logging.getLogger("deeplake_mmdet")


@METRICS.register_module()
class VOCMetric(LakeMetric):
    """Pascal VOC average precision or recall; needs nothing from the val pipeline.

    Samples find their truth as with `CocoMetric`. Difficult objects, crowds and objects flagged ``ignore``
    count neither way: for ``'mAP'`` predictions on them are left out, for ``'recall'`` the objects. Values
    are not rounded.

    As in stock ``VOCMetric`` on an ``XMLDataset``, boxes that training leaves out have to be found (those
    smaller than a pixel or outside their image), and objects of classes that are not selected do not count.
    Stock ``VOCMetric`` with ``CocoDataset`` differs: there boxes that it has left out, and those flagged
    ``ignore``, are no truth at all, so that finding them is an error. Boxes without width or height, which an
    import refuses, do not count.

    Args:
        iou_thrs: IoU threshold, or several.
        metric: ``'mAP'`` or ``'recall'`` (of all predictions, whatever their class).
        proposal_nums: Limits of predictions per image, for ``'recall'``.
        eval_mode: ``'11points'`` (VOC 2007) or ``'area'`` (since 2010).
        collect_device: As in mmengine.
        prefix: Of the result keys; ``'pascal_voc'`` otherwise.
        scale_ranges: None only; MMDetection's own metric fails with others.
        use_legacy_coordinate: Whether a box from 3 to 5 is 3 pixels wide, VOC's convention for integer pixels
            and what MMDetection always does, or 2. Stated in the log.

    Attributes:
        voc_scores: The scores of each class by IoU threshold after the last evaluation (rank 0).

    Raises:
        ConfigError: An argument is unknown.
    """

    default_prefix = "pascal_voc"

    def __init__(
        self,
        iou_thrs: float | Sequence[float] = 0.5,
        scale_ranges: None = None,
        metric: str | Sequence[str] = "mAP",
        proposal_nums: Sequence[int] = (100, 300, 1000),
        eval_mode: str = "11points",
        collect_device: str = "cpu",
        prefix: str | None = None,
        *,
        collect_dir: str | None = None,
        use_legacy_coordinate: bool = True,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        names = [metric] if isinstance(metric, str) else list(metric)
        if names not in (["mAP"], ["recall"]):
            raise ConfigError(
                f"Unknown metric: {metric!r}", where="evaluator key 'metric'", advice="use 'mAP' or 'recall'"
            )
        if eval_mode not in ("area", "11points"):
            raise ConfigError(
                f"Unknown eval_mode: {eval_mode!r}",
                where="evaluator key 'eval_mode'",
                advice="use 'area' or '11points'",
            )
        if scale_ranges is not None:
            raise ConfigError(
                "VOCMetric scores all sizes together",
                where="evaluator key 'scale_ranges'",
                advice="remove it; CocoMetric gives mAP_s, mAP_m and mAP_l",
            )
        if not proposal_nums or min(proposal_nums) < 1:
            raise ConfigError(
                f"proposal_nums must be positive numbers, got {tuple(proposal_nums)}",
                where="evaluator key 'proposal_nums'",
            )
        self.iou_thrs = np.atleast_1d(np.asarray(iou_thrs, np.float64)).tolist()
        self.metric = names[0]
        self.proposal_nums = tuple(proposal_nums)
        self.eval_mode = eval_mode
        self.use_legacy_coordinate = use_legacy_coordinate
        self.voc_scores: dict[float, tuple[VOCClassScore, ...]] = {}

    def result_keys(self) -> frozenset[str] | None:
        """Names of the scores, without prefix."""
        if self.metric == "mAP":
            return frozenset({"mAP", *(_key(threshold) for threshold in self.iou_thrs)})
        found = {f"recall@{limit}@{threshold}" for limit in self.proposal_nums for threshold in self.iou_thrs}
        means = {f"AR@{limit}" for limit in self.proposal_nums} if len(self.iou_thrs) > 1 else set()
        return frozenset(found | means)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions of one batch.

        Args:
            data_batch: Not used.
            data_samples: See `deeplake_mmdet.evaluation.samples.read_sample`.

        Raises:
            ConfigError: A sample does not come from a lake.
            AnnotationError: Predictions are impossible.
        """
        self.results.extend(read_sample(sample, type(self).__name__) for sample in data_samples)

    def compute_metrics(self, results: list[Found]) -> dict[str, float]:
        """Score all collected predictions; rank 0 only.

        Args:
            results: What `process` kept, from all ranks.
        """
        scope = scope_of(results)
        return self._recalls(scope) if self.metric == "recall" else self._precisions(scope)

    def _precisions(self, scope: Scope) -> dict[str, float]:
        truth, predictions = scope.truth(use_ignore=True), scope.predictions()
        by_threshold: dict[str, float] = {}
        means = []
        self.voc_scores = {}
        for threshold in self.iou_thrs:
            scores = voc_scores(
                truth, predictions, scope.classes, threshold, mode=self.eval_mode,
                legacy=self.use_legacy_coordinate,
            )  # fmt: skip
            self.voc_scores[threshold] = scores
            measured = [score.ap for score in scores if score.objects]
            means.append(float(np.mean(measured)) if measured else 0.0)
            by_threshold[_key(threshold)] = means[-1]
            lines = voc_lines(scores, means[-1])
            _log.info("IoU %s, %s\n%s", threshold, self._convention(), lines, extra=DETAIL)
        return {"mAP": sum(means) / len(means), **by_threshold}

    def _recalls(self, scope: Scope) -> dict[str, float]:
        truth, predictions, legacy = (
            scope.truth(use_ignore=True), scope.predictions(), self.use_legacy_coordinate,
        )  # fmt: skip
        recalls = box_recalls(truth, predictions, self.proposal_nums, self.iou_thrs, legacy=legacy)
        found = {
            f"recall@{limit}@{threshold}": float(recalls[row, column])
            for row, limit in enumerate(self.proposal_nums)
            for column, threshold in enumerate(self.iou_thrs)
        }
        if len(self.iou_thrs) > 1:
            means = recalls.mean(axis=1).tolist()
            found.update({f"AR@{limit}": mean for limit, mean in zip(self.proposal_nums, means, strict=True)})
        lines = "\n".join(f"{name}\t{value:.4f}" for name, value in found.items())
        _log.info("Recall, %s\n%s", self._convention(), lines, extra=DETAIL)
        return found

    def _convention(self) -> str:
        return (
            "boxes one pixel larger than their corners say" if self.use_legacy_coordinate else "exact boxes"
        )


def _key(threshold: float) -> str:
    return f"AP{int(threshold * 100):02d}"
