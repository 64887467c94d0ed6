"""COCO metric with the lake as ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.coco_scores import STATISTICS, BoxSet, ClassScore, CocoScores, score_boxes
from deeplake_mmdet.evaluation.tables import class_lines
from deeplake_mmdet.lake import LakeView, find_view, parse_uri
from deeplake_mmdet.registry import METRICS

__all__ = ["CocoMetric"]

_DEFAULT_ITEMS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """COCO average precision of boxes; needs no annotation file and nothing from the val pipeline.

    Every data sample carries its ``img_path``, a ``deeplake://`` address that leads to its row in the
    annotation table, so predictions cannot be scored against another image's truth, whatever the number of
    ranks, the batch size or padding samples: an image that comes twice is scored once. Crowds are treated as
    COCO does; difficult boxes likewise. Areas are the lake's where it has them, else those of the boxes.

    Args:
        metric: ``'bbox'``, or a list holding it.
        classwise: Log a table per class and return ``<class>_precision``.
        proposal_nums: Three limits of detections per image, in any order.
        iou_thrs: IoU thresholds; 0.50 to 0.95 in steps of 0.05 otherwise.
        metric_items: Which of the statistics to return; the six average precisions otherwise.
        collect_device: As in mmengine.
        prefix: Of the result keys; ``'coco'`` otherwise. Values are not rounded.

    Raises:
        ConfigError: An argument is unknown, or a sample does not come from a `DeepLakeDataset`.
    """

    default_prefix = "coco"

    def __init__(
        self,
        metric: str | Sequence[str] = "bbox",
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        metrics = [metric] if isinstance(metric, str) else list(metric)
        if metrics != ["bbox"]:
            raise ConfigError(
                f"Metric {metric!r} cannot be computed from a lake yet",
                where="evaluator key 'metric'",
                advice="use metric='bbox'",
            )
        if unknown := set(metric_items or ()) - set(STATISTICS):
            raise ConfigError(
                f"Unknown metric items: {', '.join(sorted(unknown))}",
                where="evaluator key 'metric_items'",
                advice=f"known are {', '.join(STATISTICS)}",
            )
        if len(proposal_nums) != 3 or min(proposal_nums) < 1:
            raise ConfigError(
                f"proposal_nums must be three positive numbers, got {tuple(proposal_nums)}",
                where="evaluator key 'proposal_nums'",
            )
        self.classwise = classwise
        self.proposal_nums = tuple(proposal_nums)
        # The float steps of numpy.linspace are those of the reference implementation.
        given = np.linspace(0.5, 0.95, 10) if iou_thrs is None else iou_thrs
        self.iou_thrs = np.atleast_1d(np.asarray(given, np.float64))
        self.metric_items = tuple(metric_items or _DEFAULT_ITEMS)
        self.class_scores: tuple[ClassScore, ...] = ()

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions of one batch as (view key, row, arrays).

        Args:
            data_batch: Not used.
            data_samples: Dicts with ``img_path`` and ``pred_instances`` of (k, 4) xyxy boxes in pixels of
                the original image, (k,) scores and (k,) labels.
        """
        for sample in data_samples:
            path = str(sample.get("img_path", ""))
            if not path.startswith("deeplake://"):
                raise ConfigError(
                    f"This metric scores samples of a DeepLakeDataset, not {path!r}",
                    where="evaluator type 'deeplake_mmdet.CocoMetric'",
                    advice="keep 'img_path' among PackDetInputs' meta_keys, or use mmdet's CocoMetric",
                )
            key, _, row = parse_uri(path)
            found = sample["pred_instances"]
            arrays = [found[name].detach().cpu().numpy() for name in ("bboxes", "scores", "labels")]
            self.results.append((key, row, *arrays))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Score all collected predictions; rank 0 only.

        Args:
            results: What `process` kept, from all ranks.
        """
        if not results:
            raise ConfigError(
                "There is nothing to score: no sample was evaluated",
                where="val_dataloader or test_dataloader",
            )
        unique = {(key, row): arrays for key, row, *arrays in results}
        views = {key: find_view(key) for key in sorted({key for key, _ in unique})}
        unique = {sample: unique[sample] for sample in sorted(unique, key=partial(_place, views))}
        class_names = self._class_names(list(views.values()))
        scores = score_boxes(
            _truth(views, list(unique)),
            _predictions(list(unique.values())),
            len(unique),
            class_names,
            iou_thresholds=self.iou_thrs,
            max_detections=self.proposal_nums,
        )
        self.class_scores = scores.classes
        return self._report(scores)

    def _class_names(self, views: list[LakeView]) -> tuple[str, ...]:
        names = views[0].classes
        for view in views[1:]:
            if view.classes != names:
                raise ConfigError(
                    "The lakes that are scored together have different classes",
                    where=f"{views[0].source.url}: {names}; {view.source.url}: {view.classes}",
                    advice="give all of them the same metainfo=dict(classes=...)",
                )
        return names

    def _report(self, scores: CocoScores) -> dict[str, float]:
        logger = MMLogger.get_current_instance()
        logger.info("Evaluating bbox...\n%s", scores.summary)
        found: dict[str, float] = {}
        if self.classwise:
            logger.info("\n%s", class_lines(scores.classes))
            found.update({f"{score.name}_precision": score.ap for score in scores.classes})
        for item in self.metric_items:
            found[f"bbox_{item}"] = float(scores.statistics[STATISTICS[item]])
        line = " ".join(f"{value:.3f}" for value in scores.statistics[:6])
        logger.info("bbox_mAP_copypaste: %s", line)
        return found


def _place(views: dict[str, LakeView], sample: tuple[str, int]) -> tuple[str, int, int]:
    """Where COCOeval would put an image: by id. The order decides between equal scores."""
    key, row = sample
    ids = views[key].table.img_ids
    return key, row if ids is None else int(ids[row]), row


def _truth(views: dict[str, LakeView], samples: list[tuple[str, int]]) -> BoxSet:
    images, labels, boxes, areas, crowds = [], [], [], [], []
    for number, (key, row) in enumerate(samples):
        view = views[key]
        table, span = view.table, view.table.span(row)
        chosen = view.labels[span] >= 0
        xywh = table.xywh(row)[chosen]
        crowd = np.zeros(len(xywh), bool)
        for flags in (table.iscrowd, table.difficult):
            if flags is not None:
                crowd |= flags[span][chosen]
        images.append(np.full(len(xywh), number))
        labels.append(view.labels[span][chosen])
        boxes.append(xywh)
        areas.append(xywh[:, 2] * xywh[:, 3] if table.areas is None else table.areas[span][chosen])
        crowds.append(crowd)
    return BoxSet(
        _joined(images, np.int64),
        _joined(labels, np.int64),
        _joined(boxes, np.float64).reshape(-1, 4),
        _joined(areas, np.float64),
        iscrowd=_joined(crowds, np.bool_),
    )


def _predictions(samples: list[list[NDArray[Any]]]) -> BoxSet:
    counts = [len(labels) for _, _, labels in samples]
    corners = _joined([boxes for boxes, _, _ in samples], np.float64).reshape(-1, 4)
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return BoxSet(
        np.repeat(np.arange(len(samples)), counts),
        _joined([labels for _, _, labels in samples], np.int64),
        xywh,
        xywh[:, 2] * xywh[:, 3],
        scores=_joined([scores for _, scores, _ in samples], np.float64),
    )


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return (np.concatenate(parts) if parts else np.zeros(0)).astype(dtype)
