"""Taking in a config that is loaded already: options, conversion from 2.x, secrets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.custom_imports import import_custom_modules
from deeplake_mmdet.config.data_paths import check_data_paths
from deeplake_mmdet.config.legacy import convert_config, log_notes
from deeplake_mmdet.config.mixing_check import check_pipelines
from deeplake_mmdet.config.reading import reading_notes
from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.config.toolbox import check_toolbox
from deeplake_mmdet.legacy import Note, is_legacy, old_keys

__all__ = ["adopt_config", "adopt_with_notes"]

# Options with these keys change a 2.x config before it is converted.
_OF_LEGACY = (
    *("model", "data", "optimizer", "optimizer_config", "lr_config", "momentum_config", "runner", "fp16"),
    *("total_epochs", "evaluation", "checkpoint_config", "log_config", "workflow", "dist_params", "seed"),
    *("resume_from", "train_pipeline", "test_pipeline", "custom_hooks", "cudnn_benchmark"),
)


def adopt_config(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """What `load_config` does with a file, for a config in memory.

    Args:
        cfg: Of MMDetection 2.x or 3.x; not changed. Secrets in it move to the in-process store.
        cfg_options: Changes by dotted key; for a 2.x config they may be of either version.

    Returns:
        A 3.x config that may be dumped. Its text is the one given, or written anew if that holds secrets.

    Raises:
        ConfigError: It cannot be converted, is for another toolbox, its data are not where it says, or
            credentials are no mapping.
        CredentialError: The config gives a user name and password.
    """
    return adopt_with_notes(cfg, cfg_options)[0]


def adopt_with_notes(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> tuple[Config, list[Note]]:
    """The same, with the notes of a conversion, those of reading the file among them.

    Arguments and errors as for `adopt_config`.
    """
    options = dict(cfg_options or {})
    notes = list(reading_notes(cfg))
    mixed = bool(old_keys(cfg))
    legacy = mixed or is_legacy(cfg)
    early = {key: value for key, value in options.items() if not legacy or _is_for_legacy(key)}
    if early:
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(early)
        legacy = legacy or bool(old_keys(cfg))
    text = cfg.text
    check_toolbox(cfg)
    if legacy:
        cfg, own = convert_config(cfg)
        log_notes(own)
        notes += own
        text = None
        if late := {key: value for key, value in options.items() if key not in early}:
            cfg.merge_from_dict(late)
    content, secrets = extract_secrets(cfg.to_dict())
    import_custom_modules(content, cfg.filename)
    check_data_paths(content, legacy=legacy)
    check_pipelines(content, legacy=legacy)
    if secrets or not text:
        text = Config(content).pretty_text
    return Config(content, cfg_text=text, filename=cfg.filename), notes


def _is_for_legacy(key: str) -> bool:
    top = key.partition(".")[0]
    mine = top in _OF_LEGACY and not key.startswith("model.data_preprocessor")
    return mine or top.startswith("deeplake_")
