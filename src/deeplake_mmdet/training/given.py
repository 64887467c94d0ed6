"""Opened datasets and column names that a caller gives beside the config: both win over it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.config import Place, innermost
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import SOURCE_KEYS, settings_of

__all__ = ["Given"]

_log = logging.getLogger("deeplake_mmdet")

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
            _log.info(f"ds_{split} is {resolved}")

    @property
    def has_data(self) -> bool:
        """Whether there is data to read instead of the config's."""
        return self._settings is not None

    def mark(self, content: MutableMapping[str, Any]) -> None:
        """Have a 2.x config say that this split is a lake, so that it is converted as one.

        Args:
            content: The config as plain dicts; changed in place.

        Raises:
            ConfigError: The split concatenates several datasets.
        """
        if not self.has_data and not self.tensors:
            return
        data = content["data"] = content.get("data") or {}
        node = data.get(self.split)
        if not node and self.has_data:
            node = data[self.split] = {}
        spot = _spot(node, f"data.{self.split}", self.split)
        merged: dict[str, Any] = {}
        for node in (spot.node, *reversed(spot.above)):  # what stands on a wrapper wins
            merged |= dict(node.pop("deeplake_tensors", None) or {})
        if merged | self.tensors:
            spot.node["deeplake_tensors"] = merged | self.tensors
        if self._settings is None:
            return
        told = [key for node in (*spot.above, spot.node) for key in _OLD_SOURCE_KEYS if node.pop(key, None)]
        self._tell(spot.key, told)
        spot.node["deeplake_path"] = self._settings["path"]

    def apply(self, content: MutableMapping[str, Any], *, also: str | None = None) -> None:
        """Have a 3.x config read the data and use the column names.

        Args:
            content: The config as plain dicts; changed in place.
            also: Another split that reads the same data, such as ``'test'``; None for none.

        Raises:
            ConfigError: The split does not exist or concatenates several datasets.
        """
        for split in (self.split, also):
            if split is not None and (self.has_data or self.tensors):
                loader = content.get(f"{split}_dataloader")
                if not loader:
                    raise ConfigError(
                        f"ds_{self.split} is given, but the config does not say how to load it",
                        where=f"config key '{split}_dataloader'",
                        advice="give it batch_size, sampler and a dataset with a pipeline",
                    )
                self._place(_spot(loader.get("dataset"), f"{split}_dataloader.dataset", self.split))

    def _place(self, spot: Place) -> None:
        leaf = spot.node
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
            _log.info(f"{key}: ds_{self.split} is read instead of {', '.join(told)}")


def _spot(node: Any, key: str, split: str) -> Place:
    """The one dataset of a split.

    Raises:
        ConfigError: There is none, or there are several.
    """
    found = list(innermost(node, key))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(
            f"There is no dataset that ds_{split} or ds_{split}_tensors could be for",
            where=f"config key {key!r}",
        )
    raise ConfigError(
        f"ds_{split} and ds_{split}_tensors are for one dataset, and the config has {len(found)}",
        where=f"config keys {', '.join(repr(place.key) for place in found)}",
        advice="leave one of them, or name the paths and columns in the config",
    )
