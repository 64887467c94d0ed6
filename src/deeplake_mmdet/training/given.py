"""Opened datasets and column names that a caller gives beside the config: both win over it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import SOURCE_KEYS, settings_of

__all__ = ["Given"]

_OLD_SOURCE_KEYS = (
    tuple(
        f"deeplake_{name}"
        for name in ("path", "credentials", "commit_id", "commit", "view_id", "tag_id", "query")
    )
    + SOURCE_KEYS
)
_TYPE = "deeplake_mmdet.DeepLakeDataset"
# What a dataset of files and one of a lake have in common.
_SHARED = (
    *("pipeline", "metainfo", "filter_cfg", "test_mode", "indices", "return_classes", "caption_prompt"),
    *("lazy_init", "max_refetch"),
)
_OURS = (*_SHARED, "tensors", "box_format", "on_error", "apply_exif", "cache", "prepared", "masks_as_stored")


@dataclass(frozen=True)
class _Spot:
    """One split of a config: its chain of datasets from the outermost wrapper to the one that is read."""

    chain: tuple[MutableMapping[str, Any], ...]
    key: str

    @property
    def leaf(self) -> MutableMapping[str, Any]:
        return self.chain[-1]


class Given:
    """What the caller gives for one split.

    Args:
        split: ``'train'`` or ``'val'``.
        data: An opened dataset or view, a lake's path, or None.
        tensors: Column names by role, or None; merged with the config's by role.

    Attributes:
        local: Whether only this process can read the data.

    Raises:
        DeepLakeMMDetError: The data cannot be pinned.
    """

    def __init__(self, split: str, data: Any = None, tensors: Mapping[str, str] | None = None) -> None:
        self.split, self.tensors, self.local = split, dict(tensors or {}), False
        self._settings: dict[str, Any] | None = None
        if isinstance(data, (str, Path)):
            self._settings = {"path": str(data)}
        elif data is not None:
            self._settings, resolved = settings_of(data)
            self.local = resolved.is_local_process
            print_log(f"ds_{split} is {resolved}", "current")

    @property
    def has_data(self) -> bool:
        """Whether there is data to read instead of the config's."""
        return self._settings is not None

    def mark(self, content: MutableMapping[str, Any]) -> None:
        """Let a 2.x config, as plain dicts, say that this split is a lake, for it to be converted as one.

        Raises:
            ConfigError: The split concatenates several datasets.
        """
        if not self.has_data and not self.tensors:
            return
        data = content.setdefault("data", {})
        node = data.get(self.split)
        if not node and self.has_data:
            node = data[self.split] = {}
        spot = _spot(node, f"data.{self.split}", self.split)
        merged: dict[str, Any] = {}
        for node in reversed(spot.chain):  # what stands on a wrapper wins
            merged |= dict(node.pop("deeplake_tensors", None) or {})
        if merged | self.tensors:
            spot.leaf["deeplake_tensors"] = merged | self.tensors
        if self._settings is None:
            return
        told = [key for node in spot.chain for key in _OLD_SOURCE_KEYS if node.pop(key, None)]
        self._tell(spot.key, told)
        spot.leaf["deeplake_path"] = self._settings["path"]

    def apply(self, cfg: Config, *, also: str | None = None) -> None:
        """Let a 3.x config read the data, in place.

        Args:
            cfg: The config.
            also: Another split that reads the same.

        Raises:
            ConfigError: The split does not exist or concatenates several datasets.
        """
        for split in (self.split, also):
            if split is not None and (self.has_data or self.tensors):
                loader = cfg.get(f"{split}_dataloader")
                if not loader:
                    raise ConfigError(
                        f"ds_{self.split} is given, but the config does not say how to load it",
                        where=f"config key '{split}_dataloader'",
                        advice="give it batch_size, sampler and a dataset with a pipeline",
                    )
                self._place(_spot(loader.get("dataset"), f"{split}_dataloader.dataset", self.split))

    def _place(self, spot: _Spot) -> None:
        leaf = spot.leaf
        if self.tensors:
            leaf["tensors"] = dict(leaf.get("tensors") or {}) | self.tensors
        if self._settings is None:
            return
        kept = {key: leaf[key] for key in _OURS if key in leaf}
        self._tell(spot.key, [key for key in (*SOURCE_KEYS, "ann_file") if leaf.get(key)])
        leaf.clear()
        leaf.update({"type": _TYPE, **self._settings, **kept})

    def _tell(self, key: str, told: list[str]) -> None:
        if told:
            print_log(f"{key}: ds_{self.split} is read instead of {', '.join(told)}", "current")


def _spot(node: Any, key: str, split: str) -> _Spot:
    chain: list[MutableMapping[str, Any]] = []
    while True:
        if isinstance(node, (list, tuple)):
            if len(node) != 1:
                raise ConfigError(
                    f"ds_{split} and ds_{split}_tensors are for one dataset, and the config has {len(node)}",
                    where=f"config key {key!r}",
                    advice="leave one of them, or name the paths and columns in the config",
                )
            node = node[0]
        elif isinstance(node, MutableMapping):
            chain.append(node)
            inner = next((name for name in ("dataset", "datasets") if node.get(name)), None)
            if inner is None:
                return _Spot(tuple(chain), key)
            node, key = node[inner], f"{key}.{inner}"
        else:
            raise ConfigError(
                f"There is no dataset that ds_{split} or ds_{split}_tensors could be for",
                where=f"config key {key!r}",
            )
