"""Bringing the results of all processes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.dist import broadcast_object_list, collect_results, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError
from deeplake_mmdet.lake import LakeView

__all__ = ["LakeMetric"]


class LakeMetric(BaseMetric):
    """A metric whose results say which image they are of.

    mmengine interleaves the processes' results and cuts off the end as padding; with uneven tails that can be
    real ones. Here everything arrives and each image counts once. Each process ships one object, `share`.

    Attributes:
        keeps_results: Whether `kept_results` is asked for after the evaluation.
    """

    keeps_results = False
    _kept: tuple[list[Any], bool] | None = None  # results, and whether those of all processes

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

    def share(self, results: list[Any]) -> Any:
        """What this one of several processes ships to the first: its results, or what can be made of them.

        Args:
            results: What ``process`` kept in this process.
        """
        return results

    def combine(self, shares: Sequence[Any]) -> dict[str, float]:
        """Scores of what all processes have shipped; first process only.

        Args:
            shares: What `share` gave in each process, by rank.
        """
        scores: dict[str, float] = self.compute_metrics([result for share in shares for result in share])
        return scores

    def evaluate(self, size: int) -> dict[str, float]:
        """Score what all processes have kept.

        Args:
            size: Not needed: images know who they are.

        Returns:
            Scores by prefixed name, the same in all processes.

        Raises:
            ConfigError: The model is trained on the same classes in another order.
            DeepLakeMMDetError: What went wrong in any of the processes, in all of them.
        """
        del size
        self._check_classes()
        self._kept = None
        if get_world_size() == 1:
            scores = self._prefixed(self.compute_metrics(self.results))
            if self.keeps_results:
                self._kept = list(self.results), True
        else:
            scores = self._from_all()
        self.results.clear()
        return scores

    def kept_results(self) -> list[Any]:
        """The results of the last evaluation, of all processes, once; to be called by all of them together.

        Returns:
            What ``process`` kept; in other processes than the first nothing, as without `keeps_results`.
        """
        results, whole = self._kept or ([], True)
        self._kept = None
        if not whole:
            shares = self._collected(results)
            results = [result for share in shares for result in share]
        return results if is_main_process() else []

    def _collected(self, share: Any) -> list[Any]:
        options = {"tmpdir": self.collect_dir} if self.collect_device == "cpu" else {}
        return collect_results([share], get_world_size(), self.collect_device, **options) or []

    def _from_all(self) -> dict[str, float]:
        share = _attempt(lambda: self.share(self.results))
        shares = self._collected(share)
        outcome: list[Any] = [None]
        if is_main_process():
            errors = [one for one in shares if isinstance(one, DeepLakeMMDetError)]
            outcome = errors[:1] or [_attempt(lambda: self._prefixed(self.combine(shares)))]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], DeepLakeMMDetError):
            raise outcome[0]
        if self.keeps_results:
            whole = share is self.results  # they are together already, in the first process
            self._kept = [one for part in shares for one in part] if whole else list(self.results), whole
        found: dict[str, float] = outcome[0]
        return found

    def _prefixed(self, scores: Mapping[str, float]) -> dict[str, float]:
        prefix = f"{self.prefix}/" if self.prefix else ""
        return {f"{prefix}{name}": value for name, value in scores.items()}

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


def _attempt(work: Callable[[], Any]) -> Any:
    """The outcome, or the error instead: a process that stops alone would leave the others waiting for it."""
    try:
        return work()
    except DeepLakeMMDetError as error:
        return error
