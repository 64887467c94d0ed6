"""The ``deeplake_*`` keys of the interface document: which there are, and what they may say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.errors import ConfigError

__all__ = ["LOADER_KEYS", "SPLIT_KEYS", "TOP_KEYS", "check_keys", "metrics_format", "nearest"]

SPLIT_KEYS = (
    *("deeplake_path", "deeplake_credentials", "deeplake_commit_id", "deeplake_commit", "deeplake_view_id"),
    *("deeplake_tag_id", "deeplake_query", "deeplake_tensors", "deeplake_dataloader"),
)
TOP_KEYS = ("deeplake_dataloader_type", "deeplake_metrics_format")
LOADER_KEYS = (
    *("shuffle", "batch_size", "num_workers", "drop_last", "persistent_workers", "pin_memory"),
    *("prefetch_factor", "timeout", "multiprocessing_context", "collate_fn", "worker_init_fn", "seed"),
    *("samples_per_gpu", "workers_per_gpu", "buffer_size", "num_threads", "mode", "dist", "num_gpus"),
)
_LOADER_TYPES = ("auto", "c++", "cpp", "python")
_FORMATS = ("COCO", "PascalVOC")
_ROLES = ("img", "gt_bboxes", "gt_labels", "gt_masks", "iscrowd", "area", "img_id")
_CREDENTIALS = ("username", "password", "token", "creds")
_SPLITS = ("train", "val", "test")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, in any letter case; None if none is like it.

    Args:
        name: What was written.
        known: The names to choose from.
    """
    names = list(known)
    lower = {other.lower(): other for other in reversed(names)}
    found = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.6)
    found += [other for other in lower if len(name) > 2 and name.lower() in other]
    return lower[found[0]] if found else None


def check_keys(cfg: Mapping[str, Any]) -> None:
    """Refuse unknown and misspelt ``deeplake_*`` keys and values, anywhere in a 2.x config.

    Args:
        cfg: The config's content.

    Raises:
        ConfigError: A key or value is unknown (with the nearest known name), stands in a wrong place, is no
            mapping where one is needed, or names another commit than a second key.
    """
    for key in cfg:
        if _looks_ours(key, TOP_KEYS) and key not in TOP_KEYS:
            if key in SPLIT_KEYS:
                raise ConfigError(
                    f"{key!r} stands at the top of the config",
                    where=f"config key {key!r}",
                    advice=f"move it into data.train or data.val: data = dict(train=dict({key}=...))",
                )
            raise _unknown(key, TOP_KEYS, "config key")
    _check_choice(cfg, "deeplake_dataloader_type", _LOADER_TYPES)
    metrics_format(cfg)
    data = cfg.get("data")
    if not isinstance(data, Mapping):
        return
    for key in data:
        if _looks_ours(key, SPLIT_KEYS) and key not in _SPLITS:
            raise ConfigError(
                f"{key!r} stands beside data.train and data.val",
                where=f"config key 'data.{key}'",
                advice=f"move it into them: data = dict(train=dict({key}=...))",
            )
    for split in _SPLITS:
        for path, dataset in _datasets(data.get(split), f"data.{split}"):
            _check_dataset(dataset, path)


def metrics_format(cfg: Mapping[str, Any]) -> str | None:
    """``COCO`` or ``PascalVOC`` as the config has it, in any case; None if it does not say.

    Args:
        cfg: The config's content; ``deeplake_metrics_format`` is read.

    Raises:
        ConfigError: It says something else.
    """
    return _check_choice(cfg, "deeplake_metrics_format", _FORMATS)


def _check_choice(cfg: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str | None:
    value = cfg.get(key)
    if value is None:
        return None
    for name in known:
        if str(value).lower().replace("_", "") == name.lower():
            return name
    raise _unknown(str(value), known, f"config key {key!r}, value")


def _check_dataset(dataset: Mapping[str, Any], path: str) -> None:
    for key in dataset:
        if _looks_ours(key, SPLIT_KEYS) and key not in SPLIT_KEYS:
            raise _unknown(key, SPLIT_KEYS, f"config key '{path}':")
    for name, known in (
        ("deeplake_dataloader", LOADER_KEYS),
        ("deeplake_tensors", _ROLES),
        ("deeplake_credentials", _CREDENTIALS),
    ):
        value = dataset.get(name)
        if name == "deeplake_credentials" and isinstance(value, str):
            continue  # a handle
        if value and not isinstance(value, Mapping):
            raise ConfigError(
                f"{name!r} must be a mapping, got {type(value).__name__}",
                where=f"config key '{path}.{name}'",
                advice=f"write {name}=dict({known[0]}=...)",
            )
        for key in value or {}:
            if key not in known:
                raise _unknown(key, known, f"config key '{path}.{name}':")
    first, second = dataset.get("deeplake_commit_id"), dataset.get("deeplake_commit")
    if first and second and first != second:
        raise ConfigError(
            "'deeplake_commit_id' and 'deeplake_commit' name different commits",
            where=f"config key '{path}'",
            advice="keep one of them; they mean the same",
        )


def _datasets(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield path, node
        yield from _datasets(node.get("dataset"), f"{path}.dataset")
        yield from _datasets(node.get("datasets"), f"{path}.datasets")
    elif isinstance(node, (list, tuple)):
        for number, item in enumerate(node):
            yield from _datasets(item, f"{path}[{number}]")


def _looks_ours(key: object, known: Iterable[str]) -> bool:
    """Whether it begins as our keys do, or nearly is one of them (``deep_lake_path``, ``deelake_path``)."""
    name = str(key)
    return name.lower().startswith("deeplake") or bool(get_close_matches(name, list(known), n=1, cutoff=0.85))


def _unknown(name: str, known: tuple[str, ...], where: str) -> ConfigError:
    near = nearest(name, known)
    return ConfigError(
        f"Unknown: {name!r}",
        where=f"{where} {name!r}",
        advice=(f"perhaps {near!r} is meant; " if near else "") + f"known are {', '.join(known)}",
    )
