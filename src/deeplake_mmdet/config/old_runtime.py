"""Keys that MMDetection 2.x's own files always gave a config, and that scripts read."""

from __future__ import annotations

from collections.abc import MutableMapping
from copy import deepcopy
from typing import Any

from deeplake_mmdet.legacy import is_legacy
from deeplake_mmdet.legacy.datasets.lakes import is_lake

__all__ = ["add_usual"]

_USUAL: dict[str, Any] = {
    "checkpoint_config": {"interval": 1},
    "dist_params": {"backend": "nccl"},
    "load_from": None,
    "log_config": {"interval": 50, "hooks": [{"type": "TextLoggerHook"}]},
    "log_level": "INFO",
    "resume_from": None,
    "workflow": [("train", 1)],
}


def add_usual(cfg: MutableMapping[str, Any], name: str) -> None:
    """Give a 2.x config a key that a script asks for, as MMDetection 2.x's files gave it.

    A config whose base is not here lacks those of ``configs/_base_/default_runtime.py``, and
    ``tools/train.py`` reads ``cfg.workflow``; none changes what the config means. ``tools/test.py`` builds
    ``cfg.data.test``: where only ``data.val`` reads a lake, it is that, as in the conversion, and the very
    same object, so that what a script changes in the one is changed in the other.

    Args:
        cfg: The config's content; changed.
        name: The key that is asked for.
    """
    if name in _USUAL and name not in cfg and is_legacy(cfg):
        cfg[name] = deepcopy(_USUAL[name])
    data = cfg.get("data") if name == "data" else None
    if isinstance(data, MutableMapping) and is_lake(data.get("val")) and not is_lake(data.get("test")):
        data["test"] = data["val"]
