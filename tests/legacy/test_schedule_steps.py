"""Every policy x warm-up x runner x by_epoch: MMEngine's schedulers, step by step, against MMCV 1.x."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from updaters_2x import Runner, values

from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.schedules.schedule import Loop, convert_schedule

LENGTH = 17  # iterations per epoch
RUNNERS = [Runner(True, 12, LENGTH), Runner(False, 12 * LENGTH, LENGTH), Runner(False, 199, LENGTH)]
BASES = [0.02, 0.002, 0.05]

ANY_UNIT = [
    {"policy": "fixed"},
    {"policy": "step", "step": [4, 7]},
    {"policy": "step", "step": 3, "gamma": 0.5},
    {"policy": "step", "step": [3, 6, 9], "gamma": 0.2, "min_lr": 5e-4},
    {"policy": "step", "step": [7, 4]},
    {"policy": "exp", "gamma": 0.9},
    {"policy": "inv", "gamma": 0.1, "power": 0.75},
    {"policy": "CosineRestart", "periods": [3, 4, 300], "restart_weights": [1, 0.5, 0.2], "min_lr": 0},
    {"policy": "CosineRestart", "periods": [3, 4, 300], "restart_weights": [1, 0.5, 0.2], "min_lr": 1e-3},
    {"policy": "CosineRestart", "periods": [5, 300], "restart_weights": [1, 1], "min_lr_ratio": 0.01},
    {"policy": "CosineAnnealing", "min_lr": 0},
    {"policy": "CosineAnnealing", "min_lr": 1e-4},
    {"policy": "CosineAnnealing", "min_lr_ratio": 0.05},
    {"policy": "LinearAnnealing", "min_lr": 1e-4},
    {"policy": "LinearAnnealing", "min_lr_ratio": 0.1},
    {"policy": "FlatCosineAnnealing", "start_percent": 0.5, "min_lr": 0},
    {"policy": "FlatCosineAnnealing", "start_percent": 0.333, "min_lr_ratio": 0.01},
    {"policy": "poly", "power": 0.9, "min_lr": 1e-4},
    {"policy": "poly", "power": 2},
]  # fmt: skip
BY_ITERATION = [
    {"policy": "step", "step": [50, 120], "by_epoch": False},
    {"policy": "CosineRestart", "periods": [80, 200], "restart_weights": [1, 1], "min_lr": 0,
     "by_epoch": False},
    {"policy": "Cyclic"},
    {"policy": "Cyclic", "target_ratio": (5, 0.1), "cyclic_times": 3, "step_ratio_up": 0.3, "gamma": 0.5},
    {"policy": "Cyclic", "target_ratio": (2, 0.1), "cyclic_times": 2, "anneal_strategy": "linear"},
    {"policy": "OneCycle", "max_lr": 0.1},
    {"policy": "OneCycle", "max_lr": [0.1, 0.02, 0.3], "pct_start": 0.2, "div_factor": 10},
    {"policy": "OneCycle", "max_lr": 0.1, "total_steps": 300, "final_div_factor": 100.0},
    {"policy": "OneCycle", "max_lr": 0.1, "three_phase": True, "anneal_strategy": "linear"},
]  # fmt: skip
YOLOX = [
    {"policy": "YOLOX", "by_epoch": False, "warmup": "exp", "warmup_by_epoch": epochs, "warmup_iters": steps,
     "warmup_ratio": ratio, "num_last_epochs": last, **least}
    for epochs, steps in ((True, 2), (False, 25))
    for ratio, last, least in ((1, 3, {"min_lr_ratio": 0.05}), (0.5, 0, {"min_lr": 1e-4}))
]  # fmt: skip
WARMUPS = [{}] + [
    {"warmup": kind, "warmup_iters": steps, "warmup_ratio": ratio, "warmup_by_epoch": epochs}
    for kind in ("constant", "linear", "exp")
    for steps, ratio, epochs in ((11, 0.001, False), (90, 0.3, False), (3, 0.1, True))
]  # fmt: skip
MOMENTA = [
    {"policy": "step", "step": [4]},
    {"policy": "step", "step": 2, "min_momentum": 0.3},
    {"policy": "CosineAnnealing", "min_momentum": 0.5},
    {"policy": "CosineAnnealing", "min_momentum_ratio": 0.5, "by_epoch": False},
    {"policy": "LinearAnnealing", "min_momentum_ratio": 0.5},
    {"policy": "Cyclic"},
    {"policy": "Cyclic", "target_ratio": (0.5, 1), "cyclic_times": 2},
    {"policy": "OneCycle"},
    {"policy": "OneCycle", "base_momentum": 0.7, "max_momentum": 0.9, "three_phase": True},
]  # fmt: skip


def stepped(schedulers, optimizer, runner, read):
    """What MMEngine's ParamSchedulerHook makes of the optimizer, iteration by iteration."""
    built, found = [], []
    with DefaultScope.overwrite_default_scope("mmdet"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for config in schedulers:
            # The end that MMEngine's runner fills in; its loop over iterations counts as one epoch.
            end = runner.length if config["by_epoch"] == runner.by_epoch else runner.iterations
            end = 1 if config["by_epoch"] and not runner.by_epoch else end
            defaults = {"optimizer": optimizer, "epoch_length": LENGTH}
            built.append(PARAM_SCHEDULERS.build({"end": end, **config}, default_args=defaults))
        for iteration in range(runner.iterations):
            found.append([read(group) for group in optimizer.param_groups])
            for scheduler in built:
                if not scheduler.by_epoch:
                    scheduler.step()
            if runner.by_epoch and (iteration + 1) % LENGTH == 0:
                for scheduler in built:
                    if scheduler.by_epoch:
                        scheduler.step()
    return found


def sgd(momentum=0.9):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": base} for base in BASES]
    return torch.optim.SGD(groups, lr=0.02, momentum=momentum)


def largest_error(config, runner, *, key="lr_config", optimizer=None, read=lambda group: group["lr"]):
    notes = Notebook()
    optimizer = optimizer or sgd()
    bases = [read(group) for group in optimizer.param_groups]
    cfg = {key: config, "optimizer": {"lr": BASES[0]}}
    made = convert_schedule(cfg, Loop(runner.by_epoch, runner.length), notes)
    ours = torch.tensor(stepped(made, optimizer, runner, read), dtype=torch.float64)
    momentum = key == "momentum_config"
    right = torch.tensor(list(values(config, bases, runner, momentum=momentum)), dtype=torch.float64)
    return float(((ours - right).abs() / right.abs().clamp(min=1e-12)).max()), list(notes), made


@pytest.mark.parametrize("runner", RUNNERS, ids=["epochs", "iterations", "a broken pass"])
@pytest.mark.parametrize("config", [*ANY_UNIT, *BY_ITERATION], ids=str)
def test_every_policy_with_every_warm_up(config, runner):
    units = [{}] if config["policy"] in ("Cyclic", "OneCycle") or "by_epoch" in config else UNITS
    for unit, warmup in itertools.product(units, WARMUPS):
        whole = {**config, **unit, **warmup}
        error, notes, made = largest_error(whole, runner)
        assert error <= 1e-9, (whole, made)
        passes = whole.get("by_epoch") and not runner.by_epoch and (warmup or config["policy"] != "fixed")
        assert any(note.severity == "approximated" for note in notes) == bool(passes)
        assert not any(note.severity == "dropped" for note in notes)


UNITS = [{}, {"by_epoch": True}, {"by_epoch": False}]


@pytest.mark.parametrize("runner", RUNNERS, ids=["epochs", "iterations", "a broken pass"])
@pytest.mark.parametrize("config", YOLOX, ids=str)
def test_yolox(config, runner):
    error, _, made = largest_error(config, runner)
    assert error <= 1e-9, made
    for changes in ({"warmup": None}, {"warmup": None, "warmup_iters": 0}):
        assert largest_error({**config, **changes}, runner)[0] <= 1e-9


@pytest.mark.parametrize(
    ("warmup", "last", "epochs"),
    [
        (warmup, last, epochs)
        for warmup, last in ((5, 15), (1, 2), (3, 0), (1, 1))
        for epochs in (1, 2, 3, 5)
        if epochs - last != warmup  # where 2.x divided by zero
    ],
)
def test_a_short_trial_of_yolox(warmup, last, epochs):
    """One that ends in the warm-up, or before the constant end would begin."""
    config = {"policy": "YOLOX", "by_epoch": False, "num_last_epochs": last, "min_lr_ratio": 0.05}
    config |= {"warmup": "exp", "warmup_iters": warmup, "warmup_ratio": 1, "warmup_by_epoch": True}
    error, _, made = largest_error(config, Runner(True, epochs, LENGTH))
    assert error <= 1e-9, made


@pytest.mark.parametrize("runner", RUNNERS[:2], ids=["epochs", "iterations"])
@pytest.mark.parametrize("config", MOMENTA, ids=str)
def test_momenta(config, runner):
    adam = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": base} for base in BASES]
    for warmup in WARMUPS:
        if warmup.get("warmup_by_epoch"):
            continue  # unknown to its updaters
        whole = {**config, **warmup, **({"warmup_ratio": 0.9} if warmup else {})}
        key = "momentum_config"
        error, _, made = largest_error(whole, runner, key=key, read=lambda group: group["momentum"])
        assert error <= 1e-9, made
        optimizer = torch.optim.Adam([dict(group) for group in adam], betas=(0.9, 0.99))
        error, _, made = largest_error(
            whole, runner, key=key, optimizer=optimizer, read=lambda group: group["betas"][0]
        )
        assert error <= 1e-9, made


def test_a_scheduler_goes_on_where_it_was():
    config = {"policy": "CosineRestart", "periods": [5, 7], "restart_weights": [1, 0.5], "min_lr": 1e-3}
    config |= {"warmup": "exp", "warmup_iters": 3, "warmup_by_epoch": True}
    (made,) = convert_schedule({"lr_config": config}, Loop(True, 12), Notebook())
    first, second = sgd(), sgd()
    defaults = {"epoch_length": LENGTH}
    one = PARAM_SCHEDULERS.build(dict(made), default_args={"optimizer": first, **defaults})
    for _ in range(40):
        one.step()
    other = PARAM_SCHEDULERS.build(dict(made), default_args={"optimizer": second, **defaults})
    other.load_state_dict(one.state_dict())
    for scheduler in (one, other):
        scheduler.step()
    assert [group["lr"] for group in first.param_groups] == [group["lr"] for group in second.param_groups]


def test_stock_schedulers_are_used_where_they_are_exact():
    """A config of every day needs nothing of ours."""
    warmup = {"warmup": "linear", "warmup_iters": 500, "warmup_ratio": 0.001}
    for config in (
        {"policy": "step", "step": [8, 11], **warmup},
        {"policy": "CosineAnnealing", "min_lr": 0, **warmup},
        {"policy": "poly", "power": 0.9, "min_lr": 1e-4},
        {"policy": "OneCycle", "max_lr": 0.1},
    ):
        made = convert_schedule({"lr_config": config}, Loop(True, 12), Notebook())
        assert not any(scheduler["type"].startswith("deeplake_mmdet") for scheduler in made)
