"""Keys that MMDetection 2.x's own files always gave a config, and that scripts read."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.legacy.lakes import is_lake

__all__ = ["completed", "test_as_val"]


def completed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A 2.x config with the keys that ``configs/_base_/default_runtime.py`` of MMDetection 2.x gave it.

    A config whose base is not here lacks them, and ``tools/train.py`` reads ``cfg.workflow``. None of the
    values changes what the config means.

    Args:
        content: Of a 2.x config; not changed.
    """
    usual: dict[str, Any] = {
        "checkpoint_config": {"interval": 1},
        "dist_params": {"backend": "nccl"},
        "load_from": None,
        "log_config": {"interval": 50, "hooks": [{"type": "TextLoggerHook"}]},
        "log_level": "INFO",
        "resume_from": None,
        "workflow": [("train", 1)],
    }
    return {**{key: value for key, value in usual.items() if key not in content}, **content}


def test_as_val(cfg: Config) -> None:
    """Let ``data.test`` be ``data.val`` where only the latter reads a lake, as the conversion does.

    ``tools/test.py`` builds ``cfg.data.test``. It is the very same object, so that what a script changes in
    the one is changed in the other.

    Args:
        cfg: Of 2.x; changed.
    """
    data = cfg.get("data")
    if isinstance(data, MutableMapping) and is_lake(data.get("val")) and not is_lake(data.get("test")):
        data["test"] = data["val"]
