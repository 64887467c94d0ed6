"""Converted learning-rate schedules, stepped by mmengine, against the 2.x formulas."""

from __future__ import annotations

import pytest
import torch
import zoo_compare
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from reference_2x import learning_rate
from zoo_compare import learning_rates

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.schedules.schedule import Loop, convert_schedule

EPOCHS, LENGTH, BASE = 20, 100, 0.02
LINEAR = {"warmup": "linear", "warmup_iters": 75, "warmup_ratio": 0.001}
CONSTANT = {"warmup": "constant", "warmup_iters": 130, "warmup_ratio": 1 / 3}
EXP = {"warmup": "exp", "warmup_iters": 60, "warmup_ratio": 0.1}
POINTS = sorted(
    {*range(160), *range(190, 210), *(round(i * (EPOCHS * LENGTH - 1) / 199) for i in range(200))}
)

EXACT = [
    {"policy": "fixed"},
    {"policy": "step", "step": [8, 11]},
    {"policy": "step", "step": [16], "gamma": 0.3},
    {"policy": "step", "step": 6, "gamma": 0.5},
    {"policy": "step", "step": [500, 777], "by_epoch": False},
    {"policy": "CosineAnnealing", "min_lr": 0},
    {"policy": "CosineAnnealing", "min_lr": 1e-4},
    {"policy": "CosineAnnealing", "min_lr_ratio": 0.05},
    {"policy": "CosineAnnealing", "min_lr": 1e-4, "by_epoch": False},
    {"policy": "FlatCosineAnnealing", "start_percent": 0.75, "min_lr": 1e-5},
    {"policy": "FlatCosineAnnealing", "start_percent": 0.5, "min_lr_ratio": 0.01, "by_epoch": False},
    {"policy": "poly", "power": 0.9, "min_lr": 1e-4},
    {"policy": "LinearAnnealing", "min_lr": 1e-4},
    {"policy": "LinearAnnealing", "min_lr_ratio": 0.1},
    {"policy": "exp", "gamma": 0.8},
    {"policy": "exp", "gamma": 0.999, "by_epoch": False},
    {"policy": "CosineRestart", "periods": [5, 15], "restart_weights": [1, 1], "min_lr": 1e-5},
    {"policy": "CosineRestart", "periods": [8, 12], "restart_weights": [1, 0.5], "min_lr": 0},
    {"policy": "CosineRestart", "periods": [800, 1200], "restart_weights": [1, 1], "min_lr": 0,
     "by_epoch": False},
    # Minimum, warm-up of less than one epoch, steps by epoch: exact too.
    {"policy": "CosineAnnealing", "min_lr": 1e-3, **LINEAR},
    {"policy": "poly", "power": 0.9, "min_lr": 1e-4, **LINEAR},
    # No minimum: any warm-up is exact.
    {"policy": "CosineAnnealing", "min_lr": 0, "by_epoch": False, **LINEAR},
    {"policy": "CosineAnnealing", "min_lr": 0, "by_epoch": False, **EXP},
    {"policy": "YOLOX", "warmup": "exp", "by_epoch": False, "warmup_by_epoch": True, "warmup_ratio": 1,
     "warmup_iters": 5, "num_last_epochs": 3, "min_lr_ratio": 0.05},
    {"policy": "YOLOX", "warmup": "exp", "by_epoch": False, "warmup_by_epoch": True, "warmup_ratio": 1,
     "warmup_iters": 1, "num_last_epochs": 0, "min_lr": 1e-4},
    *({"policy": "step", "step": [8, 11], **warmup} for warmup in (LINEAR, CONSTANT, EXP)),
    *({"policy": "exp", "gamma": 0.9, **warmup} for warmup in (LINEAR, CONSTANT, EXP)),
    {"policy": "fixed", **LINEAR},
]  # fmt: skip

# What stock schedulers cannot do exactly; ours does.
NOT_STOCK = [
    {"policy": "poly", "power": 0.9, "min_lr": 0, "by_epoch": False},
    {"policy": "LinearAnnealing", "min_lr_ratio": 0.1, "by_epoch": False},
    {"policy": "CosineAnnealing", "min_lr": 1e-3, "by_epoch": False, **LINEAR},
    {"policy": "step", "step": [8], "warmup": "linear", "warmup_iters": 2, "warmup_by_epoch": True},
    {"policy": "step", "step": [8], "warmup": "constant", "warmup_iters": 2, "warmup_by_epoch": True,
     "warmup_ratio": 0.9},
    {"policy": "CosineRestart", "periods": [8, 12], "restart_weights": [1, 0.5], "min_lr": 1e-4},
    {"policy": "CosineRestart", "periods": [8, 12], "restart_weights": [1, 0.5], "min_lr": 0, **CONSTANT},
    {"policy": "FlatCosineAnnealing", "start_percent": 0.333, "min_lr": 0, "by_epoch": False},
    {"policy": "step", "step": [8, 11], **EXP},
]  # fmt: skip


def converted(config, loop=None):
    notes = Notebook()
    cfg = {"lr_config": config, "optimizer": {"lr": BASE}}
    return convert_schedule(cfg, loop or Loop(True, EPOCHS), notes), list(notes)


def largest_error(config, points=POINTS):
    schedulers, _ = converted(config)
    ours = learning_rates(schedulers, BASE, points, True, LENGTH)
    right = [learning_rate(config, BASE, point, EPOCHS, LENGTH) for point in points]
    return max(abs(a - b) for a, b in zip(ours, right, strict=True))


@pytest.mark.parametrize("config", EXACT, ids=str)
def test_the_rate_is_that_of_the_2x_formula(config):
    assert largest_error(config) <= 1e-9 * BASE + 1e-15


@pytest.mark.parametrize("config", NOT_STOCK, ids=str)
def test_what_stock_schedulers_cannot_do_ours_does_and_a_note_says_so(config):
    schedulers, notes = converted(config)
    assert [scheduler["type"] for scheduler in schedulers] == ["deeplake_mmdet.PolicyLR"]
    assert [(note.key, note.severity) for note in notes] == [("lr_config.policy", "info")]
    assert largest_error(config) <= 1e-9 * BASE


@pytest.mark.parametrize("config", EXACT, ids=str)
def test_what_is_exact_needs_no_warning(config):
    _, notes = converted(config)
    assert not [note for note in notes if note.severity != "info"]


@given(
    steps=st.lists(st.integers(1, EPOCHS - 1), min_size=1, max_size=3, unique=True).map(sorted),
    gamma=st.floats(0.05, 0.95),
    kind=st.sampled_from(["linear", "constant", "exp"]),
    iters=st.integers(1, 350),
    ratio=st.floats(0.001, 0.99),
)
@settings(max_examples=15, deadline=None)
def test_steps_and_warm_ups_of_any_kind(steps, gamma, kind, iters, ratio):
    config = {"policy": "step", "step": steps, "gamma": gamma}
    config |= {"warmup": kind, "warmup_iters": iters, "warmup_ratio": ratio}
    points = sorted({*range(0, 400, 7), iters - 1, iters, iters + 1, *range(400, EPOCHS * LENGTH, 97)})
    assert largest_error(config, points) <= 1e-9 * BASE


def test_a_loop_over_iterations():
    total = 1800
    for config in (
        {"policy": "step", "step": [1200, 1600], **LINEAR},
        {"policy": "CosineAnnealing", "min_lr": 1e-4},
        {"policy": "poly", "power": 0.9, "min_lr": 1e-4},
        {"policy": "exp", "gamma": 0.999},
    ):
        schedulers, _ = converted(config, Loop(False, total))
        points = sorted({*range(100), *(round(i * (total - 1) / 199) for i in range(200))})
        ours = learning_rates(schedulers, BASE, points, False, 1)
        # The 2.x runner over iterations counts them by default.
        reference = {**config, "by_epoch": False}
        right = [learning_rate(reference, BASE, point, 1, total) for point in points]
        assert max(abs(a - b) for a, b in zip(ours, right, strict=True)) <= 1e-9 * BASE


def test_policies_unknown_to_2x_are_noted():
    schedulers, notes = converted({"policy": "mine", "gamma": 0.1, **LINEAR})
    assert schedulers == []
    assert [(note.key, note.severity) for note in notes] == [("lr_config.policy", "dropped")]
    assert notes[0].old["policy"] == "mine"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"policy": "step"}, "step"),
        ({"policy": "step", "step": ["8"]}, "lr_config.step"),
        ({"policy": "step", "step": 0}, "lr_config.step"),
        ({"policy": "step", "step": [8, 11.5]}, "lr_config.step"),
        ({"policy": "exp"}, "gamma"),
        ({"policy": "inv"}, "gamma"),
        ({"policy": "CosineRestart", "min_lr": 0}, "periods"),
        ({"policy": "CosineRestart", "periods": [5, 5], "min_lr": 0}, "restart_weights"),
    ],
)
def test_what_2x_refused_is_refused_by_its_key(config, key):
    with pytest.raises(ConfigError, match=key):
        converted(config)


def test_settings_without_an_equal_are_noted():
    _, notes = converted({"policy": "step", "step": [3], "min_lr": 1e-5, "extra": 1})
    assert {note.key for note in notes if note.severity == "dropped"} == {"lr_config.extra"}


def test_one_cycle():
    schedulers, _ = converted({"policy": "OneCycle", "max_lr": 0.1, "pct_start": 0.2})
    (cycle,) = schedulers
    assert (cycle["type"], cycle["eta_max"], cycle["total_steps"], cycle["pct_start"]) == (
        "OneCycleLR",
        0.1,
        20,
        0.2,
    )
    rates = learning_rates(schedulers, 0.004, [0, 400, 1999], True, LENGTH)
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[1] == pytest.approx(0.1, rel=1e-3)
    assert rates[2] < 1e-6


ANY = [
    *EXACT,
    *NOT_STOCK,
    {"policy": "OneCycle", "max_lr": 0.1, "base_momentum": 0.85},
    {"policy": "ReduceLrOnPlateau", "patience": 2},
    {"policy": "cyclic", "target_ratio": (0.8, 1.0)},
    {"policy": "CosineAnnealing", "min_momentum_ratio": 0.5},
    {"policy": "LinearAnnealing", "min_momentum": 0.5},
]


@pytest.mark.parametrize("key", ["lr_config", "momentum_config"])
@pytest.mark.parametrize("loop", [Loop(True, EPOCHS), Loop(False, 1800)], ids=["epochs", "iterations"])
def test_whatever_is_made_can_be_built(key, loop):
    zoo_compare.register()
    for config in ANY:
        notes = Notebook()
        made = convert_schedule({key: config, "optimizer": {"lr": BASE}}, loop, notes)
        assert made or config["policy"] == "fixed" or list(notes)
        for scheduler in made:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE, momentum=0.9)
            with DefaultScope.overwrite_default_scope("mmdet"):
                defaults = {"optimizer": optimizer, "epoch_length": LENGTH}
                PARAM_SCHEDULERS.build(dict(scheduler), default_args=defaults)


LEAST = st.one_of(st.just({}), st.floats(0, 0.5).map(lambda ratio: {"min_lr_ratio": ratio}))


@given(
    policy=st.sampled_from(["CosineAnnealing", "poly", "exp", "FlatCosineAnnealing"]),
    least=LEAST,
    number=st.floats(0.3, 0.95),
    iters=st.integers(1, LENGTH),
    ratio=st.floats(0.001, 0.99),
    kind=st.sampled_from(["linear", "constant", "exp"]),
)
@settings(max_examples=15, deadline=None)
def test_curves_with_a_warm_up_within_the_first_epoch(policy, least, number, iters, ratio, kind):
    """Whatever its minimum: the curve stands still while the rate warms up."""
    config = {"policy": policy, "warmup": kind, "warmup_iters": iters, "warmup_ratio": ratio}
    config |= {"exp": {"gamma": number}, "poly": {"power": 2 * number}}.get(policy, least)
    points = sorted({*range(0, 130, 3), iters - 1, iters, iters + 1, *range(130, EPOCHS * LENGTH, 41)})
    assert largest_error(config, points) <= 1e-9 * BASE


def test_momentum():
    notes = Notebook()
    config = {"policy": "step", "step": [8], "gamma": 0.5}
    made = convert_schedule({"momentum_config": config}, Loop(True, EPOCHS), notes)
    assert made == [
        {
            "type": "MultiStepMomentum",
            "by_epoch": True,
            "begin": 0,
            "gamma": 0.5,
            "end": EPOCHS,
            "milestones": [8],
        }
    ]
    assert not list(notes)
