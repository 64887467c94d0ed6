"""Resuming from a checkpoint of MMDetection 2.x: what of it can be kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from mmengine.runner import EpochBasedTrainLoop

__all__ = ["adopt_old_checkpoint"]


def adopt_old_checkpoint(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Make a checkpoint that MMCV 1.x has written one that MMEngine resumes from; others stay as they are.

    Weights, epoch and iteration are kept, and the rates go on where the schedule is by then. The optimizer's
    state, e.g. its momenta, and that of the random generators begin anew.

    Args:
        runner: Its loop, optimizer and schedules are built and stand at their beginnings.
        checkpoint: The file's content; changed in place. Without epoch and iteration it stays as it is.
    """
    meta = checkpoint.get("meta")
    if "message_hub" in checkpoint or not isinstance(meta, dict) or not {"epoch", "iter"} <= meta.keys():
        return
    epochs, iters = int(meta["epoch"]), int(meta["iter"])
    length = len(runner.train_loop.dataloader)
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        iters = epochs * length  # as many as there are in this run, whose batches may be of another size
    _forward(list(_schedulers(runner.param_schedulers)), epochs, iters, length)
    version = meta.get("mmcv_version")
    # MMEngine would run the config, and take the seed, which drew other numbers in 2.x.
    others = {key: value for key, value in meta.items() if key not in ("config", "seed", "hook_msgs")}
    checkpoint["meta"] = {**others, "epoch": epochs, "iter": iters}
    checkpoint["message_hub"] = runner.message_hub.state_dict()
    checkpoint.pop("optimizer", None)
    runner.logger.warning(
        "The checkpoint to resume from is MMDetection 2.x's%s: its weights are kept, and its place (epoch "
        "%d, iteration %d), where the schedule of rates goes on; the optimizer's state (momenta) and the "
        "random numbers begin anew",
        *(f" (mmcv {version})" if version else "", epochs, iters),
    )


def _schedulers(found: Any) -> Iterator[Any]:
    if isinstance(found, dict):
        for part in found.values():
            yield from _schedulers(part)
    elif found is not None:
        yield from found


def _forward(schedulers: list[Any], epochs: int, iters: int, length: int) -> None:
    """Step as MMEngine's hook would have done in this many iterations and epochs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimizer has not stepped, which they tell
        for iteration in range(1, max(iters, epochs * length) + 1):
            if iteration <= iters:
                _step(schedulers, by_epoch=False)
            if iteration % length == 0 and iteration // length <= epochs:
                _step(schedulers, by_epoch=True)


def _step(schedulers: list[Any], *, by_epoch: bool) -> None:
    for scheduler in schedulers:
        if bool(scheduler.by_epoch) is by_epoch:
            scheduler.step()
