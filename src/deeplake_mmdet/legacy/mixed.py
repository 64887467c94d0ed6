"""Configs that say some things as MMDetection 2.x did and others as 3.x does.

The usual one is a child of a 3.x base by someone who knows 2.x: MMEngine ignores its ``optimizer``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.convert import convert_config_dict
from deeplake_mmdet.legacy.notes import Note
from deeplake_mmdet.legacy.onto_base import as_legacy, merge

__all__ = ["SAID_BY", "convert_mixed", "old_keys"]

# Keys of 3.x, and by which of 2.x the same is said.
SAID_BY: dict[str, tuple[str, ...]] = {
    "train_dataloader": ("data",),
    "val_dataloader": ("data",),
    "test_dataloader": ("data",),
    "optim_wrapper": ("optimizer", "optimizer_config", "fp16"),
    "param_scheduler": ("lr_config", "momentum_config", "runner", "total_epochs"),
    "train_cfg": ("runner", "total_epochs", "evaluation"),
    "val_evaluator": ("evaluation", "data"),
    "test_evaluator": ("evaluation", "data"),
    "default_hooks": ("checkpoint_config", "log_config", "evaluation"),
    "model": ("data",),
}
# What these mean is nothing that 3.x would do with a variable of that name.
_TELLING = {
    "data": ("samples_per_gpu", "workers_per_gpu", "train", "val", "test"),
    "optimizer": ("type", "lr"),
    "optimizer_config": ("grad_clip", "type"),
    "lr_config": ("policy", "warmup", "step"),
    "momentum_config": ("policy",),
    "runner": ("max_epochs", "max_iters"),
    "evaluation": ("interval", "metric", "save_best", "start"),
    "checkpoint_config": ("interval",),
    "log_config": ("interval", "hooks"),
    "fp16": ("loss_scale",),
}
# The same of keys that are no dicts: what they must be, and the keys of 3.x that say it themselves.
_TELLING_VALUES: dict[str, tuple[type, tuple[str, ...]]] = {
    "resume_from": (str, ("resume",)),
    "auto_resume": (bool, ("resume",)),
    "seed": (int, ("randomness",)),
    "deterministic": (bool, ("randomness",)),
    "cudnn_benchmark": (bool, ()),
    "deeplake_dataloader_type": (str, ("fast_loader",)),
    "deeplake_metrics_format": (str, ()),
}
_OLD = (
    *(*_TELLING, *_TELLING_VALUES, "total_epochs", "workflow", "dist_params", "diff_seed", "gpu_ids"),
    *("device", "mp_start_method", "opencv_num_threads", "omp_num_threads"),
)
_NEW = tuple(key for key in SAID_BY if key != "model")
_PIPELINES = ("train_pipeline", "test_pipeline")
_WHOLE = ("dataset", "pipeline")  # whose paths belong together


def old_keys(content: Mapping[str, Any]) -> list[str]:
    """The keys of 2.x in a config that has keys of 3.x too; empty if it is of one version.

    Args:
        content: The config's content, with its bases merged in.
    """
    if not any(content.get(key) for key in _NEW if key != "train_cfg") and not _is_loop(content):
        return []
    found = [
        key
        for key, telling in _TELLING.items()
        if isinstance(content.get(key), Mapping) and any(name in content[key] for name in telling)
    ]
    for key, (kind, instead) in _TELLING_VALUES.items():
        value = content.get(key)
        said = value is True or (kind is not bool and isinstance(value, kind) and value != "")
        if said and not any(content.get(other) for other in instead):
            found.append(key)
    total, loop = content.get("total_epochs"), content.get("train_cfg")
    length = loop.get("max_epochs") if isinstance(loop, Mapping) else None
    if isinstance(total, int) and length not in (None, total):
        found.append("total_epochs")
    return found


def convert_mixed(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """Convert what a config says as 2.x did, and leave what it says as 3.x does.

    What 2.x's keys change, they change as they would in the child of a 2.x config.

    Args:
        content: A config with `old_keys`; not changed.

    Returns:
        A 3.x config's content, and notes on what the keys of 2.x became.

    Raises:
        ConfigError: They cannot be converted together.
    """
    keys = old_keys(content)
    old = {key: content[key] for key in _OLD if key in content}
    if "total_epochs" in keys and "runner" not in old:  # the base's would count
        old["runner"] = {"max_epochs": old["total_epochs"]}
    new = {key: deepcopy(value) for key, value in content.items() if key not in _OLD}
    before = as_legacy(new, of_2x=False)
    pipelines = {key: new[key] for key in _PIPELINES if key in new}
    try:
        plain, known = convert_config_dict({"data": {}, **before})
    except ConfigError as error:
        raise ConfigError(
            f"What stands beside 2.x's {', '.join(keys)} cannot be combined with it: {error.what}",
            where=f"3.x keys {', '.join(_said_by(error.where, new))}; as 2.x says it, {error.where}",
            advice=f"{error.advice or 'correct it'}, as 3.x has it",
        ) from error
    try:
        changed, notes = convert_config_dict(merge({"data": {}, **before, **pipelines}, old))
    except ConfigError as error:
        raise ConfigError(
            f"Keys of MMDetection 2.x stand beside those of 3.x, and cannot be converted: {error.what}",
            where=f"2.x keys {', '.join(keys)}" + (f"; {error.where}" if error.where else ""),
            advice=error.advice or "write them as 3.x has them",
        ) from error
    told = {repr(note) for note in known}
    first = Note(
        ", ".join(keys),
        "converted",
        "they are keys of MMDetection 2.x in a config of 3.x, which would ignore them",
    )
    own = [note for note in notes if repr(note) not in told and "variables of the file" not in note.why]
    return _overlaid(new, plain, changed), [first, *own]


def _said_by(where: str | None, content: Mapping[str, Any]) -> list[str]:
    """The keys of 3.x that say what an error about a key of 2.x is about."""
    top = re.search(r"'(\w+)", where or "")
    old = top[1] if top else ""
    found = [new for new, olds in SAID_BY.items() if new in content and (old in olds or old == new)]
    return found or [new for new in SAID_BY if new in content]


def _is_loop(content: Mapping[str, Any]) -> bool:
    loop = content.get("train_cfg")
    return isinstance(loop, Mapping) and any(name in loop for name in ("max_epochs", "max_iters"))


def _overlaid(base: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The base, with what differs between two conversions."""
    found = dict(base)
    for key in before:
        if key not in after:
            found.pop(key, None)
    for key, value in after.items():
        if key not in base:
            found[key] = value
        elif key not in before or before[key] != value:
            parts: list[Any] = [base[key], before.get(key), value]
            inside = all(isinstance(part, Mapping) for part in parts) and key not in _WHOLE
            same = inside and before[key].get("type") == value.get("type")
            found[key] = _overlaid(*parts) if same else value
    return found
