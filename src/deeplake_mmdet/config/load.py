"""Loading a config file and taking its secrets out before anything else sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError

__all__ = ["load_config"]


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Load an MMDetection 3.x config file.

    Literal credentials (``credentials=dict(token=...)`` of a dataset) move to an in-process store and leave
    an opaque handle; top-level variables that repeat a secret are removed. What comes back may be dumped:
    where there were secrets, its ``text`` is written anew, for a source file may spell a secret in any way.

    Args:
        path: Config file.
        cfg_options: Changes by dotted key, e.g. ``{'train_dataloader.batch_size': 4}``.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: The file is no config, or is one for MMDetection 2.x; or credentials are no mapping.
        CredentialError: The config gives a user name and password.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise SourceNotFoundError("There is no such config file", where=str(file))
    try:
        loaded = Config.fromfile(str(file))
    except Exception as error:  # a config is a program: it may fail in any way
        text = f"{type(error).__name__}: {error}"
        raise ConfigError(f"The config cannot be loaded: {text}", where=str(file)) from error
    if cfg_options:
        loaded.merge_from_dict(dict(cfg_options))
    if "data" in loaded and "train_dataloader" not in loaded:
        raise ConfigError(
            "This is a config for MMDetection 2.x",
            where=f"{file}, key 'data'",
            advice="this release reads 3.x configs (train_dataloader, val_dataloader); "
            "mmdet's migration guide says what to change",
        )
    content, secrets = extract_secrets(loaded.to_dict())
    text = Config(content).pretty_text if secrets else loaded.text
    return Config(content, cfg_text=text, filename=str(file))
