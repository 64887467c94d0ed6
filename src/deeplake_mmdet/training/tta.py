"""Test-time augmentation: each image is tested in several versions, and what is found is merged."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseTTAModel
from mmengine.registry import DefaultScope

from deeplake_mmdet.config import all_datasets
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training.mask_check import predicts_masks

__all__ = ["augment_tests", "augmented", "check_merges"]

_log = logging.getLogger("deeplake_mmdet")

# As MMDetection's own test tool has them where a config says nothing.
_MODEL = {
    "type": "DetTTAModel",
    "tta_cfg": {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100},
}
_FLIPS = [{"type": "RandomFlip", "prob": 1.0}, {"type": "RandomFlip", "prob": 0.0}]
_META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
_FLIP_META = ("flip", "flip_direction")


def augment_tests(cfg: Config) -> None:
    """Have the test data of a config come in the versions of its ``tta_pipeline``; else as it is and flipped.

    Args:
        cfg: Changed in place, ``tta_model`` included; its ``model`` is not.

    Raises:
        ConfigError: It has no ``tta_pipeline``, and its test pipeline does not end with PackDetInputs.
    """
    if not cfg.get("tta_model"):
        cfg.tta_model = deepcopy(_MODEL)
        _log.info(f"The config has no tta_model: {_MODEL} merges")
    given = cfg.get("tta_pipeline")
    if not given:
        _log.info("The config has no tta_pipeline: images are tested as they are and flipped")
    told: dict[str, None] = {}
    for dataset in (place.node for place in all_datasets(cfg.test_dataloader["dataset"])):
        if "pipeline" not in dataset:
            continue
        usual = _sizes(dataset["pipeline"])
        dataset["pipeline"] = deepcopy(given) if given else _flipped(dataset["pipeline"])
        told[_versions(dataset["pipeline"], usual)] = None
    for text in told:
        _log.info(text)


def augmented(model: Any, cfg: Config) -> Any:
    """A detector, or its config, wrapped in the ``tta_model`` that merges its predictions.

    Args:
        model: A detector that is built, or the ``model`` of a config.
        cfg: After `augment_tests`.

    Returns:
        A built model for a built one, a config for a config.
    """
    if isinstance(model, Mapping):
        return ConfigDict({**cfg.tta_model, "module": model})
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build({**cfg.tta_model, "module": model})


def check_merges(model: Any) -> None:
    """Refuse a detector whose predictions MMDetection does not merge.

    Args:
        model: As the runner has it; nothing is said of models that are not augmented.

    Raises:
        ConfigError: It predicts masks.
    """
    while not isinstance(model, BaseTTAModel):
        model = getattr(model, "module", None)
        if model is None:
            return
    if predicts_masks(model.module):
        raise ConfigError(
            "Test-time augmentation merges boxes, and this model predicts masks",
            where="argument tta of the test run",
            advice="test without it",
        )


def _versions(pipeline: Any, usual: Sequence[str]) -> str:
    """In words, in how many versions images come, and of which sizes."""
    steps = [step for step in pipeline if str(step.get("type")).rpartition(".")[2] == "TestTimeAug"]
    count = math.prod(len(group) for step in steps for group in step.get("transforms") or ())
    sizes = _sizes(pipeline)
    text = f"Test-time augmentation: each image is tested in {count} versions, " + (
        f"sizes {', '.join(sizes)}" if sizes else "all of its own size"
    )
    if set(usual) - set(sizes):
        text += f"; without augmentation the config tests at {', '.join(usual)}"
    return text


def _sizes(node: Any) -> list[str]:
    """The sizes that a pipeline's steps resize to, each once."""
    found: dict[str, None] = {}
    for part in node if isinstance(node, (list, tuple)) else ():
        if not isinstance(part, Mapping):
            found.update(dict.fromkeys(_sizes(part)))
            continue
        if str(part.get("type")).rpartition(".")[2].endswith("Resize"):
            for key in ("scale", "scale_factor"):
                if part.get(key) is not None:
                    found[_size(part[key])] = None
        found.update(dict.fromkeys(_sizes(part.get("transforms"))))
    return list(found)


def _size(scale: Any) -> str:
    return " x ".join(map(str, scale)) if isinstance(scale, (list, tuple)) else str(scale)


def _flipped(pipeline: Any) -> list[Any]:
    *steps, pack = deepcopy(list(pipeline)) or [{}]
    if str(pack.get("type", "")).removeprefix("mmdet.") != "PackDetInputs":
        raise ConfigError(
            "The flipped version of an image cannot be packed: the pipeline does not end with PackDetInputs",
            where="config key 'test_dataloader.dataset.pipeline'",
            advice="write a tta_pipeline",
        )
    known = [name for name in pack.get("meta_keys", _META) if name not in _FLIP_META]
    pack["meta_keys"] = (*known, *_FLIP_META)
    return [*steps, {"type": "TestTimeAug", "transforms": [deepcopy(_FLIPS), [pack]]}]
