"""Loading a config file and taking its secrets out before anything else sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.adopt import adopt_config
from deeplake_mmdet.config.reading import read_config

__all__ = ["load_config"]


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Load an MMDetection config file; one for 2.x is converted to 3.x, with notes in the log.

    Literal credentials (``credentials=dict(token=...)`` of a dataset) move to an in-process store and leave
    an opaque handle; top-level variables that repeat a secret are removed. What comes back may be dumped:
    where there were secrets, its ``text`` is written anew, for a source file may spell a secret in any way.

    Args:
        path: Config file.
        cfg_options: Changes by dotted key, e.g. ``{'train_dataloader.batch_size': 4}``. For a 2.x file they
            may be of either version.

    Raises:
        SourceNotFoundError: There is no such file.
        ConfigError: The file is no config, one that cannot be converted or one of another toolbox; a module
            of ``custom_imports`` cannot be imported; credentials are no mapping; or a lake stands where a
            file of annotations is expected, or a file where a lake is.
        CredentialError: The config gives a user name and password, or holds a secret that is no lake's: see
            `extract_secrets`.
    """
    return adopt_config(read_config(path), cfg_options)
