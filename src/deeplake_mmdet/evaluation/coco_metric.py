"""COCO metric with the lake as ground truth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.coco_scores import STATISTICS, ClassScore, class_scores, statistics, summary
from deeplake_mmdet.evaluation.engine import BACKENDS, Curves, Matching, Settings, usable
from deeplake_mmdet.evaluation.export import write_coco_results
from deeplake_mmdet.evaluation.gather import LakeMetric
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.recalls import box_recalls
from deeplake_mmdet.evaluation.samples import Found, check_has_masks, read_sample
from deeplake_mmdet.evaluation.tables import class_lines
from deeplake_mmdet.evaluation.truth import (
    Scope,
    count_endless,
    file_order,
    one_list,
    own_images,
    scope_of,
    tell_endless,
)
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.registry import METRICS
from deeplake_mmdet.terminal import DETAIL

if TYPE_CHECKING:
    from deeplake_mmdet.evaluation.engine_pycocotools import ReferenceMatching

__all__ = ["CocoMetric"]

_log = logging.getLogger("deeplake_mmdet")


@dataclass(frozen=True)
class _Count:
    """What a process knows of its images, and how many objects of each class they have."""

    matching: Any
    objects: NDArray[np.int64]


@dataclass(frozen=True)
class _Share:
    """What one process ships: see `count_endless`; keys of the views of all; a count for each metric."""

    endless: tuple[int, int, str]
    keys: list[str]
    counts: dict[str, _Count]


@METRICS.register_module()
class CocoMetric(LakeMetric):
    """COCO average precision and recall; needs no annotation file and nothing from the val pipeline.

    Every data sample carries its ``img_path``, a ``deeplake://`` address that leads to its row in the
    annotation table, so predictions cannot be scored against another image's truth, whatever the number of
    ranks, the batch size or padding samples: an image that comes twice is scored once.

    Truth is what COCO's is: areas are the lake's own where it has them, else those of the masks, else those
    of the boxes. Crowds take any number of predictions. Objects flagged ``difficult`` are ignored: neither
    finding nor missing them counts, each takes one prediction. Objects flagged ``ignore`` count like any
    other, because pycocotools overwrites that flag; ``use_ignore_flags=True`` ignores them too.

    As in stock ``CocoMetric`` with an annotation file, boxes that training leaves out have to be found:
    those smaller than a pixel, of area 0, or outside their image, and for ``proposal_fast`` those of classes
    that are not selected. Different from it on purpose: only images that were evaluated count, not all of the
    file (as with ``indices``); ``proposal_fast`` leaves ``difficult`` boxes out, of which COCO knows nothing.
    And what an import has refused (boxes without width or height) or counted as changed (an area that was 0)
    is in the lake as the import's summary says, so it counts in that way.

    Several processes each match their own images, and the first joins what comes of it; predictions are
    brought together only to be written or analysed, and for ``proposal_fast``.

    Args:
        metric: ``'bbox'``, ``'segm'``, ``'proposal'`` (average recall, classes aside), ``'proposal_fast'``
            (the same by a simpler count, boxes that are ignored left out), or a list of them.
        classwise: Log a table per class and return ``<class>_precision``.
        proposal_nums: Three limits of predictions per image and class, in any order.
        iou_thrs: IoU thresholds; 0.50 to 0.95 in steps of 0.05 otherwise.
        metric_items: Which of the statistics to return; six average precisions, or recalls, otherwise.
        format_only: Write the predictions, compute nothing.
        outfile_prefix: Write the predictions to ``<prefix>.bbox.json`` and ``<prefix>.segm.json``, with the
            lake's own image and category ids.
        collect_device: As in mmengine.
        prefix: Of the result keys; ``'coco'`` otherwise. Values are not rounded.
        backend: ``'hotcoco'`` or ``'pycocotools'``, the reference; both give the same. ``'faster'``, a former
            engine's name, means ``'hotcoco'``.
        use_ignore_flags: See above.
        analysis: Also write ``metrics.json`` and ``metrics.npz`` with error decomposition, confusion matrix,
            curves and the costliest rows: to this folder, or with True to the folder of the run's log.
        analysis_iou: IoU from which a prediction counts as correct there.
        analysis_score: Score from which predictions enter the confusion matrix.

    Attributes:
        class_scores: The scores of each class after the last evaluation (rank 0).
        curves: `Curves` by metric after the last evaluation (rank 0).

    Raises:
        ConfigError: An argument is unknown.
    """

    default_prefix = "coco"
    known_metrics: tuple[str, ...] = ("bbox", "segm", "proposal", "proposal_fast")
    plan = STATISTICS
    usual_items = tuple(STATISTICS)[:6]
    frequencies: NDArray[np.str_] | None = None  # of LVIS's classes

    def __init__(
        self,
        metric: str | Sequence[str] = "bbox",
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | Path | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        *,
        collect_dir: str | None = None,
        backend: str = "hotcoco",
        use_ignore_flags: bool = False,
        analysis: bool | str | Path = False,
        analysis_iou: float = 0.5,
        analysis_score: float = 0.3,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        _known("metric", self.metrics, self.known_metrics)
        _known("metric_items", metric_items or (), tuple(self.plan))
        backend = "hotcoco" if backend == "faster" else backend
        _known("backend", [backend], BACKENDS)
        if not self.metrics:
            raise ConfigError(
                "No metric is named", where="evaluator key 'metric'", advice="use metric='bbox'"
            )
        if len(proposal_nums) != 3 or min(proposal_nums) < 1:
            raise ConfigError(
                f"proposal_nums must be three positive numbers, got {tuple(proposal_nums)}",
                where="evaluator key 'proposal_nums'",
            )
        if format_only and outfile_prefix is None:
            raise ConfigError(
                "format_only=True writes files, but no name is given", where="evaluator key 'outfile_prefix'"
            )
        self.classwise = classwise
        self.proposal_nums = tuple(proposal_nums)
        # The float steps of numpy.linspace are those of the reference implementation.
        given = np.linspace(0.5, 0.95, 10) if iou_thrs is None else iou_thrs
        self.iou_thrs = np.atleast_1d(np.asarray(given, np.float64))
        self.metric_items = None if metric_items is None else tuple(metric_items)
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.backend = backend
        self.use_ignore_flags = use_ignore_flags
        self.analysis = analysis
        self.analysis_iou = analysis_iou
        self.analysis_score = analysis_score
        self.class_scores: tuple[ClassScore, ...] = ()
        self.curves: dict[str, Curves] = {}

    def check_view(self, view: LakeView) -> None:
        """Refuse a lake without masks if these are to be scored.

        Args:
            view: A lake that will be scored.

        Raises:
            ColumnError: It has no masks.
        """
        if self.scores_masks:
            check_has_masks(view)

    @property
    def scores_masks(self) -> bool:
        """Whether the model has to predict masks."""
        return "segm" in self.metrics and not self.format_only

    def result_keys(self) -> frozenset[str] | None:
        """Names of the scores, without prefix, but those of classes."""
        found: set[str] = set()
        for metric in () if self.format_only else self.metrics:
            if metric == "proposal_fast":
                found.update(f"AR@{limit}" for limit in self.proposal_nums)
            else:
                found.update(self._names_of_scores(metric).values())
        return frozenset(found)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions of one batch; masks as run lengths.

        Args:
            data_batch: Not used.
            data_samples: See `deeplake_mmdet.evaluation.samples.read_sample`.

        Raises:
            ConfigError: A sample does not come from a lake, or the model predicts no masks.
            ColumnError: Masks are to be scored and the lake has none.
            AnnotationError: Predictions are impossible.
        """
        masks: Literal["no", "any", "scored"] = "any" if self.outfile_prefix is not None else "no"
        if self.scores_masks:
            masks = "scored"
        for sample in data_samples:
            self.results.append(read_sample(sample, type(self).__name__, masks=masks))

    def share(self, results: list[Found]) -> Any:
        """This process's images, matched; its results where they are needed together.

        Args:
            results: What `process` kept in this process.
        """
        if self._needs_all:
            return results
        own, keys = own_images(results)
        endless = count_endless(own)
        if not own:
            return _Share(endless, keys, {})
        scope = scope_of(own, tell=False)
        return _Share(endless, keys, {metric: self._count(metric, scope, keys) for metric in self.metrics})

    def combine(self, shares: Sequence[Any]) -> dict[str, float]:
        """Scores of all processes' images.

        Args:
            shares: What `share` gave in each process, by rank.
        """
        if self._needs_all:
            return super().combine(shares)
        tell_endless(share.endless for share in shares)
        keys = sorted({key for share in shares for key in share.keys})
        self._begin(keys)
        scores: dict[str, float] = {}
        for metric in self.metrics:
            scores |= self._score(metric, [share.counts[metric] for share in shares if share.counts], keys)
        return scores

    def compute_metrics(self, results: list[Found]) -> dict[str, float]:
        """Score all collected predictions; first process only.

        Args:
            results: What `process` kept, from all processes.
        """
        scope = scope_of(results)
        if self.outfile_prefix is not None:
            files = write_coco_results(scope, self.outfile_prefix)
            _log.info("Predictions are written to %s", ", ".join(map(str, files)))
        if self.format_only:
            return {}
        self._begin(list(scope.views))
        scores: dict[str, float] = {}
        for metric in self.metrics:
            if metric == "proposal_fast":
                scores |= self._fast_recalls(scope)
                continue
            count = self._count(metric, scope, list(scope.views))
            scores |= self._score(metric, [count], list(scope.views))
            if self.analysis and metric != "proposal":
                self._analyse(metric, scope, count.objects)
        return scores

    def _begin(self, keys: Sequence[str]) -> None:
        """Forget the last evaluation; refuse lakes that cannot be scored together."""
        one_list(keys)
        self.class_scores, self.curves = (), {}

    @property
    def _needs_all(self) -> bool:
        """Whether one process has to see all predictions."""
        return self.outfile_prefix is not None or bool(self.analysis) or "proposal_fast" in self.metrics

    def _engine(self) -> type[Matching | ReferenceMatching]:
        if self.backend == "hotcoco" and (usable() or get_world_size() > 1):  # all take the same
            return Matching
        if self.backend == "hotcoco":
            _log.warning(
                "This process is a fork of one that has scored, and hotcoco's threads are not in it. "
                "pycocotools scores instead: the same figures, slowly."
            )
        from deeplake_mmdet.evaluation.engine_pycocotools import ReferenceMatching

        return ReferenceMatching

    def _settings(self, metric: str) -> Settings:
        limits = tuple(sorted(self.proposal_nums))
        return Settings(self.iou_thrs, limits, metric == "segm", metric != "proposal")

    def _count(self, metric: str, scope: Scope, keys: Sequence[str]) -> _Count:
        """Match the images of this process."""
        matching = self._engine()(len(scope.classes), self._settings(metric))
        objects, numbers = np.zeros(len(scope.classes), np.int64), scope.numbers(keys)
        for start, part in scope.parts():
            truth, predictions = self._sides(metric, part, file_order(keys[0]))
            matching.add(truth, predictions, numbers[start : start + len(part)], self._searched(part))
            objects += np.bincount(truth.labels[~truth.ignored()], minlength=len(objects))
        return _Count(matching, objects)

    def _sides(self, metric: str, scope: Scope, order: NDArray[np.int64]) -> tuple[Instances, Instances]:
        by_mask = metric == "segm"
        truth = scope.truth(with_masks=by_mask, use_ignore=self.use_ignore_flags)
        predictions = scope.predictions(with_masks=by_mask)
        if metric == "proposal":  # MMDetection goes through the classes in the file's order
            truth = truth.relabelled(order[truth.labels])
            predictions = predictions.relabelled(order[predictions.labels])
        return truth, predictions

    def _fast_recalls(self, scope: Scope) -> dict[str, float]:
        truth = scope.truth(use_ignore=True, all_classes=True)
        recalls = box_recalls(truth, scope.predictions(), self.proposal_nums, self.iou_thrs).mean(axis=1)
        found = {
            f"AR@{limit}": float(value) for limit, value in zip(self.proposal_nums, recalls, strict=True)
        }
        lines = "\n".join(f"{name}\t{value:.4f}" for name, value in found.items())
        _log.info("Evaluating proposal_fast...\n%s", lines, extra=DETAIL)
        return found

    def _searched(self, scope: Scope) -> list[dict[str, list[int]]] | None:
        """What LVIS says of each image."""
        del scope
        return None

    def _names_of_scores(self, metric: str) -> dict[str, str]:
        """The keys of what is returned, by statistic."""
        if metric == "proposal":
            usual = [name for name, one in self.plan.items() if one.kind == "recall"]
            return {name: name for name in self.metric_items or usual}
        return {name: f"{metric}_{name}" for name in self.metric_items or self.usual_items}

    def _score(self, metric: str, counts: Sequence[_Count], keys: Sequence[str]) -> dict[str, float]:
        settings = self._settings(metric)
        curves = self.curves[metric] = counts[0].matching.curves(count.matching for count in counts)
        values = statistics(curves, settings, self.plan, self.frequencies)
        _log.info("Evaluating %s...\n%s", metric, summary(values, settings, self.plan), extra=DETAIL)
        if "mAP" in values and 100 not in settings.limits:
            _log.warning(
                "mAP is -1: COCO takes it at 100 predictions, and proposal_nums are %s", settings.limits
            )
        found: dict[str, float] = {}
        if metric != "proposal":
            objects = np.sum([count.objects for count in counts], axis=0)
            by_class = class_scores(curves, settings, objects, one_list(keys))
            self.class_scores = self.class_scores or by_class
            if self.classwise:
                _log.info("\n%s", class_lines(by_class), extra=DETAIL)
                found.update({f"{score.name}_precision": score.ap for score in by_class})
            row = " ".join(f"{value:.3f}" for value in list(values.values())[:6])
            _log.info("%s_%s_copypaste: %s", metric, next(iter(values)), row, extra=DETAIL)
        return found | {key: values[name] for name, key in self._names_of_scores(metric).items()}

    def _analyse(self, metric: str, scope: Scope, objects: NDArray[np.int64]) -> None:
        from deeplake_mmdet.evaluation.analysis import analyse, write_analysis

        truth, predictions = self._sides(metric, scope, file_order(next(iter(scope.views))))
        settings, curves = self._settings(metric), self.curves[metric]
        done = analyse(
            truth, predictions, scope.classes, len(scope), by_mask=settings.by_mask, iou=self.analysis_iou,
            score=self.analysis_score,
        )  # fmt: skip
        folder = Path(_log_folder() if self.analysis is True else str(self.analysis))
        by_class = class_scores(curves, settings, objects, scope.classes)
        file = write_analysis(folder, metric, done, scope, curves, settings, by_class)
        _log.info("The analysis is written to %s", file)


def _known(key: str, given: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in given if name not in known]:
        raise ConfigError(
            f"Unknown {key}: {', '.join(map(str, unknown))}",
            where=f"evaluator key {key!r}",
            advice=f"known are {', '.join(known)}",
        )


def _log_folder() -> str:
    for handler in MMLogger.get_current_instance().handlers:
        if file := getattr(handler, "baseFilename", None):
            return str(Path(file).parent)
    return "."
