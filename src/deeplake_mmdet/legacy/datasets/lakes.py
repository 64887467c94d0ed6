"""Lakes among the datasets of a 2.x config: by the ``deeplake_*`` keys, or by the arguments of 3.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.keys import SPLIT_KEYS
from deeplake_mmdet.legacy.notes import Settings

__all__ = ["LAKE", "is_lake", "lake_settings", "names_data"]

LAKE = "deeplake_mmdet.DeepLakeDataset"

# Arguments of DeepLakeDataset, and by which key of the interface document they go.
_DOCUMENTED = {
    "path": ("deeplake_path",),
    "credentials": ("deeplake_credentials",),
    "commit": ("deeplake_commit_id", "deeplake_commit"),
    "view": ("deeplake_view_id",),
    "tag": ("deeplake_tag_id",),
    "query": ("deeplake_query",),
    "tensors": ("deeplake_tensors",),
}
_OTHERS = (
    *(
        "branch",
        "version",
        "box_format",
        "on_error",
        "apply_exif",
        "cache",
        "prepared",
        "indices",
        "return_classes",
    ),
    *("caption_prompt", "lazy_init", "max_refetch", "masks_as_stored"),
)
_SAY_WHICH = ("path", "query")
# What names files of a stock dataset.
_OF_FILES = (
    *("ann_file", "img_prefix", "seg_prefix", "proposal_file", "data_root", "ins_ann_file"),
    *("file_client_args", "label_file", "hierarchy_file", "meta_file", "image_level_ann_file", "ann_subdir"),
    *("img_subdir", "seg_suffix", "img_suffix", "seg_map_suffix", "data_prefix", "ann_prefix"),
)


def is_lake(node: Any) -> bool:
    """Whether a 2.x dataset, or one that it wraps, reads a lake.

    Args:
        node: A dataset, a wrapper or a list of them; anything else reads no lake.
    """
    if isinstance(node, Mapping):
        here = any(node.get(key) for key in SPLIT_KEYS if key != "deeplake_dataloader")
        here = here or str(node.get("type")).rpartition(".")[2] == "DeepLakeDataset"
        return here or is_lake(node.get("dataset")) or is_lake(node.get("datasets"))
    return isinstance(node, (list, tuple)) and any(map(is_lake, node))


def names_data(node: Mapping[str, Any]) -> bool:
    """Whether a dataset itself names the lake that it reads, by a path or a query.

    Args:
        node: The settings of a 2.x dataset or wrapper.
    """
    return any(node.get(key) for name in _SAY_WHICH for key in _DOCUMENTED[name])


def lake_settings(settings: Settings) -> dict[str, Any]:
    """Take the arguments of `DeepLakeDataset` out of a 2.x dataset, except its filter and its pipeline.

    Args:
        settings: The dataset; what is read is removed from it.

    Returns:
        The ``type`` and the arguments of a 3.x `DeepLakeDataset`; those without a value are left out.

    Raises:
        ConfigError: An argument is given under two names, with different values.
    """
    take = settings.take
    for name in ("type", "_scope_", "deeplake_dataloader", "samples_per_gpu", "workers_per_gpu"):
        take(name)
    found: dict[str, Any] = {}
    for name, documented in _DOCUMENTED.items():
        given = {key: settings.take(key) for key in (*documented, name) if key in settings}
        values = [value for value in given.values() if value not in (None, "", {})]
        if any(value != values[0] for value in values):
            raise ConfigError(
                f"{' and '.join(map(repr, given))} say different things",
                where=f"config key '{settings.key}'",
                advice="keep one of them; they mean the same",
            )
        found[name] = values[0] if values else None
    found["credentials"] = _credentials(found["credentials"])
    found["tensors"] = dict(found["tensors"] or {})
    found |= _at_version(found["path"])
    found |= {name: value for name in _OTHERS if (value := take(name)) is not None}
    if "box_format" not in found:
        found["box_format"] = "legacy"
    metainfo = dict(take("metainfo") or {})
    if (classes := take("classes")) is not None:
        metainfo["classes"] = tuple(classes) if isinstance(classes, (list, tuple)) else classes
    found["metainfo"] = metainfo
    if files := [name for name in _OF_FILES if take(name)]:
        settings.notes.info(settings.key, f"{', '.join(files)} left out", "everything comes out of the lake")
    return {"type": LAKE, **{name: value for name, value in found.items() if value not in (None, "", {})}}


def _at_version(path: Any) -> dict[str, Any]:
    """``lake@name``, as Deep Lake 3 had it: the name of a branch or the id of a commit."""
    if not isinstance(path, str):
        return {}
    lake, at, name = path.rpartition("@")
    # An '@' before a slash stands in an address, before the host, or in a folder's name.
    return {"path": lake, "version": name} if at and lake and name and "/" not in name else {}


def _credentials(value: Any) -> Any:
    """As given, but for a mapping that says nothing."""
    if isinstance(value, Mapping) and not any(value.values()):
        return None
    return dict(value) if isinstance(value, Mapping) else value
