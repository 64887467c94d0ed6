"""``lr_config`` and ``momentum_config`` -> ``param_scheduler``.

Stock 3.x schedulers where they give MMCV 1.x's value at every step, else ours, which computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deeplake_mmdet.legacy.notes import Notebook, Settings
from deeplake_mmdet.legacy.schedules.policies import Policy, Warmup, policy_named, read_policy, read_warmup
from deeplake_mmdet.legacy.schedules.stock_schedulers import Scheduler, stock_schedulers

__all__ = ["Loop", "convert_schedule"]

_FOREVER = 10**9  # mmengine's own mark of no end, which it does not multiply by the epoch's length
_WHY_OURS = "the products of stock 3.x schedulers do not give its formula at every step"
_FOR_A_PASS = ("CosineAnnealing", "LinearAnnealing", "FlatCosineAnnealing", "poly", "YOLOX")


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
    """Make ``param_scheduler`` of ``lr_config`` and ``momentum_config``.

    Args:
        cfg: A whole 2.x config; also the optimizer's ``lr`` is read.
        loop: How long it trains.
        notes: Where remarks go.

    Raises:
        ConfigError: A setting of the policy is missing, or has a value that 2.x refused.
    """
    rate = (cfg.get("optimizer") or {}).get("lr")
    schedulers = _convert(cfg.get("lr_config"), "lr_config", rate, loop, notes)
    if cfg.get("momentum_config"):
        schedulers += _convert(cfg["momentum_config"], "momentum_config", None, loop, notes)
    return schedulers


def _convert(config: Any, key: str, rate: Any, loop: Loop, notes: Notebook) -> list[Scheduler]:
    if isinstance(config, Mapping) and "policy" not in config and str(config.get("type")).endswith("Hook"):
        hook = str(config["type"]).removesuffix("LrUpdaterHook").removesuffix("MomentumUpdaterHook")
        config = {**{name_: value for name_, value in config.items() if name_ != "type"}, "policy": hook}
    settings = Settings(config, key, notes)
    momentum = key == "momentum_config"
    suffix = "Momentum" if momentum else "LR"
    written = str(settings.take("policy", "fixed"))
    name = policy_named(written)
    if name is None:
        notes.dropped(
            f"{key}.policy",
            "dropped: the value stays constant",
            "no policy of mmcv 1.x has this name",
            old={"policy": written, **settings.rest()},
        )
        return []
    if name == "ReduceLrOnPlateau":
        return [_plateau(settings, suffix)]
    # mmcv's IterBasedRunner made iterations the default, but for momenta.
    policy = read_policy(name, settings, loop.by_epoch or momentum, momentum=momentum, rate=rate)
    warmup = None
    if name == "YOLOX":
        warm = {"warmup": bool(settings.take("warmup")), "warmup_steps": settings.take("warmup_iters", 0)}
        warm["warmup_ratio"] = settings.take("warmup_ratio", 0.1)
        warm["warmup_by_epoch"] = bool(settings.take("warmup_by_epoch", False))
        policy = Policy(name, {**policy.settings, **warm}, policy.by_epoch)
    else:
        warmup = read_warmup(settings)
    settings.drop("gamma", "this policy does not use it", harmless=())
    settings.drop_rest("no policy of this kind has such a setting")
    if policy.by_epoch and not loop.by_epoch and (warmup is not None or name != "fixed"):
        _note_passes(policy, key, notes)
    stock = stock_schedulers(policy, warmup, suffix, epochs=loop.by_epoch, length=loop.length)
    if stock is not None:
        return stock
    made = _ours(policy, warmup, suffix, loop)
    notes.info(f"{key}.policy", f"becomes {made['type']}", _WHY_OURS, old=written)
    return [made]


def _ours(policy: Policy, warmup: Warmup | None, suffix: str, loop: Loop) -> Scheduler:
    made: Scheduler = {"type": f"deeplake_mmdet.Policy{suffix}", "policy": policy.name}
    made["settings"] = policy.settings
    if warmup is not None:
        made["warmup"] = asdict(warmup)
    made |= {"max_epochs": loop.length} if loop.by_epoch else {"max_iters": loop.length}
    if policy.by_epoch:
        made["counts_epochs"] = True
    in_epochs = policy.by_epoch or loop.by_epoch or policy.name == "YOLOX"
    if in_epochs or (warmup is not None and warmup.by_epoch):
        made |= {"by_epoch": True, "convert_to_iter_based": True}  # tells it the length of an epoch
    else:
        made["by_epoch"] = False
    return {**made, "begin": 0, "end": _FOREVER}


def _note_passes(policy: Policy, key: str, notes: Notebook) -> None:
    length = " The training's length in passes is max_iters over their length" * (policy.name in _FOR_A_PASS)
    notes.approximated(
        f"{key}.by_epoch",
        "the value steps once per pass over the data",
        "mmcv 1.x's IterBasedRunner counted passes, but never told its updaters that one begins: there the "
        f"value stayed as it was.{length} Set by_epoch=False to step by iteration",
        old=True,
    )


def _plateau(settings: Settings, suffix: str) -> Scheduler:
    what = "becomes ReduceOnPlateau"
    settings.notes.approximated(
        settings.at("policy"), what, "it watches the first metric unless 'monitor' is set"
    )
    names = ("monitor", "rule", "factor", "patience", "threshold", "threshold_rule", "cooldown", "min_value")
    made = {"type": f"ReduceOnPlateau{suffix}", "by_epoch": True, **settings.move(*names, "eps")}
    settings.take("by_epoch")
    settings.drop_rest("3.x schedulers have no such setting")
    return made
