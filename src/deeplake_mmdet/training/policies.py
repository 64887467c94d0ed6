"""The formulas of MMCV 1.x for learning rates and momenta: a value from how far training is.

In our own words after ``mmcv/runner/hooks/lr_updater.py`` and ``momentum_updater.py`` of MMCV 1.7 and
``YOLOXLrUpdaterHook`` of MMDetection 2.28. Settings have the names of 2.x, without ``_lr`` and ``_momentum``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import Any

__all__ = ["POLICIES", "Progress", "after_warmup", "policy_value"]


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Attributes:
        iteration: Number of the iteration, from 0.
        iterations: How many there are.
        epoch_length: Iterations per epoch; 1 if nothing asks for it.
        by_epoch: Whether the policy counts epochs.
    """

    iteration: int
    iterations: int
    epoch_length: int
    by_epoch: bool

    @property
    def done(self) -> int:
        """Epochs or iterations that are over."""
        return self.iteration // self.epoch_length if self.by_epoch else self.iteration

    @property
    def end(self) -> float:
        """Epochs or iterations of the whole training."""
        return self.iterations / self.epoch_length if self.by_epoch else self.iterations


Settings = Mapping[str, Any]


def policy_value(policy: str, settings: Settings, base: float, at: Progress, group: int = 0) -> float:
    """The value without warm-up.

    Args:
        policy: One of `POLICIES`.
        settings: What it is told; what it does not need may be missing.
        base: The parameter group's value as the optimizer's settings have it.
        at: Where training is.
        group: Number of the parameter group, for settings with a value for each.
    """
    return POLICIES[policy](settings, base, at, group)


def after_warmup(value: float, warmup: Settings, at: Progress, *, divide: bool) -> float:
    """The value while it warms up, of the one that the policy gives; that one itself when this is over.

    Args:
        value: What the policy gives.
        warmup: ``kind`` (``constant``, ``linear`` or ``exp``), ``steps``, ``ratio`` and ``by_epoch``.
        at: Where training is.
        divide: Whether it begins with more, as momentum does, rather than with less.
    """
    steps = warmup["steps"] * (at.epoch_length if warmup.get("by_epoch") else 1)
    if at.iteration >= steps:
        return value
    ratio, left = warmup["ratio"], 1 - at.iteration / steps
    factor: float = {"constant": ratio, "linear": 1 - left * (1 - ratio), "exp": ratio**left}[warmup["kind"]]
    return value / factor if divide else value * factor


def _cosine(start: float, end: float, part: float, weight: float = 1.0) -> float:
    return end + weight * (start - end) * (1 + cos(pi * part)) / 2


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _anneal(settings: Settings) -> Callable[[float, float, float], float]:
    return _line if settings.get("anneal_strategy", "cos") == "linear" else _cosine


def _least(settings: Settings, base: float) -> float:
    ratio = settings.get("min_ratio")
    return float(base * ratio if ratio is not None else settings.get("min") or 0.0)


def _of_group(value: Any, group: int) -> float:
    return float(value[group] if isinstance(value, (list, tuple)) else value)


def _step(settings: Settings, base: float, at: Progress, _: int) -> float:
    steps = settings["step"]
    if isinstance(steps, (list, tuple)):  # up to the first that is still to come, in whatever order
        times = next((number for number, step in enumerate(steps) if at.done < step), len(steps))
    else:
        times = at.done // steps
    value = base * settings["gamma"] ** times
    return float(value if settings.get("min") is None else max(value, settings["min"]))


def _exp(settings: Settings, base: float, at: Progress, _: int) -> float:
    return float(base * settings["gamma"] ** at.done)


def _inv(settings: Settings, base: float, at: Progress, _: int) -> float:
    return float(base * (1 + settings["gamma"] * at.done) ** -settings.get("power", 1.0))


def _poly(settings: Settings, base: float, at: Progress, _: int) -> float:
    least = _least(settings, base)
    left = max(1 - at.done / at.end, 0.0)
    return float((base - least) * left ** settings.get("power", 1.0) + least)


def _cosine_annealing(settings: Settings, base: float, at: Progress, _: int) -> float:
    return _cosine(base, _least(settings, base), at.done / at.end)


def _linear_annealing(settings: Settings, base: float, at: Progress, _: int) -> float:
    return _line(base, _least(settings, base), at.done / at.end)


def _flat_cosine(settings: Settings, base: float, at: Progress, _: int) -> float:
    start = round(at.end * settings.get("start_percent", 0.75))
    if at.done < start or start >= at.end:
        return base
    return _cosine(base, _least(settings, base), (at.done - start) / (at.end - start))


def _cosine_restart(settings: Settings, base: float, at: Progress, _: int) -> float:
    """Behind the last period, where 2.x failed, the last value stays."""
    periods, weights = settings["periods"], settings["restart_weights"]
    begins = [sum(periods[:number]) for number in range(len(periods))]
    now = sum(begin <= at.done for begin in begins) - 1
    part = min((at.done - begins[now]) / periods[now], 1)
    return _cosine(base, _least(settings, base), part, weights[now])


def _cyclic(settings: Settings, base: float, at: Progress, _: int) -> float:
    """Up to the first ratio and on to the second, again and again; ``gamma`` lowers the tops."""
    length = at.iterations // settings["cyclic_times"]
    cycle, position = divmod(at.iteration, length)
    top = int(settings["step_ratio_up"] * length)
    high, low = settings["target_ratio"]
    high = 1 + settings.get("gamma", 1) ** cycle * (high - 1)
    anneal = _anneal(settings)
    if position < top:
        return anneal(base, base * high, position / top)
    return anneal(base * high, base * low, (position - top) / (length - top))


def _cycle_ends(settings: Settings, steps: int) -> list[float]:
    top = settings["pct_start"] * steps - 1
    return [top, *([2 * top] if settings["three_phase"] else []), steps - 1]


def _phases(ends: list[float], values: list[float], at: Progress, settings: Settings) -> float:
    """From value to value, each reached at its end; the last stays."""
    start = 0.0
    for number, end in enumerate(ends):
        if at.iteration <= end:
            part = (at.iteration - start) / (end - start) if end > start else 1.0
            return _anneal(settings)(values[number], values[number + 1], part)
        start = end
    return values[-1]


def _one_cycle(settings: Settings, base: float, at: Progress, group: int) -> float:
    if "base" in settings:  # of momentum, which goes down while the rate goes up
        high, low = _of_group(settings["max"], group), _of_group(settings["base"], group)
        values = [high, low, high, high] if settings["three_phase"] else [high, low, high]
        return _phases(_cycle_ends(settings, at.iterations), values, at, settings)
    top = _of_group(settings["max"], group)
    first = top / settings["div_factor"]
    last = first / settings["final_div_factor"]
    values = [first, top, first, last] if settings["three_phase"] else [first, top, last]
    return _phases(_cycle_ends(settings, settings.get("total_steps") or at.iterations), values, at, settings)


def _yolox(settings: Settings, base: float, at: Progress, _: int) -> float:
    """A quadratic warm-up of its own, a cosine that looks one step ahead, and a constant end."""
    warmup = settings["warmup_steps"] * (at.epoch_length if settings["warmup_by_epoch"] else 1)
    if settings["warmup"] and at.iteration < warmup:
        return float(base * settings["warmup_ratio"] * ((at.iteration + 1) / warmup) ** 2)
    least, last = _least(settings, base), settings["num_last_epochs"] * at.epoch_length
    done = at.done + 1
    if done >= at.end - last:
        return least
    return _cosine(base, least, (done - warmup) / (at.end - warmup - last))


POLICIES: dict[str, Callable[[Settings, float, Progress, int], float]] = {
    "fixed": lambda settings, base, at, group: base,
    "step": _step,
    "exp": _exp,
    "poly": _poly,
    "inv": _inv,
    "CosineAnnealing": _cosine_annealing,
    "LinearAnnealing": _linear_annealing,
    "FlatCosineAnnealing": _flat_cosine,
    "CosineRestart": _cosine_restart,
    "Cyclic": _cyclic,
    "OneCycle": _one_cycle,
    "YOLOX": _yolox,
}
