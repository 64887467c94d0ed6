"""Policies that stock 3.x schedulers give exactly, as those schedulers.

2.x computed a value from the progress; 3.x multiplies the last value step by step. Two adjustments look odd
and are meant: a 3.x linear scheduler reaches its end one step before ``end``, so ``end`` is one more than the
number of steps; and where a curve has to begin one iteration before an epoch, ``begin`` is a little less than
that epoch, because mmengine multiplies it by the epoch's length and rounds down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deeplake_mmdet.legacy.schedules.policies import Policy, Warmup

__all__ = ["stock_schedulers"]

_JUST_BEFORE = 1e-7  # epochs: one iteration after rounding down, for epochs of up to ten million iterations

Scheduler = dict[str, Any]


def stock_schedulers(
    policy: Policy, warmup: Warmup | None, suffix: str, *, epochs: bool, length: int
) -> list[Scheduler] | None:
    """The stock schedulers that give what the policy gave at every step; None if none do.

    Args:
        policy: The policy.
        warmup: Its warm-up.
        suffix: ``LR`` or ``Momentum``.
        epochs: Whether the loop counts epochs.
        length: How many epochs or iterations it takes.
    """
    if policy.by_epoch and not epochs and policy.name != "fixed":
        return None  # by_epoch=True would never step: such a loop tells no scheduler of a pass's end
    first: list[Scheduler] = []
    if warmup is not None:
        # A product of two changes is exact, but not where one of them sets values or keeps a minimum.
        sums = policy.name in ("CosineRestart", "OneCycle", "YOLOX") or policy.minimum
        if warmup.by_epoch or warmup.kind == "exp" or suffix == "Momentum" or sums:
            return None
        first = [_warm_up(warmup)]
    make = _MAKERS.get(policy.name)
    rest = None if make is None else make(policy, _Place(suffix, epochs, length, policy.by_epoch))
    return None if rest is None else [*first, *rest]


def _warm_up(warmup: Warmup) -> Scheduler:
    span = {"by_epoch": False, "begin": 0, "end": warmup.steps + 1}
    if warmup.kind == "linear":
        return {"type": "LinearLR", "start_factor": warmup.ratio, **span}
    return {"type": "ConstantLR", "factor": warmup.ratio, **span}


class _Place:
    """Where schedulers stand: in a loop over epochs or iterations, for a policy that counts either."""

    def __init__(self, suffix: str, epochs: bool, length: int, by_epoch: bool) -> None:
        self.suffix, self.epochs, self.length, self.by_epoch = suffix, epochs, length, by_epoch
        self.same = epochs == by_epoch  # whether the policy counts what the loop counts

    def curve(self, kind: str, **settings: Any) -> Scheduler:
        """A scheduler over the whole training."""
        steps: Scheduler = {"by_epoch": self.by_epoch}
        if not self.same:
            steps = {"by_epoch": True, "convert_to_iter_based": True}
        return {"type": kind + self.suffix, **steps, **settings}


def _fixed(_: Policy, __: _Place) -> list[Scheduler]:
    return []


def _step(policy: Policy, place: _Place) -> list[Scheduler] | None:
    steps, least = policy.settings["step"], policy.settings.get("min")
    if least:
        return None  # a lower limit
    # Milestones are counted in the policy's own unit, so iterations stay iterations with a loop over epochs.
    common: Scheduler = {"by_epoch": place.by_epoch, "begin": 0, "gamma": policy.settings["gamma"]}
    if place.same:
        common["end"] = place.length
    if not isinstance(steps, (list, tuple)):
        return [{"type": f"Step{place.suffix}", **common, "step_size": steps}]
    if list(steps) != sorted(steps):
        return None  # 2.x stopped at the first that was still to come
    return [{"type": f"MultiStep{place.suffix}", **common, "milestones": list(steps)}]


def _exp(policy: Policy, place: _Place) -> list[Scheduler]:
    kind = f"Exponential{place.suffix}"
    return [{"type": kind, "by_epoch": place.by_epoch, "gamma": policy.settings["gamma"]}]


def _cosine(policy: Policy, place: _Place) -> list[Scheduler]:
    return [place.curve("CosineAnnealing", begin=0, end=place.length, T_max=place.length, **_minimum(policy))]


def _flat_cosine(policy: Policy, place: _Place) -> list[Scheduler] | None:
    exact = policy.settings["start_percent"] * place.length
    start = round(exact)
    if (not place.same and start != exact) or start >= place.length:
        return None  # 2.x rounded to iterations
    over = place.length - start
    return [place.curve("CosineAnnealing", begin=start, end=place.length, T_max=over, **_minimum(policy))]


def _poly(policy: Policy, place: _Place) -> list[Scheduler] | None:
    if not place.same or "min_ratio" in policy.settings:
        return None  # 3.x counts the end in whole epochs here, and so ends one iteration early
    power, least = policy.settings.get("power", 1.0), policy.settings.get("min", 0.0)
    return [place.curve("Poly", power=power, eta_min=least, begin=0, end=place.length + 1)]


def _linear(policy: Policy, place: _Place) -> list[Scheduler] | None:
    ratio = policy.settings.get("min_ratio")
    if ratio is None:
        return _poly(policy, place)
    if not place.same:
        return None
    return [place.curve("Linear", start_factor=1.0, end_factor=ratio, begin=0, end=place.length + 1)]


def _cosine_restart(policy: Policy, place: _Place) -> list[Scheduler] | None:
    periods, weights = policy.settings["periods"], policy.settings["restart_weights"]
    if policy.minimum and any(weight != 1 for weight in weights):
        return None  # 2.x weighted the distance to the minimum only
    return [
        {
            "type": f"CosineRestart{place.suffix}",
            "by_epoch": place.by_epoch,
            "periods": periods,
            "restart_weights": weights,
            "begin": 0,
            "end": sum(periods),
            **_minimum(policy),
        }
    ]


def _one_cycle(policy: Policy, place: _Place) -> list[Scheduler] | None:
    settings = policy.settings
    if place.suffix == "Momentum" or "total_steps" in settings or isinstance(settings["max"], (list, tuple)):
        return None
    names = ("pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
    told = {name: settings[name] for name in names}
    length = place.length
    return [place.curve("OneCycle", eta_max=settings["max"], begin=0, end=length, total_steps=length, **told)]


def _yolox(policy: Policy, place: _Place) -> list[Scheduler] | None:
    """Quadratic warm-up, a cosine that runs one iteration ahead, and a constant end."""
    settings = policy.settings
    warmup, last = settings["warmup_steps"], settings["num_last_epochs"]
    plain = settings["warmup"] and settings["warmup_ratio"] == 1 and settings["warmup_by_epoch"] and warmup
    over = place.length - last
    # A short trial of a long schedule ends in its warm-up, and has no cosine.
    if not plain or not place.epochs or policy.by_epoch or place.suffix == "Momentum" or over <= warmup:
        return None
    steps = {"by_epoch": True, "convert_to_iter_based": True}
    cosine = {"begin": warmup - _JUST_BEFORE, "end": over, "T_max": over - warmup, **_minimum(policy)}
    return [
        {"type": f"mmdet.QuadraticWarmup{place.suffix}", **steps, "begin": 0, "end": warmup},
        {"type": f"CosineAnnealing{place.suffix}", **steps, **cosine},
    ]


def _minimum(policy: Policy) -> Scheduler:
    if "min_ratio" in policy.settings:
        return {"eta_min_ratio": policy.settings["min_ratio"]}
    return {"eta_min": policy.settings.get("min", 0.0)}


_MAKERS: dict[str, Callable[[Policy, _Place], list[Scheduler] | None]] = {
    "fixed": _fixed,
    "step": _step,
    "exp": _exp,
    "poly": _poly,
    "CosineAnnealing": _cosine,
    "LinearAnnealing": _linear,
    "FlatCosineAnnealing": _flat_cosine,
    "CosineRestart": _cosine_restart,
    "OneCycle": _one_cycle,
    "YOLOX": _yolox,
}
