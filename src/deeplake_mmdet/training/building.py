"""Building a detector from a config's ``model``, and giving it the preprocessor that the config implies."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import DefaultScope

from deeplake_mmdet.config import log_notes
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_model_dict
from deeplake_mmdet.terminal import DETAIL

__all__ = ["build_detector", "give_preprocessor", "plain"]

_log = logging.getLogger("deeplake_mmdet")


def build_detector(
    cfg: Mapping[str, Any],
    train_cfg: Mapping[str, Any] | None = None,
    test_cfg: Mapping[str, Any] | None = None,
) -> Any:
    """Build a detector from the ``model`` of a config for MMDetection 2.x or 3.x.

    A 2.x model says nothing of how images are normalised, its config's pipelines do: `train_detector` and
    `test_detector` give the detector its preprocessor. Its weights are initialised when training begins,
    unless some have been loaded by then.

    Args:
        cfg: ``cfg.model``; not changed.
        train_cfg: The ``train_cfg`` that a 2.x config may have beside its model.
        test_cfg: The ``test_cfg`` that a 2.x config may have beside its model.

    Raises:
        ConfigError: It is no model, or a setting stands in two places.
    """
    if not isinstance(cfg, Mapping) or "type" not in cfg:
        hint = isinstance(cfg, Mapping | Config) and cfg.get("model")
        raise ConfigError(
            "A detector is built from a dict with a 'type'",
            where="build_detector",
            advice="pass cfg.model" + (", not cfg" if hint else ""),
        )
    converted, notes = convert_model_dict(plain(cfg), _model_part(train_cfg), _model_part(test_cfg))
    log_notes(notes)
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(ConfigDict(converted))  # heads read it by attributes
    model.register_load_state_dict_post_hook(_keep_weights)
    return model


def give_preprocessor(model: Any, cfg: Config) -> None:
    """Give a detector that was built without one the preprocessor that its config implies.

    Args:
        model: Changed in place.
        cfg: A 3.x config.

    Raises:
        ConfigError: The config implies none.
    """
    if type(model.data_preprocessor) is not BaseDataPreprocessor:  # which models without one get
        return
    implied = (cfg.get("model") or {}).get("data_preprocessor") or cfg.get("data_preprocessor")
    if not implied:
        raise ConfigError(
            "The detector has no preprocessor, and the config implies none",
            where="config key 'model.data_preprocessor'",
            advice="keep model and pipelines in the config, or build the detector with a data_preprocessor",
        )
    with DefaultScope.overwrite_default_scope("mmdet"):
        model.data_preprocessor = MODELS.build(plain(implied))
    _log.info(f"The detector gets the preprocessor of its config: {dict(implied)}", extra=DETAIL)


def plain(node: Any) -> Any:
    """A copy of a part of a config in plain dicts and lists.

    Args:
        node: Any part; mappings become dicts, lists and tuples keep their type, other values are deep copies.
    """
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    return type(node)(map(plain, node)) if isinstance(node, (list, tuple)) else copy.deepcopy(node)


def _keep_weights(model: Any, incompatible: Any) -> None:
    """Weights were loaded: do not initialise them any more."""
    del incompatible
    model.is_init = True


def _model_part(cfg: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``train_cfg`` or ``test_cfg`` of a 2.x script; None if there is none."""
    return None if not cfg else plain(cfg)
