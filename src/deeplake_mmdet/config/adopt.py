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
from deeplake_mmdet.config.options import OF_LEGACY
from deeplake_mmdet.config.reading import keep_reading_notes, reading_notes
from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.config.teacher import put_teacher
from deeplake_mmdet.config.toolbox import check_toolbox
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import Note, is_legacy, old_keys

__all__ = ["adopt_config", "adopt_with_notes"]


def adopt_config(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """What `load_config` does with a file, for a config in memory.

    Args:
        cfg: Of MMDetection 2.x or 3.x; not changed. Secrets in it move to the in-process store.
        cfg_options: Changes by dotted key; for a 2.x config they may be of either version.

    Returns:
        A 3.x config that may be dumped. Its text is the one given, or written anew if that holds secrets.

    Raises:
        ConfigError: It has no place for an option, cannot be converted, is for another toolbox, its data are
            not where it says, or credentials are no mapping.
        CredentialError: The config gives a user name and password, or holds a secret that is no lake's: see
            `extract_secrets`.
    """
    cfg, notes = adopt_with_notes(cfg, cfg_options)
    keep_reading_notes(cfg, notes)
    return cfg


def adopt_with_notes(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> tuple[Config, list[Note]]:
    """The same, with the notes of a conversion, those of reading the file among them.

    Arguments and errors as for `adopt_config`.
    """
    options = {_through_feed(key, cfg): value for key, value in (cfg_options or {}).items()}
    notes = list(reading_notes(cfg))
    mixed = bool(old_keys(cfg))
    legacy = mixed or is_legacy(cfg)
    early = {key: value for key, value in options.items() if not legacy or _is_for_legacy(key)}
    if early:
        cfg = copy.deepcopy(cfg)
        _merge(cfg, early)
        legacy = legacy or bool(old_keys(cfg))
    text = cfg.text
    check_toolbox(cfg)
    if legacy:
        cfg, own = convert_config(cfg)
        log_notes(own)
        notes += own
        text = None
        if late := {key: value for key, value in options.items() if key not in early}:
            _merge(cfg, late)
    content, secrets = extract_secrets(cfg.to_dict())
    import_custom_modules(content, cfg.filename)
    put_teacher(content, cfg.filename)
    check_data_paths(content, legacy=legacy)
    check_pipelines(content, legacy=legacy)
    if secrets or not text:
        text = Config(content).pretty_text
    return Config(content, cfg_text=text, filename=cfg.filename), notes


def _merge(cfg: Config, options: Mapping[str, Any]) -> None:
    """Change a config in place.

    Raises:
        ConfigError: It has no place for an option.
    """
    before = copy.deepcopy(cfg)
    try:
        cfg.merge_from_dict(dict(options))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        for key, value in options.items():
            try:
                copy.deepcopy(before).merge_from_dict({key: value})
            except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
                raise ConfigError(
                    f"The config has no place for the option {key}={value!r}: {error.args[0]}",
                    where=f"--cfg-options, or cfg_options, {key!r}",
                    advice="name a key below a dict, or an entry of a list by its number from 0",
                ) from error
        raise


def _through_feed(key: str, cfg: Config) -> str:
    """The key of an option for a dataset, where the config has a feed around it, as older runs wrote it."""
    loader, _, rest = key.partition(".dataset.")
    node = cfg.get(loader) if rest and loader.endswith("_dataloader") else None
    feed = node.get("dataset") if isinstance(node, Mapping) else None
    kind = str(feed.get("type")) if isinstance(feed, Mapping) else ""
    inside = kind.rpartition(".")[2] == "Feed" and rest.partition(".")[0] not in (
        "type",
        "dataset",
        "threads",
    )
    return f"{loader}.dataset.dataset.{rest}" if inside else key


def _is_for_legacy(key: str) -> bool:
    top = key.partition(".")[0]
    mine = top in OF_LEGACY and not key.startswith("model.data_preprocessor")
    return mine or top.startswith("deeplake_")
