"""Refusing parts of a config that are no dicts, lists or numbers where MMDetection expects them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.datasets.lakes import is_lake
from deeplake_mmdet.legacy.kinds import DICT, STEPS, TEXT, Kind, be_dict, each, maybe, must_be, wrong
from deeplake_mmdet.legacy.settings import FILES, LOADER, OF_DATASETS, check_settings, check_table, of_step

__all__ = ["check_new_shapes", "check_shapes"]

_DICTS = (
    *("model", "data", "optimizer", "optimizer_config", "fp16", "lr_config", "momentum_config", "runner"),
    *("evaluation", "checkpoint_config", "log_config", "dist_params", "custom_imports", "auto_scale_lr"),
)
_NEW_DICTS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg"),
    *("optim_wrapper", "default_hooks", "env_cfg", "randomness", "visualizer"),
)


_LIST = Kind(lambda value: isinstance(value, (list, tuple)), "a list of dicts", "[dict(type=...)]")
_POLICIES = each(
    Kind(lambda value: isinstance(value, (list, tuple)), "", ""),
    "a list of lists of dicts",
    "[[dict(type='Shear'), ...], ...]",
)


def check_new_shapes(cfg: Mapping[str, Any]) -> None:
    """Check that keys of a 3.x config hold dicts or lists where they must; a missing key is fine.

    Args:
        cfg: The content of a 2.x or 3.x config.

    Raises:
        ConfigError: With the key of what is no dict or list.
    """
    for key in _NEW_DICTS:
        be_dict(cfg.get(key), key)
    if not isinstance(cfg.get("custom_hooks"), (list, tuple, type(None))):
        raise wrong(cfg["custom_hooks"], "custom_hooks", "a list of dicts", "write custom_hooks=[dict(...)]")


def check_shapes(cfg: Mapping[str, Any]) -> None:
    """Check that the settings of a 2.x config outside of its model have values of the kind that 2.x read.

    Args:
        cfg: The config's content.

    Raises:
        ConfigError: With the key of what has not, its value and what to write.
    """
    for key in _DICTS:
        be_dict(cfg.get(key), key)
    check_settings(cfg)
    for split in ("train", "val", "test"):
        _check_dataset((cfg.get("data") or {}).get(split), f"data.{split}")
    for name in ("train_pipeline", "test_pipeline"):
        _check_steps(cfg.get(name), name)
    for key, hooks in (
        ("custom_hooks", cfg.get("custom_hooks")),
        ("log_config.hooks", (cfg.get("log_config") or {}).get("hooks")),
    ):
        must_be(maybe(_LIST), hooks, key)
        for number, hook in enumerate(hooks or ()):
            must_be(DICT, hook, f"{key}[{number}]")
            check_table({"type": maybe(TEXT), "file_client_args": maybe(DICT)}, hook, f"{key}[{number}]")


def _check_dataset(node: Any, key: str, *, inside: bool = False) -> None:
    if isinstance(node, (list, tuple)):
        if not node and not inside:
            raise wrong(
                node, key, "a dict", f"write {key.rpartition('.')[2]}=dict(type=...), or leave it out"
            )
        for number, part in enumerate(node):
            _check_dataset(part if part is not None else (), f"{key}[{number}]")
        return
    be_dict(node, key)
    if node is None:
        return
    for name in ("dataset", "datasets"):
        _check_dataset(node.get(name), f"{key}.{name}", inside=True)
    said = {name: value for name, value in node.items() if value is not None}
    check_table(OF_DATASETS, said, key)
    check_table({"deeplake_dataloader": DICT}, said, key)
    check_table(LOADER, said.get("deeplake_dataloader") or {}, f"{key}.deeplake_dataloader")
    if not is_lake(node):
        check_table(FILES, said, key)
        _check_lists(said, key)
    _check_steps(node.get("pipeline"), f"{key}.pipeline")


def _check_lists(node: Mapping[str, Any], key: str) -> None:
    """A list beside one of annotation files has a value for each of them."""
    files = node.get("ann_file")
    if not isinstance(files, (list, tuple)):
        return
    for name in FILES:
        values = node.get(name)
        if isinstance(values, (list, tuple)) and len(values) != len(files):
            raise ConfigError(
                f"There are {len(files)} files of annotations and {len(values)} values of {name!r}",
                where=f"config key '{key}.{name}'",
                advice="give one for each ann_file, or one for all of them",
            )


def _check_steps(steps: Any, key: str) -> None:
    if steps is not None and not isinstance(steps, (list, tuple)):
        raise wrong(steps, key, STEPS.wanted, f"write pipeline={STEPS.example}")
    for number, step in enumerate(steps or ()):
        place = f"{key}[{number}]"
        be_dict(step, place)
        if step is None or not step.get("type"):
            raise wrong(step, place, "a dict with a type", "write dict(type='Resize', ...)")
        kind = str(step["type"]).removeprefix("mmdet.")
        check_table(of_step(kind), step, place)
        if kind in ("MultiScaleFlipAug", "Compose"):
            must_be(_LIST, step.get("transforms"), f"{place}.transforms")
            _check_steps(step["transforms"], f"{place}.transforms")
        if kind == "AutoAugment" and "policies" in step:
            must_be(_POLICIES, step["policies"], f"{place}.policies")
            for choice, policy in enumerate(step["policies"]):
                _check_steps(policy, f"{place}.policies[{choice}]")
