"""MMEngine's training loops, going on in the middle of a pass after a resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import LakeBatchSampler
from deeplake_mmdet.registry import LOOPS
from deeplake_mmdet.training.processes.workers_lost import lost_workers_named
from deeplake_mmdet.training.resume.generators import restore_generators, take_generators
from deeplake_mmdet.training.resume.position import resume_position, was_validated
from deeplake_mmdet.training.resume.run_state import run_state_hook

__all__ = ["EpochTrainLoop", "IterTrainLoop"]


class _Positioned:
    """What both loops share: where they stand, and generators that rest between two iterations.

    Attributes:
        resting: Generator states as the last iteration left them, while the loop does something else
            (validation, hooks of an epoch's end, starting workers), which must not move them.
    """

    runner: Any
    dataloader: DataLoader[Any]
    _epoch: int
    _iter: int
    _max_iters: int
    resting: dict[str, Any] | None = None
    _batches_now: Any = None  # the loader's iterator, for telling which worker died

    @property
    def batch_sampler(self) -> LakeBatchSampler | None:
        """The loader's batch sampler, if it is one that can be sent to a position."""
        sampler = self.dataloader.batch_sampler
        return sampler if isinstance(sampler, LakeBatchSampler) else None

    def _start_pass(self) -> Iterator[Any]:
        """The batches that are left of the sampler's pass, generators restored."""
        self._batches_now = iter(self.dataloader)
        self._go_on()
        return self._batches_now  # type: ignore[no-any-return]

    def _go_on(self) -> None:
        """Restore what the checkpoint carries, or what the generators were before the rest."""
        hook = run_state_hook(self.runner)
        if self.resting is not None:
            restore_generators(self.resting)
            self.resting = None
        elif hook is not None and (self._iter or self._epoch):
            hook.restore(self.runner)

    def _set_max_iters(self, count: int) -> None:
        if count == self._max_iters:
            return
        self.runner.logger.info("The run ends after %d iterations, not %d", count, self._max_iters)
        self._max_iters = count
        self.runner.optim_wrapper.initialize_count_status(self.runner.model, self._iter, count)


@LOOPS.register_module()
class EpochTrainLoop(_Positioned, EpochBasedTrainLoop):
    """MMEngine's loop by epochs, which a checkpoint of any iteration resumes with the next batch.

    Needs a `LakeBatchSampler` for that, and a `RunStateHook`; with other loaders it resumes as MMEngine's
    does, with the next epoch or the beginning of an interrupted one.

    Args: those of ``EpochBasedTrainLoop``.
    """

    _used = 0

    def run(self) -> Any:
        """Launch training.

        Raises:
            ConfigError: The checkpoint's position belongs to other data.
            ProcessError: A worker process died.
        """
        position, sampler = resume_position(self), self.batch_sampler
        if sampler is not None and (self._epoch or self._iter):
            sampler.go_to(position or {"pass": self._epoch, "done": []})
            later = self._max_epochs - self._epoch - 1
            if later >= 0:
                self._set_max_iters(self._iter + len(sampler) - sampler.used + later * sampler.full_length)
        with lost_workers_named(lambda: self._batches_now):
            return super().run()

    def run_epoch(self) -> None:
        """One epoch, or what is left of it."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        sampler = self.batch_sampler
        self._used = sampler.used if sampler is not None else 0
        for number, batch in enumerate(self._start_pass(), self._used):
            self.run_iter(number, batch)
        self.resting = take_generators()
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1
        self._used = 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One iteration.

        Args:
            idx: Number of the batch in its epoch; it goes on after a resume.
            data_batch: From the loader.
        """
        self._used = idx + 1  # hooks that save are called when the step has been taken
        super().run_iter(idx, data_batch)

    def position(self, meta: Mapping[str, Any]) -> dict[str, Any] | None:
        """Where a checkpoint stands in its pass, as `LakeBatchSampler.position` tells it.

        Args:
            meta: The checkpoint's ``meta``, with ``epoch``.

        Returns:
            None for a loader without a `LakeBatchSampler`.
        """
        if self.batch_sampler is None:
            return None
        epoch = int(meta["epoch"])
        return self.batch_sampler.position(epoch, self._used if epoch == self._epoch else 0)


@LOOPS.register_module()
class IterTrainLoop(_Positioned, IterBasedTrainLoop):
    """MMEngine's loop by iterations, which resumes with the next batch without reading those before.

    Needs a `LakeBatchSampler`, endless or not; with other loaders it is MMEngine's.

    Args: those of ``IterBasedTrainLoop``.

    Attributes:
        validated: Iteration of the last validation.
    """

    validated: int | None = None
    _begin: tuple[int, int, int] = (0, 0, 0)  # pass, batches used of it, iteration

    def run(self) -> Any:
        """Launch training.

        Raises:
            ConfigError: The checkpoint's position belongs to other data, or the loader gives no batch.
            ProcessError: A worker process died.
        """
        position = resume_position(self)
        with lost_workers_named(lambda: self._batches_now):
            return super().run() if self.batch_sampler is None else self._run(self.batch_sampler, position)

    def _run(self, sampler: LakeBatchSampler, position: dict[str, Any] | None) -> Any:
        call = self.runner.call_hook
        call("before_train")
        call("before_train_epoch")
        if position is None and self._iter:
            position = sampler.position(*sampler.locate(0, self._iter))
        # Only now: MMEngine's hook has just set the sampler to the number of the epoch, always 0 here.
        if position is not None:
            sampler.go_to(position)
        self._begin = sampler.sampler.pass_, sampler.used, self._iter
        if self._iter and self._is_time_to_validate() and not was_validated(self):
            self._go_on()  # the run had ended between saving and validating
            self._validate()
        batches = self._batches(sampler)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            if self._is_time_to_validate():
                self._validate()
                self._go_on()
        call("after_train_epoch")
        call("after_train")
        return self.runner.model

    def position(self, meta: Mapping[str, Any]) -> dict[str, Any] | None:
        """Where a checkpoint stands in its pass, as `LakeBatchSampler.position` tells it.

        Args:
            meta: The checkpoint's ``meta``, with ``iter``.

        Returns:
            None for a loader without a `LakeBatchSampler`.
        """
        if self.batch_sampler is None:
            return None
        pass_, used, first = self._begin
        return self.batch_sampler.position(
            *self.batch_sampler.locate(pass_, used + int(meta["iter"]) - first)
        )

    def _batches(self, sampler: LakeBatchSampler) -> Iterator[Any]:
        while True:
            empty = True
            for batch in self._start_pass():
                empty = False
                yield batch
            if empty and not sampler.used:
                raise ConfigError(
                    "The loader gives no batch",
                    where="config key 'train_dataloader'",
                    advice="use a smaller batch_size, or drop_last=False",
                )
            self.resting = take_generators()
            sampler.sampler.set_epoch(sampler.sampler.pass_ + 1)

    def _validate(self) -> None:
        self.resting = take_generators()
        self.validated = self._iter
        self.runner.val_loop.run()

    def _is_time_to_validate(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )
