"""``--cfg-options`` as MMDetection's tools read them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["parse_options"]


def parse_options(items: Sequence[str] | None) -> dict[str, Any]:
    """Read ``key=value`` pairs: numbers, booleans, ``None``, ``[a,b]`` lists and ``(a,b)`` tuples.

    Raises:
        ConfigError: An item has no ``=``.
    """
    from mmengine.config import DictAction

    for item in items or ():
        if "=" not in item:
            raise ConfigError(
                f"Not an option: {item!r}",
                where="--cfg-options",
                advice="write key=value, e.g. train_cfg.max_epochs=5",
            )
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    given = ["--cfg-options", *items] if items else []
    return dict(parser.parse_args(given).cfg_options)
