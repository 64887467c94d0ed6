"""``--cfg-options`` as MMDetection's tools read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["parse_options"]


def parse_options(items: Sequence[str] | None) -> dict[str, Any]:
    """Read ``key=value`` pairs: numbers, booleans, ``None``, ``[a,b]`` lists and ``(a,b)`` tuples.

    Unlike with MMDetection's tools, texts keep their spaces: they may be paths and queries.

    Raises:
        ConfigError: An item has no key or no ``=``, or its brackets do not match.
    """
    found = {}
    for item in items or ():
        key, equals, text = item.partition("=")
        if not key or not equals or key.startswith("-"):
            raise _refuse(item, "write key=value, e.g. train_cfg.max_epochs=5")
        found[key] = _value(item, text)
    return found


def _value(item: str, text: str) -> Any:
    from mmengine.config import DictAction

    try:
        value = DictAction._parse_iterable(text)
    except AssertionError:
        raise _refuse(item, "close every bracket") from None
    return text.strip("'\"") if isinstance(value, str) else value


def _refuse(item: str, advice: str) -> ConfigError:
    return ConfigError(f"Not an option: {item!r}", where="--cfg-options", advice=advice)
