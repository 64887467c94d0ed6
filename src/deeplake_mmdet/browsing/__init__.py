"""Looking at lakes and at the samples of configs in a browser on this machine; or as pictures in a folder.

Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {"browse": "browse", "write_pictures": "writing_pictures"}

__all__ = ["browse", "write_pictures"]  # as in _HOMES

if TYPE_CHECKING:
    from deeplake_mmdet.browsing.browse import browse
    from deeplake_mmdet.browsing.writing_pictures import write_pictures


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
