"""Converting loaded 2.x configs."""

from __future__ import annotations

import logging

from mmengine.config import Config
from mmengine.logging import print_log

from deeplake_mmdet.config.data_paths import check_data_paths
from deeplake_mmdet.config.mixed import settled
from deeplake_mmdet.config.old_credentials import joined
from deeplake_mmdet.config.old_shape import check_old_shape
from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.legacy import Note, convert_config_dict, is_legacy

__all__ = ["convert_config", "log_notes", "note_level"]


def convert_config(cfg: Config) -> tuple[Config, list[Note]]:
    """Convert an MMDetection 2.x config to 3.x.

    Literal credentials are replaced by handles first, as `load_config` does it.

    Args:
        cfg: A config; not changed. One for 3.x comes back as a copy, without notes; of one that says some
            things as 2.x did, these are converted.

    Returns:
        The 3.x config, and notes on everything that was changed, approximated or left out.

    Raises:
        ConfigError: It is half migrated, for MMDetection 1.x or for another toolbox; it has an unknown
            ``deeplake_*`` key; or a lake stands where a file of annotations is expected, or a file where a
            lake is.
        CredentialError: See `extract_secrets`.
    """
    content, secrets = extract_secrets(joined(cfg.to_dict()))
    content, mixed = settled(content, cfg.filename)
    if not mixed and not is_legacy(cfg):
        if secrets:
            return Config(content, cfg_text=Config(content).pretty_text, filename=cfg.filename), []
        return cfg.copy(), []
    if not mixed:
        check_old_shape(content)
    content, notes = (content, mixed) if mixed else convert_config_dict(content)
    check_data_paths(content)
    # With a file's name alone, Config would read the file's text, and the secrets in it.
    return Config(content, cfg_text=Config(content).pretty_text, filename=cfg.filename), notes


def log_notes(notes: list[Note]) -> None:
    """Write notes into the log, one line each; what does not mean the same any more as a warning."""
    for note in notes:
        print_log(f"2.x config: {note}", "current", note_level(note))


def note_level(note: Note) -> int:
    """The level at which a note is logged."""
    return logging.INFO if note.severity == "info" else logging.WARNING
