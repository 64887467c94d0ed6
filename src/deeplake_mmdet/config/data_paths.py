"""Lakes where files of annotations are expected, and the other way round: told before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.config.kinds import is_lake
from deeplake_mmdet.errors import ConfigError

__all__ = ["check_data_paths"]

_LAKE = "deeplake_mmdet.DeepLakeDataset"
_LAKE_SCHEMES = ("al://", "hub://", "mem://")
_FILES = (".json", ".xml", ".txt", ".csv", ".yaml", ".yml", ".pkl", ".zip")


def check_data_paths(content: Mapping[str, Any], *, legacy: bool = True) -> None:
    """Check the paths of all datasets of a 3.x config; local ones only by a look at the disk.

    Args:
        content: The config's content.
        legacy: Whether the user wrote a 2.x config: then messages name its keys.

    Raises:
        ConfigError: A dataset of files is given a lake, or a lake's path is that of annotations.
    """
    for split in ("train", "val", "test"):
        loader = content.get(f"{split}_dataloader")
        node = loader.get("dataset") if isinstance(loader, Mapping) else None
        where = f"data.{split}" if legacy else f"{split}_dataloader.dataset"
        for path, dataset in _leaves(node, where):
            if is_lake(dataset):
                _check_lake(dataset, path, legacy)
            else:
                _check_files(dataset, path, legacy)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from _leaves(part, f"{path}[{number}]")
    elif isinstance(node, Mapping):
        inner = [key for key in ("dataset", "datasets") if node.get(key)]
        if not inner:
            yield path, node
        for key in inner:
            yield from _leaves(node[key], f"{path}.{key}")


def _check_lake(dataset: Mapping[str, Any], path: str, legacy: bool) -> None:
    named = dataset.get("path")
    if not isinstance(named, (str, Path)):
        return
    place = Path(named).expanduser()
    found, kind = None, ""
    if place.suffix.lower() in _FILES and (place.is_file() or "://" in str(named)):
        found, kind = "a file of annotations", "coco ANNOTATIONS.json LAKE --images FOLDER"
    elif (place / "Annotations").is_dir() and (place / "ImageSets").is_dir():
        found, kind = "a Pascal VOC folder", f"voc {named} LAKE --split train"
    if found:
        raise ConfigError(
            f"A lake is expected, but there is {found}",
            where=f"config key '{path}.{'deeplake_path' if legacy else 'path'}'={str(named)!r}",
            advice=f"make a lake of it: deeplake-mmdet import {kind}",
        )


def _check_files(dataset: Mapping[str, Any], path: str, legacy: bool) -> None:
    root = str(dataset.get("data_root") or "")
    for key in ("ann_file", "data_root"):
        value = dataset.get(key)
        if not isinstance(value, str) or not value:
            continue
        whole = value if key == "data_root" or Path(value).is_absolute() or "://" in value else root + value
        candidates = (whole, str(Path(root) / value))
        if any(_leads_to_lake(candidate) for candidate in candidates):
            ours = f"deeplake_path={value!r}" if legacy else f"type={_LAKE!r}, path={value!r}"
            raise ConfigError(
                f"{dataset.get('type', 'the dataset')} reads a file of annotations, but there is a lake",
                where=f"config key '{path}.{key}'={value!r}",
                advice=f"write {ours} instead of {key}",
            )


def _leads_to_lake(path: str) -> bool:
    """By its address, or by the files that a v4 or v3 lake begins with."""
    if path.startswith(_LAKE_SCHEMES):
        return True
    folder = Path(path).expanduser()
    return "://" not in path and (
        (folder / "_deeplake_log").is_dir() or (folder / "dataset_meta.json").is_file()
    )
