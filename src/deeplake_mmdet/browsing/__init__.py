"""Looking at lakes and at the samples of configs in a browser on this machine; or as pictures in a folder.

`browse` is in the module of its name. Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Address": "server",
    "Written": "writing_pictures",
    "open_gallery": "browse",
    "serving": "server",
    "write_pictures": "writing_pictures",
}

__all__ = ["Address", "Written", "open_gallery", "serving", "write_pictures"]  # as in _HOMES

if TYPE_CHECKING:
    from deeplake_mmdet.browsing.browse import open_gallery
    from deeplake_mmdet.browsing.server import Address, serving
    from deeplake_mmdet.browsing.writing_pictures import Written, write_pictures


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
