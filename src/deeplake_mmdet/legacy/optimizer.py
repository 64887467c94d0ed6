"""Optimizer, gradient clipping, accumulation and mixed precision -> ``optim_wrapper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["convert_optimizer"]

_MIXED = ("Fp16OptimizerHook", "GradientCumulativeFp16OptimizerHook")
_PLAIN = (None, "OptimizerHook", "DistOptimizerHook", "GradientCumulativeOptimizerHook", *_MIXED)


def convert_optimizer(cfg: Mapping[str, Any], notes: Notebook) -> dict[str, Any]:
    """Make ``optim_wrapper`` of ``optimizer``, ``optimizer_config`` and ``fp16``.

    Args:
        cfg: A whole 2.x config.
        notes: Where remarks go.

    Raises:
        ConfigError: There are several optimizers, as for GANs.
    """
    optimizer = dict(cfg.get("optimizer") or {})
    if (
        optimizer
        and "type" not in optimizer
        and all(isinstance(value, Mapping) for value in optimizer.values())
    ):
        raise ConfigError(
            "Several optimizers cannot be converted",
            where=f"config key 'optimizer': {', '.join(map(str, optimizer))}",
            advice="write the 3.x optim_wrapper by hand",
        )
    paramwise = optimizer.pop("paramwise_cfg", optimizer.pop("paramwise_options", None))
    constructor = optimizer.pop("constructor", None)
    settings = Settings(cfg.get("optimizer_config"), "optimizer_config", notes)
    wrapper: dict[str, Any] = {"type": "OptimWrapper", "optimizer": optimizer}
    kind = settings.take("type")
    wrapper |= _precision(cfg, settings, kind, notes)
    if kind not in _PLAIN:
        why = "3.x has no optimizer hooks: what one of the user's own or of a fork did otherwise is lost"
        notes.approximated("optimizer_config.type", f"becomes {wrapper['type']}", why, old=kind)
    if paramwise:
        wrapper["paramwise_cfg"] = paramwise
    if constructor and constructor != "DefaultOptimizerConstructor":
        wrapper["constructor"] = constructor
    if clip := settings.take("grad_clip"):
        wrapper["clip_grad"] = clip
    steps = settings.take("cumulative_iters") or settings.take("update_interval") or 1
    if steps > 1:
        wrapper["accumulative_counts"] = steps
    settings.drop(
        "detect_anomalous_params",
        "set find_unused_parameters=True to find such parameters",
        harmless=(None, False),
    )
    for name in ("coalesce", "bucket_size_mb", "bucket_size", "distributed"):
        settings.drop(name, "torch's DistributedDataParallel moves gradients between processes")
    for name in ("use_fp16", "update_interval"):
        settings.take(name)  # read above
    settings.drop_rest("3.x has no such setting of the optimizer hook")
    return wrapper


def _precision(cfg: Mapping[str, Any], hook: Settings, kind: Any, notes: Notebook) -> dict[str, Any]:
    settings = Settings(cfg.get("fp16"), "fp16", notes)
    apex = hook.take("use_fp16") and cfg.get("fp16") is None and kind not in _MIXED
    if not apex and cfg.get("fp16") is None and kind not in _MIXED:
        return {}
    # apex chose its scale while it trained, MMCV's hook took 512.
    scale = settings.take("loss_scale", hook.take("loss_scale", "dynamic" if apex else 512.0))
    settings.drop_rest("AmpOptimWrapper knows loss_scale only")
    if apex:
        why = "apex is torch's own mixed precision now; it needs a GPU"
        notes.info("optimizer_config.use_fp16", "becomes AmpOptimWrapper", why, old=True, new=scale)
    else:
        notes.info("fp16", "becomes AmpOptimWrapper", "it needs a GPU", old=scale)
    if isinstance(scale, (int, float)) and not isinstance(scale, bool):
        scale = float(scale)
    return {"type": "AmpOptimWrapper", "loss_scale": scale}
