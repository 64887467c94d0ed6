"""Loading a config file and taking its secrets out before anything else sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.data_paths import check_data_paths
from deeplake_mmdet.config.legacy import log_notes
from deeplake_mmdet.config.reading import read_config
from deeplake_mmdet.config.secrets import extract_secrets
from deeplake_mmdet.config.toolbox import check_toolbox
from deeplake_mmdet.legacy import convert_config_dict, is_legacy

__all__ = ["load_config"]

_LEGACY_KEYS = (
    *(
        "model",
        "data",
        "optimizer",
        "optimizer_config",
        "lr_config",
        "momentum_config",
        "runner",
        "total_epochs",
    ),
    *(
        "fp16",
        "evaluation",
        "checkpoint_config",
        "log_config",
        "workflow",
        "dist_params",
        "resume_from",
        "seed",
    ),
    *("train_pipeline", "test_pipeline", "custom_hooks", "cudnn_benchmark"),
)


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
        ConfigError: The file is no config, one that cannot be converted or one of another toolbox;
            credentials are no mapping; or a lake stands where a file of annotations is expected, or a file
            where a lake is.
        CredentialError: The config gives a user name and password.
    """
    file = Path(path).expanduser()
    loaded = read_config(file)
    options = dict(cfg_options or {})
    legacy = is_legacy(loaded)
    early = {key: value for key, value in options.items() if not legacy or _is_for_legacy(key)}
    if early:
        loaded.merge_from_dict(early)
    content, secrets = extract_secrets(loaded.to_dict())
    check_toolbox(content)
    if not legacy:
        check_data_paths(content, legacy=False)
        text = Config(content).pretty_text if secrets else loaded.text
        return Config(content, cfg_text=text, filename=str(file))
    content, notes = convert_config_dict(content)
    log_notes(notes)
    converted = Config(content)
    converted.merge_from_dict({key: value for key, value in options.items() if key not in early})
    content, _ = extract_secrets(converted.to_dict())
    check_data_paths(content)
    return Config(content, cfg_text=Config(content).pretty_text, filename=str(file))


def _is_for_legacy(key: str) -> bool:
    """Whether an option changes a 2.x config before it is converted."""
    top = key.partition(".")[0]
    return (top in _LEGACY_KEYS and not key.startswith("model.data_preprocessor")) or top.startswith(
        "deeplake_"
    )
