"""Detectors and their parts as scripts build, wrap and prepare them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel

from deeplake_mmdet.errors import ConfigError

__all__ = [
    "MMDataParallel",
    "build_backbone",
    "build_ddp",
    "build_dp",
    "build_head",
    "build_loss",
    "build_neck",
    "build_roi_extractor",
    "build_shared_head",
    "rfnext_init_model",
    "unwrapped",
    "wrap_fp16_model",
]

_log = logging.getLogger("deeplake_mmdet")


class MMDataParallel(torch.nn.Module):
    """A detector on one device, behind ``.module``.

    Args:
        module: The detector.
        device_ids: The first is its GPU; without any GPU it stays on the CPU.
        kwargs: Not used.
    """

    def __init__(self, module: torch.nn.Module, device_ids: Any = None, **kwargs: Any) -> None:
        super().__init__()
        del kwargs
        if torch.cuda.is_available() and (device_ids is None or len(device_ids)):
            module = module.to(f"cuda:{next(iter(device_ids), 0) if device_ids is not None else 0}")
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the detector.

        Args:
            args, kwargs: Those of the detector's ``forward``.
        """
        return self.module(*args, **kwargs)


def unwrapped(model: Any) -> Any:
    """The detector inside of a wrapper such as `MMDataParallel`.

    Args:
        model: A wrapper, or the detector itself.
    """
    return getattr(model, "module", model)


def build_dp(model: Any, device: str = "cuda", dim: int = 0, *args: Any, **kwargs: Any) -> MMDataParallel:
    """The detector on one device, as MMDetection 2.x's function of this name gives it.

    Args:
        model: The detector.
        device: ``'cuda'`` or ``'cpu'``.
        dim: Not used.
        args: Not used.
        kwargs: ``device_ids``.
    """
    del dim, args
    if device == "cpu":
        kwargs["device_ids"] = []
    return MMDataParallel(model, **kwargs)


def build_ddp(model: Any, device: str = "cuda", *args: Any, **kwargs: Any) -> Any:
    """The detector in several processes, as MMDetection 2.x's function of this name gives it.

    Args:
        model: The detector.
        device: ``'cuda'`` or ``'cpu'``.
        args: Further arguments of torch's ``DistributedDataParallel``, by place.
        kwargs: Further arguments of torch's ``DistributedDataParallel``, by name.
    """
    if device == "cpu":
        kwargs["device_ids"] = None
        return MMDistributedDataParallel(model, *args, **kwargs)
    return MMDistributedDataParallel(model.cuda(), *args, **kwargs)


def wrap_fp16_model(model: Any) -> None:
    """Tell that the detector is tested in float32: 3.x computes in mixed precision while training only.

    Args:
        model: Not changed.
    """
    del model
    _log.info("wrap_fp16_model: the detector is tested in float32, which is at least as exact")


def rfnext_init_model(detector: Any, cfg: Mapping[str, Any]) -> None:
    """Do nothing for a config without ``RFSearchHook``, which nothing here replaces.

    Args:
        detector: Not changed.
        cfg: The config.

    Raises:
        ConfigError: It has that hook.
    """
    del detector
    for number, hook in enumerate(cfg.get("custom_hooks") or ()):
        if hook.get("type") == "RFSearchHook":
            raise ConfigError(
                "The structure that RFSearchHook searched cannot be built by an old script",
                where=f"config key 'custom_hooks[{number}]'",
                advice="write the found dilations into the model, and leave the hook out",
            )


def _part(cfg: Mapping[str, Any]) -> Any:
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build(cfg)


build_backbone = build_head = build_loss = build_neck = build_roi_extractor = build_shared_head = _part
