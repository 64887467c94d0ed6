"""The policies of ``lr_config`` and ``momentum_config``: their settings, with MMCV 1.x's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.notes import Settings

__all__ = ["Policy", "Warmup", "policy_named", "read_policy", "read_warmup"]

# What each policy takes, beside min_lr and min_lr_ratio; the defaults of mmcv.runner.hooks.lr_updater.
_POLICIES: dict[str, dict[str, Any]] = {
    "fixed": {},
    "step": {"step": ..., "gamma": 0.1},
    "exp": {"gamma": ...},
    "poly": {"power": 1.0},
    "inv": {"gamma": ..., "power": 1.0},
    "CosineAnnealing": {},
    "LinearAnnealing": {},
    "FlatCosineAnnealing": {"start_percent": 0.75},
    "CosineRestart": {"periods": ..., "restart_weights": (1,)},
    "Cyclic": {
        "target_ratio": (10, 1e-4),
        "cyclic_times": 1,
        "step_ratio_up": 0.4,
        "anneal_strategy": "cos",
        "gamma": 1,
    },
    "OneCycle": {
        "total_steps": None,
        "pct_start": 0.3,
        "anneal_strategy": "cos",
        "div_factor": 25,
        "final_div_factor": 1e4,
        "three_phase": False,
    },
    "YOLOX": {"num_last_epochs": 0},
    "ReduceLrOnPlateau": {},
}
_MOMENTUM: dict[str, dict[str, Any]] = {"step": {"gamma": 0.5}, "Cyclic": {"target_ratio": (0.85 / 0.95, 1)}}
_WITH_MINIMUM = (
    *("step", "poly", "CosineAnnealing", "LinearAnnealing", "FlatCosineAnnealing", "CosineRestart", "YOLOX"),
)
_ALWAYS_BY_ITERATION = ("Cyclic", "OneCycle")
_OTHER_NAMES = {"cosine": "CosineAnnealing"}


@dataclass(frozen=True)
class Policy:
    """A policy with its settings.

    Attributes:
        name: As MMCV 1.x has it.
        settings: Their names without ``_lr`` and ``_momentum``; those that say nothing are left out.
        by_epoch: Whether it counts epochs.
    """

    name: str
    settings: dict[str, Any]
    by_epoch: bool

    @property
    def minimum(self) -> bool:
        """Whether it has a lower bound above 0 (``min_lr``, ``min_lr_ratio`` or those of momentum)."""
        return bool(self.settings.get("min") or self.settings.get("min_ratio"))


@dataclass(frozen=True)
class Warmup:
    """A warm-up that changes the value.

    Attributes:
        kind: ``constant``, ``linear`` or ``exp``.
        steps: How many iterations or epochs it takes.
        ratio: The factor with which it begins.
        by_epoch: Whether ``steps`` are epochs.
    """

    kind: str
    steps: int
    ratio: float
    by_epoch: bool


def policy_named(text: str) -> str | None:
    """The policy of ``lr_config`` with this name, as MMCV 1.x writes it; None if it has none.

    Args:
        text: The name in any letter case, with or without underscores: ``Step``, ``cosineannealing``.
    """
    plain = text.lower().replace("_", "")
    names = {name.lower(): name for name in _POLICIES} | _OTHER_NAMES
    return names.get(plain)


def read_policy(name: str, settings: Settings, by_epoch: bool, *, momentum: bool, rate: Any) -> Policy:
    """Take a policy's settings out of a config.

    Args:
        name: One that `policy_named` gives.
        settings: ``lr_config`` or ``momentum_config``; what is read is taken out.
        by_epoch: Whether the policy counts epochs if it may choose and the config says nothing.
        momentum: Whether the config is ``momentum_config``.
        rate: The optimizer's learning rate, for a one-cycle policy without ``max_lr``; None if unknown.

    Raises:
        ConfigError: A setting is missing without which 2.x refused the policy, or has a value that it
            refused; or two do not fit together.
    """
    if name in _ALWAYS_BY_ITERATION:
        by_epoch = False
    chosen = settings.take("by_epoch")
    by_epoch = by_epoch if chosen is None else bool(chosen)
    defaults = {**_POLICIES[name], **(_MOMENTUM.get(name, {}) if momentum else {})}
    found: dict[str, Any] = {}
    for key, default in defaults.items():
        value = settings.take(key, default)
        if value is ... or (value is None and default is not None):
            raise _missing(key, settings.key)
        found[key] = value
    unit = "momentum" if momentum else "lr"
    if name in _WITH_MINIMUM:
        found |= {"min": settings.take(f"min_{unit}"), "min_ratio": settings.take(f"min_{unit}_ratio")}
    if name == "OneCycle":
        found |= _one_cycle(settings, momentum, rate)
    if name == "step":
        _check_steps(found["step"], settings.key)
    if name == "Cyclic":
        found["target_ratio"] = _ratios(found["target_ratio"])
    if name == "CosineRestart":
        found = {
            **found,
            "periods": list(found["periods"]),
            "restart_weights": list(found["restart_weights"]),
        }
        if len(found["periods"]) != len(found["restart_weights"]):
            raise ConfigError(
                f"{len(found['periods'])} periods but {len(found['restart_weights'])} restart_weights",
                where=f"config key '{settings.key}'",
                advice="give a weight for each period",
            )
    return Policy(name, {key: value for key, value in found.items() if value is not None}, by_epoch)


def _missing(name: str, key: str) -> ConfigError:
    return ConfigError(
        f"{key}.{name} is missing",
        where=f"config key '{key}'",
        advice=f"add {name}=...: its policy asks for it, in MMDetection 2.x too",
    )


def _check_steps(value: Any, key: str) -> None:
    each = value if isinstance(value, (list, tuple)) else [value]
    if any(not isinstance(step, int) or isinstance(step, bool) or step <= 0 for step in each):
        raise ConfigError(
            f"{key}.step is {value!r}: it counts epochs or iterations",
            where=f"config key '{key}.step'",
            advice="write one positive whole number, or a list of them",
        )


def _one_cycle(settings: Settings, momentum: bool, rate: Any) -> dict[str, Any]:
    if momentum:
        return {"base": settings.take("base_momentum", 0.85), "max": settings.take("max_momentum", 0.95)}
    highest = settings.take("max_lr")
    if (highest := rate if highest is None else highest) is None:
        raise _missing("max_lr", settings.key)
    return {"max": highest}


def _ratios(value: Any) -> tuple[float, float]:
    """The highest and the lowest, as parts of the base value; MMCV 1.x took one number too."""
    values = [value] if isinstance(value, (int, float)) else list(value)
    return (values[0], values[1] if len(values) > 1 else values[0] / 1e5)


def read_warmup(settings: Settings) -> Warmup | None:
    """Take the warm-up out of a config; None if there is none, or one that changes nothing.

    Args:
        settings: ``lr_config`` or ``momentum_config``; what is read is taken out.
    """
    take = settings.take
    kind, steps = take("warmup"), take("warmup_iters", 0)
    ratio, by_epoch = take("warmup_ratio", 0.1), bool(take("warmup_by_epoch", False))
    if kind is None or not steps or ratio == 1:
        return None
    if kind not in ("constant", "linear", "exp"):
        settings.notes.dropped(settings.at("warmup"), "dropped", "unknown to mmcv 1.x too", old=kind)
        return None
    return Warmup(str(kind), steps, ratio, by_epoch)
