"""Schedulers that set what MMCV 1.x's formulas give, where the products of stock schedulers cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, OptimizerType, _ParamScheduler

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.registry import PARAM_SCHEDULERS
from deeplake_mmdet.training.policies import POLICIES, Progress, after_warmup, policy_value

__all__ = ["PolicyLR", "PolicyMomentum"]


class _PolicyParamScheduler(_ParamScheduler):
    """Sets a value by iteration, from the formula alone: it looks at no value that another has set.

    Args:
        optimizer: The optimizer or its wrapper.
        param_name: Which of its parameters.
        policy: A policy of MMCV 1.x: see `policies.POLICIES`.
        settings: Its settings, by their names in 2.x without ``_lr`` and ``_momentum``.
        warmup: ``kind``, ``steps``, ``ratio`` and ``by_epoch``; None for no warm-up.
        counts_epochs: Whether the policy counts epochs, or passes over the data, rather than iterations.
        max_epochs: How long training takes.
        max_iters: Instead of ``max_epochs``, for loops over iterations.
        epoch_length: Iterations per epoch. MMEngine fills it in if the config says
            ``convert_to_iter_based=True``.
        begin: Only 0: the formulas are for a whole training.
        end: When the value is left alone.
        last_step: As in MMEngine.
        by_epoch: Only False.
        verbose: As in MMEngine.

    Raises:
        ConfigError: The policy is unknown, or needs the length of an epoch and does not have it.
    """

    divides = False

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        policy: str,
        settings: Mapping[str, Any] | None = None,
        warmup: Mapping[str, Any] | None = None,
        counts_epochs: bool = False,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        epoch_length: int | None = None,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = False,
        verbose: bool = False,
    ) -> None:
        where = f"param_scheduler {type(self).__name__}"
        if policy not in POLICIES:
            raise ConfigError(
                f"Unknown policy {policy!r}", where=where, advice=f"known are {', '.join(POLICIES)}"
            )
        if (max_epochs is None) == (max_iters is None):
            raise ConfigError("It needs max_epochs or max_iters, one of them", where=where)
        if epoch_length is None and (counts_epochs or max_epochs is not None or policy == "YOLOX"):
            raise ConfigError(
                "It needs the length of an epoch", where=where, advice="add convert_to_iter_based=True"
            )
        if by_epoch or begin:
            raise ConfigError("It sets a value at each iteration, from the first on", where=where)
        self.policy, self.settings = policy, dict(settings or {})
        self.warmup = dict(warmup) if warmup else None
        self.counts_epochs = counts_epochs
        self.epoch_length = epoch_length or 1
        self.iterations = max_iters if max_iters is not None else (max_epochs or 0) * self.epoch_length
        super().__init__(optimizer, param_name, 0, end, last_step, False, verbose)

    @classmethod
    def build_iter_from_epoch(
        cls,
        optimizer: OptimizerType,
        *,
        epoch_length: int,
        end: int = INF,
        by_epoch: bool = True,
        **rest: Any,
    ) -> _PolicyParamScheduler:
        """Make one that knows the length of an epoch; ``end`` counts epochs."""
        end = end if end == INF else int(end * epoch_length)
        return cls(optimizer, epoch_length=epoch_length, end=end, **rest)

    def _get_value(self) -> list[float]:
        at = Progress(self.last_step, self.iterations, self.epoch_length, self.counts_epochs)
        return [self._value(base, at, group) for group, base in enumerate(self.base_values)]

    def _value(self, base: float, at: Progress, group: int) -> float:
        value = policy_value(self.policy, self.settings, base, at, group)
        return after_warmup(value, self.warmup, at, divide=self.divides) if self.warmup else value


@PARAM_SCHEDULERS.register_module()
class PolicyLR(LRSchedulerMixin, _PolicyParamScheduler):
    """Learning rates as MMCV 1.x's ``lr_config`` gave them; for the arguments see its base class."""


@PARAM_SCHEDULERS.register_module()
class PolicyMomentum(MomentumSchedulerMixin, _PolicyParamScheduler):
    """Momenta as MMCV 1.x's ``momentum_config`` gave them: a warm-up begins with more, not with less."""

    divides = True
