"""Bringing the results of all processes together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dist import broadcast_object_list, collect_results, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import LakeView

__all__ = ["LakeMetric"]


class LakeMetric(BaseMetric):
    """A metric whose results say which image they are of.

    mmengine interleaves the processes' results and cuts off the end as padding; with uneven tails that can be
    real ones. Here everything arrives and each image counts once. Results are shipped as one object per
    process.
    """

    def check_view(self, view: LakeView) -> None:
        """Refuse a lake that cannot give what is to be scored. To be called before any work.

        Args:
            view: A lake that will be scored.
        """
        del view

    @property
    def scores_masks(self) -> bool:
        """Whether the model has to predict masks."""
        return False

    def result_keys(self) -> frozenset[str] | None:
        """Names of the scores, without prefix, but those of classes; None if they are not known."""
        return None

    def evaluate(self, size: int) -> dict[str, float]:
        """Score what all processes have kept.

        Args:
            size: Not needed: images know who they are.

        Returns:
            Scores by prefixed name, the same in all processes.

        Raises:
            ConfigError: The model is trained on the same classes in another order.
        """
        del size
        self._check_classes()
        found = self.results
        if get_world_size() > 1:
            options = {"tmpdir": self.collect_dir} if self.collect_device == "cpu" else {}
            parts = collect_results([self.results], get_world_size(), self.collect_device, **options)
            found = [result for part in parts or () for result in part]
        scores: list[Any] = [None]
        if is_main_process():
            computed = self.compute_metrics(found)
            prefix = f"{self.prefix}/" if self.prefix else ""
            scores = [{f"{prefix}{name}": value for name, value in computed.items()}]
        broadcast_object_list(scores)
        self.results.clear()
        result: dict[str, float] = scores[0]
        return result

    def _check_classes(self) -> None:
        """Compare with the data that a stock runner is training on, of which MMEngine tells in this place.

        Our own commands put classes in order before; MMDetection's tools take them as they come.
        """
        trained = MessageHub.get_current_instance().get_info("dataset_meta") or {}
        scored = self.dataset_meta or {}
        if not isinstance(trained, Mapping) or not isinstance(scored, Mapping):
            return  # of several datasets with classes of their own
        names, others = list(trained.get("classes") or ()), list(scored.get("classes") or ())
        if names != others and sorted(map(str, names)) == sorted(map(str, others)):
            raise ConfigError(
                "The model is trained on the same classes in another order than the data that is scored",
                where=f"training: {', '.join(names)}; evaluation: {', '.join(others)}",
                advice=f"give the evaluated dataset metainfo=dict(classes={tuple(names)})",
            )
