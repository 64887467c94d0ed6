"""From a model back into the lake: predictions, what is done with them, and where they came from.

Names are loaded when first used: mining needs neither torch nor MMDetection, which take seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "WAYS": "mining",
    "Mined": "mining",
    "lineage": "tracing",
    "mine": "mining",
}

__all__ = ["WAYS", "Mined", "lineage", "mine"]  # as in _HOMES

if TYPE_CHECKING:
    from deeplake_mmdet.loop.mining import WAYS, Mined, mine
    from deeplake_mmdet.loop.tracing import lineage


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
