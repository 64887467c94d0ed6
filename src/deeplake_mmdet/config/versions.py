"""Which version of MMDetection a config whose bases are missing is for."""

from __future__ import annotations

from collections.abc import Iterable

from deeplake_mmdet.legacy import kind_of

__all__ = ["ONLY_NEW", "is_for_new", "speaks_new"]

# What no 2.x base had, or had with another meaning.
ONLY_NEW = (
    *("train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator", "test_evaluator"),
    *("optim_wrapper", "param_scheduler", "default_hooks", "env_cfg", "visualizer", "vis_backends"),
    *("log_processor", "default_scope", "resume", "randomness", "tta_model", "tta_pipeline"),
    *("data_preprocessor", "backend_args"),
)


def speaks_new(names: Iterable[str]) -> bool:
    """Whether a config has keys that only MMDetection 3.x knows."""
    keys, ends = set(names), ("_dataloader", "_evaluator", "_cfg")
    return bool(keys & {"optim_wrapper", "param_scheduler", "default_hooks"}) or any(
        f"{split}{end}" in keys for split in ("train", "val", "test") for end in ends
    )


def is_for_new(names: Iterable[str], asked: Iterable[str]) -> bool:
    """Whether a config with missing bases is for 3.x.

    Args:
        names: The names that it sets, with its bases that are there.
        asked: The variables that it takes from its bases.

    Raises:
        ConfigError: It is half migrated.
    """
    names = list(names)
    if kind_of(dict.fromkeys(names)) == "2.x":
        return False
    return speaks_new(names) or not set(asked).isdisjoint(ONLY_NEW)
