"""From a model back into the lake: predictions, what is done with them, and where they came from."""

from __future__ import annotations

from deeplake_mmdet.loop.predict import Predicted, predict
from deeplake_mmdet.loop.predictions import Prediction, Sink
from deeplake_mmdet.loop.run_folder import config_beside

__all__ = ["Predicted", "Prediction", "Sink", "config_beside", "predict"]
