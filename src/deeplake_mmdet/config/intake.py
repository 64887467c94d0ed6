"""Taking a config in: the one place that orders what is done to it before anything uses it.

Options for 2.x, then secrets, the toolbox, shape and conversion, options for 3.x, what the caller gives
beside the config, modules and the teacher, data paths and pipelines. Secrets go first, so that no message,
note or file can show one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.custom_imports import import_custom_modules
from deeplake_mmdet.config.mixed import settled
from deeplake_mmdet.config.options import add_options, divided
from deeplake_mmdet.config.reading import keep_reading_notes, read_config, reading_notes
from deeplake_mmdet.config.secrets import extract_secrets, joined
from deeplake_mmdet.config.teacher import put_teacher
from deeplake_mmdet.config.unopened_data import check_unopened_data
from deeplake_mmdet.legacy import (
    Note,
    check_new_shapes,
    check_toolbox,
    convert_config_dict,
    is_legacy,
    old_keys,
)
from deeplake_mmdet.terminal import DETAIL

__all__ = [
    "Modern",
    "convert_config",
    "load_config",
    "log_notes",
    "modernised",
    "note_level",
    "take_in",
    "take_in_with_notes",
    "without_secrets",
]

_log = logging.getLogger("deeplake_mmdet")

Content = dict[str, Any]


@dataclass(frozen=True)
class Modern:
    """A config's content for 3.x.

    Attributes:
        content: It may be dumped.
        legacy: Whether it was for 2.x, or had keys of 2.x.
        notes: On what was changed, approximated or left out.
        secrets: The secret texts that were taken out.
    """

    content: Content
    legacy: bool
    notes: list[Note]
    secrets: set[str]


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Load an MMDetection config file; one for 2.x is converted to 3.x, with notes in the log.

    Literal credentials (``credentials=dict(token=...)`` of a dataset) move to an in-process store and leave
    an opaque handle; top-level variables that repeat a secret are removed. What comes back may be dumped:
    where there were secrets, its ``text`` is written anew, for a source file may spell a secret in any way.

    Args:
        path: Config file.
        cfg_options: Changes by dotted key, e.g. ``{'train_dataloader.batch_size': 4}``. For a 2.x file they
            may be of either version.

    Returns:
        A 3.x config.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: The file is no config, one that cannot be converted or one of another toolbox; a module
            of ``custom_imports`` cannot be imported; credentials are no mapping; or a lake stands where a
            file of annotations is expected, or a file where a lake is.
        CredentialError: The config gives a user name and password, or holds a secret that is no lake's: see
            `extract_secrets`.
    """
    return take_in(read_config(path), cfg_options)


def take_in(cfg: Config, cfg_options: Mapping[str, Any] | None = None) -> Config:
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
    cfg, notes = take_in_with_notes(cfg, cfg_options)
    keep_reading_notes(cfg, notes)
    return cfg


def take_in_with_notes(
    cfg: Config,
    cfg_options: Mapping[str, Any] | None = None,
    given: Callable[[Content], None] | None = None,
) -> tuple[Config, list[Note]]:
    """`take_in`, with the notes of a conversion, those of reading the file among them.

    Args:
        cfg: Of MMDetection 2.x or 3.x; not changed.
        cfg_options: Changes by dotted key.
        given: Puts what the caller gives beside the config into the 3.x content, in place, before its data
            are looked at.

    Returns:
        The 3.x config, and the notes.

    Raises:
        ConfigError: See `take_in`; or ``given`` raises it.
        CredentialError: See `take_in`.
    """
    legacy = bool(old_keys(cfg)) or is_legacy(cfg)
    early, late = divided(cfg_options or {}, cfg, legacy=legacy)
    source = add_options(cfg, early)
    text, new = source.text, modernised(source.to_dict(), cfg.filename)
    log_notes(new.notes)
    content, secrets = new.content, new.secrets
    content = add_options(Config(content), late).to_dict() if late else content
    if given is not None:
        given(content)
    if late or given is not None:  # they may bring secrets of their own
        content, more = extract_secrets(content)
        secrets = secrets | more
    import_custom_modules(content, cfg.filename)
    log_notes(put_teacher(content, cfg.filename, convert_config))
    check_unopened_data(content, legacy=new.legacy)
    if secrets or new.legacy or not text:
        text = Config(content).pretty_text
    return Config(content, cfg_text=text, filename=cfg.filename), [*reading_notes(cfg), *new.notes]


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
            ``deeplake_*`` key; or its data cannot be where it says: see `check_unopened_data`.
        CredentialError: See `extract_secrets`.
    """
    new = modernised(cfg.to_dict(), cfg.filename)
    if not new.legacy and not new.secrets:
        return cfg.copy(), []
    if new.legacy:
        check_unopened_data(new.content)
    # With a file's name alone, Config would read the file's text, and the secrets in it.
    text = Config(new.content).pretty_text
    return Config(new.content, cfg_text=text, filename=cfg.filename), new.notes


def modernised(content: Mapping[str, Any], filename: str | Path | None) -> Modern:
    """Take secrets out of a config's content and convert it: all steps that ask nothing of this machine.

    Args:
        content: Of a config of any version; not changed.
        filename: Its file, if there is one; which of its bases says what counts where both versions speak.

    Returns:
        Its content for 3.x. Nothing is logged.

    Raises:
        ConfigError: See `convert_config`.
        CredentialError: See `extract_secrets`.
    """
    cleaned, secrets = without_secrets(content)
    check_new_shapes(cleaned)
    settled_content, notes = settled(cleaned, filename)
    legacy = bool(notes) or is_legacy(settled_content)
    if legacy and not notes:
        settled_content, notes = convert_config_dict(settled_content)  # looks at 2.x's shape first
    return Modern(settled_content, legacy, notes, secrets)


def without_secrets(content: Mapping[str, Any]) -> tuple[Content, set[str]]:
    """Replace secrets by handles and refuse other toolboxes' configs, which comes before all else.

    Args:
        content: Of a config of any version; not changed. Credentials may be written as old scripts change
            them: see `joined`.

    Returns:
        The content with handles, and the secret texts.

    Raises:
        ConfigError: It is for another toolbox, or credentials are no mapping.
        CredentialError: See `extract_secrets`.
    """
    cleaned, secrets = extract_secrets(joined(content))
    check_toolbox(cleaned)
    return cleaned, secrets


def log_notes(notes: list[Note]) -> None:
    """Write notes into the log, one line each; what does not mean the same any more as a warning.

    Args:
        notes: Of a conversion.
    """
    for note in notes:
        _log.log(note_level(note), f"2.x config: {note}", extra=DETAIL)
    if count := sum(note_level(note) == logging.INFO for note in notes):
        _log.info(
            f"The config is for MMDetection 2.x: {count} things in it are written as 3.x has them; "
            "'deeplake-mmdet convert' lists them"
        )


def note_level(note: Note) -> int:
    """Choose the log level of a note.

    Args:
        note: Of a conversion.

    Returns:
        A level of `logging`.
    """
    return logging.INFO if note.severity == "info" else logging.WARNING
