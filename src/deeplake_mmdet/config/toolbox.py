"""Refusing 3.x configs of toolboxes whose models are no detectors; those of 2.x are `legacy`'s business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["check_toolbox"]

# By their scope in MMEngine's registries. Those that train detectors on boxes (mmyolo, mmrotate) may pass.
_OTHERS = {
    "mmseg": "mmsegmentation",
    "mmpose": "mmpose",
    "mmpretrain": "mmpretrain",
    "mmcls": "mmclassification",
    "mmaction": "mmaction2",
    "mmocr": "mmocr",
    "mmdet3d": "mmdetection3d",
    "mmagic": "mmagic",
    "mmedit": "mmediting",
}


def check_toolbox(content: Mapping[str, Any]) -> None:
    """Refuse a config whose default scope is that of another toolbox.

    Raises:
        ConfigError: Naming the toolbox.
    """
    toolbox = _OTHERS.get(str(content.get("default_scope")))
    if toolbox is not None:
        raise ConfigError(
            f"This config is for {toolbox}, not for MMDetection",
            where=f"config key 'default_scope'={content['default_scope']!r}",
            advice="use a detection config",
        )
