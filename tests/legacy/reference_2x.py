"""The learning rate of MMDetection 2.x at an iteration, from the documentation of mmcv 1.x; no test.

Every policy gives the rate as a formula of the progress (epochs or iterations); a warm-up of W iterations
multiplies it: linear by ``1 - (1 - t/W)(1 - ratio)``, constant by ``ratio``, exp by ``ratio ** (1 - t/W)``.
YOLOX warms up by ``((t + 1)/W)²`` and looks one iteration ahead in its cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Any


def learning_rate(
    config: Mapping[str, Any], base: float, iteration: int, epochs: int, epoch_length: int
) -> float:
    policy = config["policy"]
    total = epochs * epoch_length
    if policy == "YOLOX":
        return _yolox(config, base, iteration, total, epoch_length)
    if config.get("by_epoch", True):
        progress, end = iteration // epoch_length, epochs
    else:
        progress, end = iteration, total
    regular = _POLICIES[policy](config, base, progress, end)
    kind, steps = config.get("warmup"), config.get("warmup_iters", 0)
    if config.get("warmup_by_epoch"):
        steps *= epoch_length
    if kind is None or iteration >= steps:
        return regular
    ratio = config.get("warmup_ratio", 0.1)
    if kind == "constant":
        return regular * ratio
    if kind == "linear":
        return regular * (1 - (1 - iteration / steps) * (1 - ratio))
    return regular * ratio ** (1 - iteration / steps)


def _least(config: Mapping[str, Any], base: float) -> float:
    ratio = config.get("min_lr_ratio")
    return base * ratio if ratio is not None else config.get("min_lr", 0.0)


def _cosine(start: float, end: float, part: float, weight: float = 1.0) -> float:
    return end + 0.5 * weight * (start - end) * (cos(pi * part) + 1)


def _step(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    steps = config["step"]
    passed = progress // steps if isinstance(steps, int) else sum(progress >= step for step in steps)
    return base * config.get("gamma", 0.1) ** passed


def _annealing(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    return _cosine(base, _least(config, base), progress / end)


def _flat(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    start = round(config.get("start_percent", 0.75) * end)
    if progress < start:
        return base
    return _cosine(base, _least(config, base), (progress - start) / (end - start))


def _poly(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    least = config.get("min_lr", 0.0)
    return (base - least) * (1 - progress / end) ** config.get("power", 1.0) + least


def _linear(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    return base + (_least(config, base) - base) * progress / end


def _restart(config: Mapping[str, Any], base: float, progress: int, end: int) -> float:
    begin = 0
    for period, weight in zip(config["periods"], config.get("restart_weights", [1]), strict=True):
        if progress < begin + period:
            return _cosine(base, _least(config, base), (progress - begin) / period, weight)
        begin += period
    raise ValueError(progress)


def _yolox(config: Mapping[str, Any], base: float, iteration: int, total: int, epoch_length: int) -> float:
    warmup, last = config["warmup_iters"] * epoch_length, config["num_last_epochs"] * epoch_length
    if iteration < warmup:
        return base * ((iteration + 1) / warmup) ** 2
    if iteration + 1 >= total - last:
        return _least(config, base)
    return _cosine(base, _least(config, base), (iteration + 1 - warmup) / (total - warmup - last))


_POLICIES = {
    "fixed": lambda config, base, progress, end: base,
    "step": _step,
    "CosineAnnealing": _annealing,
    "FlatCosineAnnealing": _flat,
    "poly": _poly,
    "LinearAnnealing": _linear,
    "exp": lambda config, base, progress, end: base * config["gamma"] ** progress,
    "CosineRestart": _restart,
}
