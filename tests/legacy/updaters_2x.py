"""What MMCV 1.x's updaters set before each iteration, told hook by hook; no test.

Written down after ``mmcv/runner/hooks/lr_updater.py``, ``momentum_updater.py`` (MMCV 1.7) and the order in
which its runners call them: at the beginning of each epoch the regular value is set if the policy counts
epochs; before each iteration the regular value if it counts iterations, or the one that is warming up. Over
iterations, an epoch is a pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Any


@dataclass
class Runner:
    by_epoch: bool  # whether it counts epochs
    length: int  # epochs or iterations
    epoch_length: int
    iteration: int = 0

    @property
    def iterations(self) -> int:
        return self.length * self.epoch_length if self.by_epoch else self.length

    @property
    def epoch(self) -> int:
        return self.iteration // self.epoch_length

    @property
    def epochs(self) -> float:
        return self.iterations / self.epoch_length


def values(
    config: Mapping[str, Any], bases: Sequence[float], runner: Runner, *, momentum=False
) -> Iterator[list[float]]:
    """The values of all parameter groups in each iteration."""
    name = config["policy"]
    default = False if name in ("Cyclic", "OneCycle") else momentum or runner.by_epoch
    by_epoch = config.get("by_epoch", default)
    warmup, steps = config.get("warmup"), config.get("warmup_iters", 0)
    if config.get("warmup_by_epoch"):
        steps *= runner.epoch_length
    ratio = config.get("warmup_ratio", 0.1)
    unit = "momentum" if momentum else "lr"
    now: list[float] = list(bases)
    for iteration in range(runner.iterations):
        runner.iteration = iteration
        if not by_epoch or runner.iteration % runner.epoch_length == 0:
            regular = [
                REGULAR[name](config, base, runner, by_epoch, unit, group) for group, base in enumerate(bases)
            ]
            now = regular
        if name == "YOLOX":
            if warmup and runner.iteration < steps:
                now = [base * ratio * pow((runner.iteration + 1) / float(steps), 2) for base in bases]
        elif warmup and runner.iteration < steps:
            part = runner.iteration / steps
            k = {"constant": ratio, "linear": 1 - (1 - part) * (1 - ratio), "exp": ratio ** (1 - part)}[
                warmup
            ]
            now = [value / k if momentum else value * k for value in regular]
        else:
            now = regular
        yield now


def _target(config, base, unit):
    ratio = config.get(f"min_{unit}_ratio")
    return base * ratio if ratio is not None else config.get(f"min_{unit}", 0.0)


def _progress(runner, by_epoch):
    return (runner.epoch, runner.epochs) if by_epoch else (runner.iteration, runner.iterations)


def _cos(start, end, factor, weight=1):
    return end + 0.5 * weight * (start - end) * (cos(pi * factor) + 1)


def _linear(start, end, factor):
    return start + (end - start) * factor


def _step(config, base, runner, by_epoch, unit, _):
    progress, step = _progress(runner, by_epoch)[0], config["step"]
    if isinstance(step, int):
        power = progress // step
    else:
        power = len(step)
        for number, milestone in enumerate(step):
            if progress < milestone:
                power = number
                break
    value = base * config.get("gamma", 0.5 if unit == "momentum" else 0.1) ** power
    least = config.get(f"min_{unit}")
    return value if least is None else max(value, least)


def _poly(config, base, runner, by_epoch, unit, _):
    progress, end = _progress(runner, by_epoch)
    least = config.get(f"min_{unit}", 0.0)
    return (base - least) * (1 - progress / end) ** config.get("power", 1.0) + least


def _annealing(shape):
    def value(config, base, runner, by_epoch, unit, _):
        progress, end = _progress(runner, by_epoch)
        return shape(base, _target(config, base, unit), progress / end)

    return value


def _flat(config, base, runner, by_epoch, unit, _):
    progress, end = _progress(runner, by_epoch)
    start = round(end * config.get("start_percent", 0.75))
    if progress - start < 0:
        return base
    return _cos(base, _target(config, base, unit), (progress - start) / (end - start))


def _restart(config, base, runner, by_epoch, unit, _):
    progress, ends = _progress(runner, by_epoch)[0], []
    for period in config["periods"]:
        ends.append(period + (ends[-1] if ends else 0))
    where = next(number for number, end in enumerate(ends) if progress < end)
    begin = ends[where - 1] if where else 0
    weight = config.get("restart_weights", [1])[where]
    return _cos(base, _target(config, base, unit), (progress - begin) / config["periods"][where], weight)


def _cyclic(config, base, runner, by_epoch, unit, _):
    high, low = config.get("target_ratio", (10, 1e-4) if unit == "lr" else (0.85 / 0.95, 1))
    length = runner.iterations // config.get("cyclic_times", 1)
    up = int(config.get("step_ratio_up", 0.4) * length)
    shape = _linear if config.get("anneal_strategy") == "linear" else _cos
    scale = config.get("gamma", 1) ** (runner.iteration // length)
    now = runner.iteration % length
    top = 1 - scale + high * scale
    if now < up:
        return shape(base, base * top, now / up)
    return shape(base * top, base * low, (now - up) / (length - up))


def _one_cycle(config, base, runner, by_epoch, unit, group):
    steps = config.get("total_steps", runner.iterations)
    shape = _linear if config.get("anneal_strategy") == "linear" else _cos
    pct, three = config.get("pct_start", 0.3), config.get("three_phase", False)
    if unit == "lr":
        top = config["max_lr"]
        top = top[group] if isinstance(top, list) else top
        first = top / config.get("div_factor", 25)
        points = [first, top, first, first / config.get("final_div_factor", 1e4)]
    else:
        high, low = config.get("max_momentum", 0.95), config.get("base_momentum", 0.85)
        points = [high, low, high, high]
    if three:
        phases = [
            (pct * steps - 1, *points[0:2]),
            (2 * pct * steps - 2, *points[1:3]),
            (steps - 1, *points[2:4]),
        ]
    else:
        phases = [(pct * steps - 1, *points[0:2]), (steps - 1, points[1], points[3])]
    begin = 0
    for end, start_value, end_value in phases:
        if runner.iteration <= end:
            return shape(start_value, end_value, (runner.iteration - begin) / (end - begin))
        begin = end
    raise ValueError(runner.iteration)


def _yolox(config, base, runner, by_epoch, unit, _):
    progress, end = _progress(runner, by_epoch)
    last = runner.epoch_length * config["num_last_epochs"]
    warmup = config.get("warmup_iters", 0) * (runner.epoch_length if config.get("warmup_by_epoch") else 1)
    if progress + 1 >= end - last:
        return _target(config, base, unit)
    return _cos(base, _target(config, base, unit), (progress + 1 - warmup) / (end - warmup - last))


REGULAR = {
    "fixed": lambda config, base, *_: base,
    "step": _step,
    "exp": lambda config, base, runner, by_epoch, *_: (
        base * config["gamma"] ** _progress(runner, by_epoch)[0]
    ),
    "poly": _poly,
    "inv": lambda config, base, runner, by_epoch, *_: (
        base * (1 + config["gamma"] * _progress(runner, by_epoch)[0]) ** -config.get("power", 1.0)
    ),
    "CosineAnnealing": _annealing(_cos),
    "LinearAnnealing": _annealing(_linear),
    "FlatCosineAnnealing": _flat,
    "CosineRestart": _restart,
    "Cyclic": _cyclic,
    "OneCycle": _one_cycle,
    "YOLOX": _yolox,
}
