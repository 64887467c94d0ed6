"""Whether a model can predict masks, before it is trained for an epoch and then scored by them."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmdet.structures import DetDataSample

from deeplake_mmdet.errors import ConfigError

__all__ = ["check_predicts_masks", "predicts_masks"]

_log = logging.getLogger("deeplake_mmdet")

_SIDE = 128  # pixels; no less than the largest stride of usual models


def check_predicts_masks(model: Any) -> None:
    """Refuse a detector that predicts boxes only.

    Args:
        model: The detector, as the runner has it.

    Raises:
        ConfigError: Its predictions have no masks.
    """
    if predicts_masks(getattr(model, "module", model)) is False:
        raise ConfigError(
            "The model predicts no masks, which 'segm' is to score",
            where="config key 'val_evaluator.metric', in a 2.x config 'evaluation.metric'",
            advice="use metric='bbox', or a model with a mask head",
        )


def predicts_masks(detector: Any) -> bool | None:
    """Whether a detector predicts masks.

    Most detectors with masks say so by ``with_mask``. Any other one is asked for its predictions on one black
    image, as a test would.

    Args:
        detector: A detector that is built, without wrappers.

    Returns:
        None if the prediction failed, so that it could not be found out.
    """
    if getattr(detector, "with_mask", False):
        return True
    try:
        return "masks" in _prediction(detector)
    except Exception as error:  # a model of any kind, which may need more than an image
        _log.info(f"Whether the model predicts masks could not be found out: {error!r}")
        return None


def _prediction(detector: Any) -> Any:
    size = (_SIDE, _SIDE)
    asked = DetDataSample(metainfo={"img_id": 0, "img_path": "", "ori_shape": size, "img_shape": size})
    asked.set_metainfo({"scale_factor": (1.0, 1.0), "batch_input_shape": size, "pad_shape": size})
    training = detector.training
    detector.eval()
    try:
        with torch.no_grad():
            image = torch.zeros(3, *size, dtype=torch.uint8)
            return detector.test_step({"inputs": [image], "data_samples": [asked]})[0].pred_instances
    finally:
        detector.train(training)
