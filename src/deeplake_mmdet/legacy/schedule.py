"""``lr_config`` and ``momentum_config`` -> ``param_scheduler``.

2.x computed a value from the progress; 3.x multiplies the last value step by step. Where the products cannot
give the old formula exactly, a note says so. Two adjustments look odd and are meant: a 3.x linear scheduler
reaches its end one step before ``end``, so ``end`` is one more than the number of steps; and where a curve
has to begin one iteration before an epoch, ``begin`` is a little less than that epoch, because mmengine
multiplies it by the epoch's length and rounds down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["Loop", "convert_schedule"]

_JUST_BEFORE = 1e-7  # epochs: one iteration after rounding down, for epochs of up to ten million iterations
_FOREVER = 10**9

Scheduler = dict[str, Any]


@dataclass(frozen=True)
class Loop:
    """How long training takes.

    Attributes:
        by_epoch: Whether the runner counts epochs.
        length: Epochs or iterations.
    """

    by_epoch: bool
    length: int


def convert_schedule(cfg: Mapping[str, Any], loop: Loop, notes: Notebook) -> list[Scheduler]:
    """Make ``param_scheduler`` of ``lr_config`` and ``momentum_config``."""
    rate = (cfg.get("optimizer") or {}).get("lr")
    schedulers = _Converter(cfg.get("lr_config"), "lr_config", "LR", rate, loop, notes).convert()
    if cfg.get("momentum_config"):
        schedulers += _Converter(
            cfg["momentum_config"], "momentum_config", "Momentum", None, loop, notes
        ).convert()
    return schedulers


class _Converter:
    """One of the two configs; ``suffix`` is that of the schedulers' type names."""

    def __init__(
        self, config: Any, key: str, suffix: str, rate: float | None, loop: Loop, notes: Notebook
    ) -> None:
        if (
            isinstance(config, Mapping)
            and "policy" not in config
            and str(config.get("type")).endswith("Hook")
        ):
            name = str(config["type"]).removesuffix("LrUpdaterHook").removesuffix("MomentumUpdaterHook")
            config = {**{name_: value for name_, value in config.items() if name_ != "type"}, "policy": name}
        self.settings = Settings(config, key, notes)
        self.key, self.suffix, self.rate, self.loop, self.notes = key, suffix, rate, loop, notes
        # mmcv's IterBasedRunner made iterations the default.
        self.by_epoch = bool(self.settings.take("by_epoch", loop.by_epoch))

    def convert(self) -> list[Scheduler]:
        """The schedulers, warm-up first."""
        policy = str(self.settings.take("policy", "fixed"))
        # A policy may be written 'step', 'Step', 'CosineAnnealing', 'cosineannealing'.
        make: Callable[[_Converter], list[Scheduler]] | None = _POLICIES.get(policy.lower().replace("_", ""))
        if make is None or (make is _one_cycle and self.suffix == "Momentum"):
            self.notes.dropped(
                f"{self.key}.policy",
                "dropped: the value stays constant",
                "no stock 3.x scheduler has this formula",
                old={"policy": policy, **self.settings.rest()},
            )
            return []
        if make is _yolox:
            schedulers = _yolox(self)
        else:
            warmup = self._warmup()
            schedulers = make(self)
            if any(item.get("eta_min") or item.get("eta_min_ratio") for item in schedulers) and warmup:
                self._note_warmup_with_minimum()
            # A restart sets values rather than multiplying them, so the warm-up has to follow it.
            schedulers = schedulers + warmup if make is _cosine_restart else warmup + schedulers
        self.settings.drop("gamma", "this policy does not use it", harmless=())
        self.settings.drop_rest("3.x schedulers have no such setting")
        return schedulers

    def scheduler(self, kind: str, **settings: Any) -> Scheduler:
        """A scheduler that steps as the policy did: by epoch, by iteration, or by part of an epoch."""
        steps: dict[str, Any] = {"by_epoch": self.by_epoch}
        if self.loop.by_epoch and not self.by_epoch:
            steps = {"by_epoch": True, "convert_to_iter_based": True}
        elif not self.loop.by_epoch and self.by_epoch:
            self.notes.approximated(
                f"{self.key}.by_epoch",
                "counts iterations now",
                "a loop over iterations has no length in epochs; 2.x stepped once per pass over the data",
                old=True,
                new=False,
            )
            steps = {"by_epoch": False}
        return {"type": kind + self.suffix, **steps, **settings}

    def required(self, name: str) -> Any:
        """A setting without which 2.x refused the policy.

        Raises:
            ConfigError: It is missing.
        """
        value = self.settings.take(name)
        if value is None:
            raise ConfigError(
                f"{self.key}.{name} is missing",
                where=f"config key '{self.key}'",
                advice=f"add {name}=...: its policy asks for it, in MMDetection 2.x too",
            )
        return value

    def minimum(self) -> dict[str, Any]:
        """``eta_min`` or ``eta_min_ratio`` of ``min_lr`` or ``min_lr_ratio``."""
        name = "lr" if self.suffix == "LR" else "momentum"
        ratio, least = self.settings.take(f"min_{name}_ratio"), self.settings.take(f"min_{name}")
        if ratio is not None:
            return {"eta_min_ratio": ratio}
        return {"eta_min": least if least is not None else 0.0}

    def _warmup(self) -> list[Scheduler]:
        take = self.settings.take
        kind, steps = take("warmup"), take("warmup_iters", 0)
        ratio, in_epochs = take("warmup_ratio", 0.1), take("warmup_by_epoch", False)
        if kind is None or not steps or ratio == 1:
            return []
        if self.suffix == "Momentum":
            self.notes.dropped(
                f"{self.key}.warmup",
                "dropped",
                "2.x divided the momentum by the ratio, 3.x can only multiply",
                old=kind,
            )
            return []
        span: dict[str, Any] = {"by_epoch": False, "begin": 0, "end": steps + 1}
        if in_epochs:
            span = {"by_epoch": True, "convert_to_iter_based": True, "begin": 0, "end": steps}
            self.notes.approximated(
                f"{self.key}.warmup_by_epoch",
                "the warm-up ends one iteration early",
                "3.x reaches the end one step before 'end', which counts whole epochs here",
            )
        elif self.loop.by_epoch is False and steps >= self.loop.length:
            self.notes.info(f"{self.key}.warmup_iters", "the warm-up is as long as the training", old=steps)
        if kind == "linear":
            return [{"type": "LinearLR", "start_factor": ratio, **span}]
        if kind == "constant":
            return [{"type": "ConstantLR", "factor": ratio, **span}]
        if kind == "exp" and not in_epochs:
            return [
                {"type": "ConstantLR", "factor": ratio, "by_epoch": False, "begin": 0, "end": _FOREVER},
                {"type": "ExponentialLR", "gamma": ratio ** (-1 / steps), **span},
            ]
        if kind == "exp":
            self.notes.approximated(
                f"{self.key}.warmup",
                "becomes linear",
                "the factor per step depends on the epoch's length",
                old=kind,
            )
            return [{"type": "LinearLR", "start_factor": ratio, **span}]
        self.notes.dropped(f"{self.key}.warmup", "dropped", "unknown to mmcv 1.x too", old=kind)
        return []

    def _note_warmup_with_minimum(self) -> None:
        self.notes.approximated(
            self.key,
            "warm-up and a curve with a minimum overlap",
            "2.x multiplied the curve and its minimum by the warm-up; 3.x applies both step by step. "
            "Exact if the curve steps by epoch and the warm-up ends within the first; else the difference is "
            "at most the minimum times the part of the curve that passes during the warm-up",
        )


def _step(converter: _Converter) -> list[Scheduler]:
    steps, gamma = converter.required("step"), converter.settings.take("gamma", 0.1)
    converter.settings.drop("min_lr", "3.x step schedulers have no lower limit", harmless=(None, 0, 0.0))
    converter.settings.drop(
        "min_momentum", "3.x step schedulers have no lower limit", harmless=(None, 0, 0.0)
    )
    # Milestones are counted in the policy's own unit, so iterations stay iterations with an epoch runner.
    common: dict[str, Any] = {"by_epoch": converter.by_epoch, "begin": 0, "gamma": gamma}
    if not converter.loop.by_epoch and converter.by_epoch:
        common["by_epoch"] = converter.scheduler("Step")["by_epoch"]
    if converter.by_epoch == converter.loop.by_epoch:
        common["end"] = converter.loop.length
    if isinstance(steps, (list, tuple)):
        return [{"type": f"MultiStep{converter.suffix}", **common, "milestones": list(steps)}]
    return [{"type": f"Step{converter.suffix}", **common, "step_size": steps}]


def _fixed(_: _Converter) -> list[Scheduler]:
    return []


def _cosine(converter: _Converter) -> list[Scheduler]:
    length = converter.loop.length
    return [converter.scheduler("CosineAnnealing", begin=0, end=length, T_max=length, **converter.minimum())]


def _flat_cosine(converter: _Converter) -> list[Scheduler]:
    length = converter.loop.length
    exact = converter.settings.take("start_percent", 0.75) * length
    start = round(exact)
    if converter.loop.by_epoch and not converter.by_epoch and start != exact:
        converter.notes.approximated(
            f"{converter.key}.start_percent",
            "rounded to whole epochs",
            "2.x rounded to iterations",
            new=start,
        )
    return [
        converter.scheduler(
            "CosineAnnealing", begin=start, end=length, T_max=length - start, **converter.minimum()
        )
    ]


def _poly(converter: _Converter) -> list[Scheduler]:
    power = converter.settings.take("power", 1.0)
    least = converter.settings.take("min_lr", converter.settings.take("min_momentum", 0.0))
    poly = converter.scheduler("Poly", power=power, eta_min=least, begin=0, end=converter.loop.length + 1)
    if poly.get("convert_to_iter_based"):
        poly["end"] = converter.loop.length
        _note_early_end(converter)
    return [poly]


def _linear(converter: _Converter) -> list[Scheduler]:
    minimum = converter.minimum()
    if "eta_min" in minimum:
        converter.settings = Settings(
            {**converter.settings.rest(), "min_lr": minimum["eta_min"]}, converter.key, converter.notes
        )
        return _poly(converter)
    line = converter.scheduler(
        "Linear",
        start_factor=1.0,
        end_factor=minimum["eta_min_ratio"],
        begin=0,
        end=converter.loop.length + 1,
    )
    if line.get("convert_to_iter_based"):
        line["end"] = converter.loop.length
        _note_early_end(converter)
    return [line]


def _exp(converter: _Converter) -> list[Scheduler]:
    gamma = converter.required("gamma")
    exp: Scheduler = {
        "type": f"Exponential{converter.suffix}",
        "by_epoch": converter.by_epoch,
        "gamma": gamma,
    }
    return [exp if converter.loop.by_epoch or not converter.by_epoch else {**exp, "by_epoch": False}]


def _cosine_restart(converter: _Converter) -> list[Scheduler]:
    minimum = converter.minimum()
    weights = list(converter.settings.take("restart_weights", [1]))
    if any(minimum.values()) and any(weight != 1 for weight in weights):
        converter.notes.approximated(
            f"{converter.key}.restart_weights",
            "cycles begin at weight times the base value",
            "2.x weighted the distance to the minimum only",
            old=weights,
        )
    periods = list(converter.required("periods"))
    # Periods are in the policy's own unit.
    restart: Scheduler = {"type": f"CosineRestart{converter.suffix}", "by_epoch": converter.by_epoch}
    return [
        {
            **restart,
            "periods": periods,
            "restart_weights": weights,
            "begin": 0,
            "end": sum(periods),
            **minimum,
        }
    ]


def _one_cycle(converter: _Converter) -> list[Scheduler]:
    take = converter.settings.take
    peak = take("max_lr", converter.rate)
    take("by_epoch")
    converter.by_epoch = False
    cycle = converter.scheduler("OneCycle", eta_max=peak, begin=0, end=converter.loop.length)
    cycle["total_steps"] = take("total_steps") or converter.loop.length
    cycle |= converter.settings.move(
        "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase"
    )
    return [cycle]


def _plateau(converter: _Converter) -> list[Scheduler]:
    converter.notes.approximated(
        f"{converter.key}.policy",
        "becomes ReduceOnPlateau",
        "it watches the first metric unless 'monitor' is set",
    )
    names = (
        "monitor",
        "rule",
        "factor",
        "patience",
        "threshold",
        "threshold_rule",
        "cooldown",
        "min_value",
        "eps",
    )
    return [
        {"type": f"ReduceOnPlateau{converter.suffix}", "by_epoch": True, **converter.settings.move(*names)}
    ]


def _yolox(converter: _Converter) -> list[Scheduler]:
    """Quadratic warm-up, a cosine that runs one iteration ahead, and a constant end."""
    take, loop = converter.settings.take, converter.loop
    warmup, last = take("warmup_iters", 0), take("num_last_epochs", 0)
    take("warmup"), take("warmup_by_epoch")
    ratio = take("warmup_ratio", 1)
    if ratio != 1:
        converter.notes.dropped(
            f"{converter.key}.warmup_ratio", "taken as 1", "QuadraticWarmupLR has none", old=ratio
        )
    minimum, length = converter.minimum(), loop.length
    if not loop.by_epoch:
        converter.notes.approximated(
            f"{converter.key}.num_last_epochs",
            "dropped",
            "the length of an epoch is not known here",
            old=last,
        )
        last = 0
    steps = {"by_epoch": True, "convert_to_iter_based": True} if loop.by_epoch else {"by_epoch": False}
    begin = warmup - (_JUST_BEFORE if loop.by_epoch else 1) if warmup else 0
    quadratic = {"type": f"mmdet.QuadraticWarmup{converter.suffix}", **steps, "begin": 0, "end": warmup}
    cosine = {
        "type": f"CosineAnnealing{converter.suffix}",
        **steps,
        "begin": begin,
        "end": length - last,
        "T_max": length - last - warmup,
        **minimum,
    }
    return [quadratic, cosine] if warmup else [cosine]


def _note_early_end(converter: _Converter) -> None:
    converter.notes.approximated(
        converter.key, "the curve ends one iteration early", "3.x counts its end in whole epochs here"
    )


_POLICIES: dict[str, Callable[[_Converter], list[Scheduler]]] = {
    "step": _step,
    "fixed": _fixed,
    "cosineannealing": _cosine,
    "cosine": _cosine,
    "flatcosineannealing": _flat_cosine,
    "poly": _poly,
    "linearannealing": _linear,
    "exp": _exp,
    "cosinerestart": _cosine_restart,
    "onecycle": _one_cycle,
    "reducelronplateau": _plateau,
    "yolox": _yolox,
}
