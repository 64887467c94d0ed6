"""`RunStateHook`: what a checkpoint must carry so that a resumed run goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_dist_info
from mmengine.hooks import Hook

from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.training.record import package_versions, write_record
from deeplake_mmdet.training.resume.generators import restore_generators, seed_all, take_generators
from deeplake_mmdet.training.resume.pins import pins_of

__all__ = ["STATE_KEY", "Loaded", "RunStateHook", "run_state_hook"]

STATE_KEY = "deeplake_mmdet"
_PLAIN = (bool, int, float, str, bytes, type(None))


@dataclass
class Loaded:
    """What came with the checkpoint that was loaded last.

    Attributes:
        state: What `RunStateHook` had put in; None in a checkpoint of another tool.
        epoch: The checkpoint's epoch.
        iter: Its number of iterations.
    """

    state: dict[str, Any] | None
    epoch: int
    iter: int


@HOOKS.register_module()
class RunStateHook(Hook):
    """Puts position, pins and generator states into checkpoints, and writes the run's record.

    The loops `EpochTrainLoop` and `IterTrainLoop` take up from there. In several processes, `CheckpointHook`
    has it gather the states of all ranks; MMEngine's own saves those of the first only.

    Args:
        resume_anyway: Go on from a checkpoint whose position belongs to other data, and begin its pass anew.
    """

    priority = "NORMAL"

    def __init__(self, resume_anyway: bool = False) -> None:
        self.resume_anyway = resume_anyway
        self.loaded: Loaded | None = None
        self._gathered: tuple[tuple[int, int], list[dict[str, Any]]] | None = None
        self._pins: dict[str, Any] | None = None
        self._fresh: dict[tuple[str, str], Any] = {}

    def before_run(self, runner: Any) -> None:
        """Remember what batch augmentations are like before they have seen a batch."""
        self._fresh = dict(_plain_attributes(runner.model))

    def before_train(self, runner: Any) -> None:
        """Pin the data, and tell of it in the run's record."""
        write_record(runner, self.pins(runner), self.loaded)

    def pins(self, runner: Any) -> dict[str, Any]:
        """What the order of this run's samples depends on; see `pins_of`. Determined once.

        Args:
            runner: Its ``train_dataloader`` is built.
        """
        if self._pins is None:
            self._pins = pins_of(runner.train_dataloader)
        return self._pins

    def forget_pins(self) -> None:
        """Have the pins determined anew, because the sampler got another seed."""
        self._pins = None

    def gather(self, runner: Any) -> None:
        """Collect the states of all ranks for the checkpoint to be saved next; all ranks have to call it.

        Args:
            runner: It is training.
        """
        pending = self._pending_gradients(runner)
        if get_dist_info()[1] > 1:
            for gradient in pending.values():
                all_reduce(gradient, op="mean")  # as DistributedDataParallel would before the step
            states = all_gather_object(self._own_state(runner))
        else:
            states = [self._own_state(runner)]
        states[0]["gradients"] = {name: gradient.cpu() for name, gradient in pending.items()}
        self._gathered = (runner.epoch, runner.iter), states

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the state."""
        if self._gathered is not None and self._gathered[0] == (runner.epoch, runner.iter):
            ranks = self._gathered[1]
        else:
            ranks = [self._own_state(runner)]
        position = getattr(runner.train_loop, "position", None)
        checkpoint[STATE_KEY] = {
            "format": 1,
            "loop": type(runner.train_loop).__name__,
            "position": position(checkpoint["meta"]) if position else None,
            "validated": getattr(runner.train_loop, "validated", None),
            "pins": self.pins(runner),
            "batch_size": getattr(runner.train_dataloader.batch_sampler, "batch_size", None),
            "ranks": get_dist_info()[1],
            "states": ranks,
            "packages": package_versions(),
        }
        self._gathered = None

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Keep the state for the loop, which knows by then whether this was a resume."""
        meta = checkpoint.get("meta") or {}
        state = checkpoint.get(STATE_KEY)
        self.loaded = Loaded(state, int(meta.get("epoch", 0)), int(meta.get("iter", 0)))

    def restore(self, runner: Any) -> None:
        """Restore generators, preprocessor and pending gradients before the first batch of a resumed run.

        Args:
            runner: It has loaded the checkpoint. Nothing happens if that came without a state.
        """
        state = self.loaded.state if self.loaded is not None else None
        if state is None:
            return
        rank, ranks = get_dist_info()
        states = state["states"]
        for (module, name), value in states[min(rank, len(states) - 1)]["preprocessor"].items():
            found = dict(_preprocessor_modules(runner.model)).get(module)
            if found is not None and hasattr(found, name):
                setattr(found, name, value)
        self._give_gradients(runner, states[0].get("gradients") or {})
        if rank < len(states):
            restore_generators(states[rank]["generators"])
        else:
            seed_all(state["pins"]["seed"] or 0, runner.iter, rank)
        if ranks != len(states):
            runner.logger.info(
                "The checkpoint has generator states of %d ranks for this run's %d: others get new ones",
                *(len(states), ranks),
            )
        self.loaded = None  # with it the gradients

    def _own_state(self, runner: Any) -> dict[str, Any]:
        resting = getattr(runner.train_loop, "resting", None)
        changed = {
            key: value
            for key, value in _plain_attributes(runner.model)
            if key not in self._fresh or self._fresh[key] != value
        }
        return {"generators": resting or take_generators(), "preprocessor": changed}

    def _pending_gradients(self, runner: Any) -> dict[str, torch.Tensor]:
        """Gradients that wait for the optimizer, where it steps every few iterations only."""
        waits = getattr(runner.optim_wrapper, "should_update", None)
        if waits is None or waits():
            return {}
        several = get_dist_info()[1] > 1  # ranks must agree on which there are
        return {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
            for name, parameter in _bare(runner.model).named_parameters()
            if parameter.grad is not None or (several and parameter.requires_grad)
        }

    def _give_gradients(self, runner: Any, gradients: dict[str, torch.Tensor]) -> None:
        parameters = dict(_bare(runner.model).named_parameters())
        for name, gradient in gradients.items():
            parameters[name].grad = gradient.to(parameters[name].device)


def run_state_hook(runner: Any) -> RunStateHook | None:
    """The runner's `RunStateHook`, or None if it has none.

    Args:
        runner: With its hooks registered.
    """
    return next((hook for hook in runner.hooks if isinstance(hook, RunStateHook)), None)


def _bare(model: Any) -> Any:
    return getattr(model, "module", model)


def _preprocessor_modules(model: Any) -> Iterator[tuple[str, Any]]:
    preprocessor = getattr(_bare(model), "data_preprocessor", None)
    if isinstance(preprocessor, torch.nn.Module):
        yield from preprocessor.named_modules()


def _plain_attributes(model: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """What the preprocessor and its batch augmentations keep outside of buffers: plain values only."""
    for path, module in _preprocessor_modules(model):
        for name, value in vars(module).items():
            if name != "training" and not name.startswith(("_parameters", "_buffers")) and _is_plain(value):
                yield (path, name), value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)
