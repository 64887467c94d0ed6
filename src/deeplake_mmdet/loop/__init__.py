"""From a model back into the lake: predictions, what is done with them, and where they came from.

Names are loaded when first used: mining needs neither torch nor MMDetection, which take seconds to import.
`predict` and `lineage` are in the modules of their names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "WAYS": "mining",
    "Mined": "mined",
    "Predicted": "predict",
    "Prediction": "predictions",
    "Sink": "predictions",
    "config_beside": "predicting.run_folder",
    "mine": "mining",
}

__all__ = ["WAYS", "Mined", "Predicted", "Prediction", "Sink", "config_beside", "mine"]  # as in _HOMES

if TYPE_CHECKING:
    from deeplake_mmdet.loop.mined import Mined
    from deeplake_mmdet.loop.mining import WAYS, mine
    from deeplake_mmdet.loop.predict import Predicted
    from deeplake_mmdet.loop.predicting.run_folder import config_beside
    from deeplake_mmdet.loop.predictions import Prediction, Sink


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
