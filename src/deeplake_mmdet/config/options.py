"""``--cfg-options`` as MMDetection's tools read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import is_secret_name

__all__ = ["OF_LEGACY", "parse_options"]

#: Settings of 2.x: options with these keys change a 2.x config before it is converted.
OF_LEGACY = (
    *("model", "data", "optimizer", "optimizer_config", "lr_config", "momentum_config", "runner", "fp16"),
    *("total_epochs", "evaluation", "checkpoint_config", "log_config", "workflow", "dist_params", "seed"),
    *("resume_from", "train_pipeline", "test_pipeline", "custom_hooks", "cudnn_benchmark"),
)


def parse_options(items: Sequence[str] | None) -> dict[str, Any]:
    """Read ``key=value`` pairs: numbers, booleans, ``None``, ``[a,b]`` lists and ``(a,b)`` tuples.

    Unlike with MMDetection's tools, texts keep their spaces: they may be paths and queries.

    Raises:
        ConfigError: An item has no key or no ``=``, or its brackets do not match.
    """
    found: dict[str, Any] = {}
    key = text = ""
    for item in items or ():
        # What stands behind a blank may be a secret, or the rest of one; and that may hold an equals sign.
        of_secret, empty, before = is_secret_name(key.rpartition(".")[2]), not text, key
        key, equals, text = item.partition("=")
        split = of_secret and empty and "." not in key
        if not key or not equals or key.startswith("-") or split:
            shown = f"{before}=..." if of_secret else item
            raise _refuse(shown, "write key=value without blanks, e.g. train_cfg.max_epochs=5")
        found[key] = _value(key, text)
    return found


def _value(key: str, text: str) -> Any:
    from mmengine.config import DictAction

    try:
        value = DictAction._parse_iterable(text)
    except AssertionError:
        shown = "..." if is_secret_name(key.rpartition(".")[2]) else text
        raise _refuse(f"{key}={shown}", "close every bracket") from None
    return text.strip("'\"") if isinstance(value, str) else value


def _refuse(item: str, advice: str) -> ConfigError:
    return ConfigError(f"Not an option: {item!r}", where="--cfg-options", advice=advice)
