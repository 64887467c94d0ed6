"""Where a resumed run goes on, and whether it may."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_world_size

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import LakeBatchSampler, LakeSampler
from deeplake_mmdet.training.resume.pins import differences, unknown_contents
from deeplake_mmdet.training.resume.run_state import RunStateHook, run_state_hook

__all__ = ["RESUME_ANYWAY", "resume_position", "was_validated"]

RESUME_ANYWAY = "resume_anyway"


def resume_position(loop: Any) -> dict[str, Any] | None:
    """The position at which a loop has to go on, by the checkpoint that was resumed from, if any was.

    Args:
        loop: `EpochTrainLoop` or `IterTrainLoop`; its runner has loaded the checkpoint.

    Returns:
        A `LakeBatchSampler`'s position; None to begin a pass, as MMEngine would.

    Raises:
        ConfigError: The position belongs to other data, another order or another kind of loop, and the hook
            does not say ``resume_anyway``.
    """
    runner, sampler = loop.runner, loop.batch_sampler
    hook = run_state_hook(runner)
    loaded = hook.loaded if hook is not None else None
    if (
        loaded is None
        or not (loop.epoch or loop.iter)
        or (loaded.epoch, loaded.iter) != (loop.epoch, loop.iter)
    ):
        return None  # no resume, or one without the hook
    if loaded.state is None:
        runner.logger.info(
            "The checkpoint holds no position and no generator states: resuming as MMEngine does"
        )
        return None
    state = loaded.state
    assert hook is not None
    _adopt_seed(runner, hook, state)
    _adopt_blocks(runner, hook, state)
    found = differences(state["pins"], hook.pins(runner))
    if state["loop"] != type(loop).__name__:
        found.append(f"the loop is {type(loop).__name__}, was {state['loop']}")
    if found and not hook.resume_anyway:
        raise ConfigError(
            f"The checkpoint belongs to other data or another order than this run's: {'; '.join(found)}",
            where="resuming",
            advice=f"restore what it was trained with; or set {RESUME_ANYWAY}=True (on the command line: "
            f"--cfg-options {RESUME_ANYWAY}=True) to keep the weights and begin its pass anew",
        )
    if found:
        runner.logger.warning("Resuming anyway, and beginning the pass anew: %s", "; ".join(found))
        return {"pass": state["position"]["pass"], "done": []} if state["position"] else None
    _log_changes(loop, hook, state)
    position: dict[str, Any] | None = state["position"] if sampler is not None else None
    if position is None:
        runner.logger.info("No position to go on at: the loader's sampler is none of this package's")
    return position


def was_validated(loop: Any) -> bool:
    """Whether a run by iterations had been validated at the iteration at which it is resumed.

    Args:
        loop: An `IterTrainLoop`; its runner has loaded the checkpoint.

    Returns:
        True also where the checkpoint does not tell.
    """
    hook = run_state_hook(loop.runner)
    state = hook.loaded.state if hook is not None and hook.loaded is not None else None
    return state is None or state["validated"] == loop.iter


def _adopt_seed(runner: Any, hook: RunStateHook, state: dict[str, Any]) -> None:
    """A sampler without a seed in the config draws one at each start: the checkpoint's is the run's."""
    seed, cfg = state["pins"]["seed"], runner.cfg
    randomness = cfg.get("randomness") or {}
    given = None if randomness.get("diff_rank_seed") else randomness.get("seed")
    if given is None:
        given = ((cfg.get("train_dataloader") or {}).get("sampler") or {}).get("seed")
    sampler = getattr(runner.train_dataloader.batch_sampler, "sampler", None)
    if given is None and seed is not None and isinstance(sampler, LakeSampler) and sampler.seed != seed:
        sampler.reseed(seed)
        hook.forget_pins()
        runner.logger.info("Order and augmentations go on with the checkpoint's seed, %d", seed)


def _adopt_blocks(runner: Any, hook: RunStateHook, state: dict[str, Any]) -> None:
    """Runs of earlier versions shuffled views by guessed blocks: they go on as they began."""
    batches = runner.train_dataloader.batch_sampler
    order = state["pins"]["order"]
    if not isinstance(batches, LakeBatchSampler) or order is None:
        return
    if batches.rules["views"] is not None and order.get("views") is None and order["shuffle"] == "chunk":
        batches.sampler.guess_blocks()
        hook.forget_pins()
        runner.logger.info("The order of rows goes on as it was begun, not by the chunks that a view lies in")


def _log_changes(loop: Any, hook: RunStateHook, state: dict[str, Any]) -> None:
    runner = loop.runner
    now = {
        "batch size": (state["batch_size"], getattr(loop.dataloader.batch_sampler, "batch_size", None)),
        "number of processes": (state["ranks"], get_world_size()),
    }
    for what, (before, after) in now.items():
        if before != after:
            runner.logger.info(
                "The %s is %s, was %s: the rows left of this pass are split anew", what, after, before
            )
    if unknown := unknown_contents(state["pins"]):
        runner.logger.warning(
            "The checkpoint does not say what data %s held, only which version: it cannot be told whether "
            "that is still the same, as after a backup was restored",
            ", ".join(unknown),
        )
    for before, after in zip(state["pins"]["lakes"], hook.pins(runner)["lakes"], strict=True):
        if before["url"] != after["url"]:
            runner.logger.info("The lake is now read at %s, was %s", after["url"], before["url"])
