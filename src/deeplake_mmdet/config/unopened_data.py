"""What can be told of a config's datasets before anything is opened.

Lakes where files of annotations are expected, and the other way round; steps of a pipeline that need what no
dataset gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.config.tree import SPLITS, Place, innermost_of, is_lake, kind_of_part
from deeplake_mmdet.errors import ConfigError

__all__ = ["check_unopened_data", "leads_to_lake"]

_LAKE = "deeplake_mmdet.DeepLakeDataset"
_LAKE_SCHEMES = ("al://", "hub://", "mem://")
_FILES = (".json", ".xml", ".txt", ".csv", ".yaml", ".yml", ".pkl", ".zip")
_MIXING = ("Mosaic", "MixUp", "CopyPaste")
_MIXER = "MultiImageMixDataset"
# Someone's own wrapper may do anything with the samples of what it wraps.
_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "Feed", _MIXER)


def check_unopened_data(content: Mapping[str, Any], *, legacy: bool = True) -> None:
    """Check the paths, local ones only by a look at the disk, and the pipelines of all datasets.

    Args:
        content: A 3.x config's content.
        legacy: Whether the user wrote a 2.x config: then messages name its keys.

    Raises:
        ConfigError: A dataset of files is given a lake, or a lake's path is that of annotations; a step mixes
            several images outside of a ``MultiImageMixDataset``, or loads proposals, which a lake has not.
    """
    places = {
        split: list(innermost_of(content, split, f"data.{split}" if legacy else None)) for split in SPLITS
    }
    for found in places.values():
        for place in found:
            (_check_lake if is_lake(place.node) else _check_files)(place.node, place.key, legacy)
    for split, found in places.items():
        for place in found:
            _check_pipelines(place, _switched(content) if split == "train" else {})


def _check_pipelines(place: Place, later: Mapping[str, Any]) -> None:
    kinds = [kind_of_part(wrapper) for wrapper in place.above]
    if not all(kind in _WRAPPERS for kind in kinds):
        return
    # What takes the place of a MultiImageMixDataset's own steps may mix.
    pipelines = {f"{place.key}.pipeline": place.node.get("pipeline"), **({} if _MIXER in kinds else later)}
    for key, steps in pipelines.items():
        for kind in _kinds(steps):
            _check(kind, place.node, key)


def _switched(content: Mapping[str, Any]) -> dict[str, Any]:
    """The pipelines that hooks give the training data later, by key."""
    hooks = content.get("custom_hooks") or ()
    return {
        f"custom_hooks[{number}].switch_pipeline": hook["switch_pipeline"]
        for number, hook in enumerate(hooks)
        if isinstance(hook, Mapping) and "switch_pipeline" in hook
    }


def _check(kind: str, dataset: Mapping[str, Any], key: str) -> None:
    where = f"config key '{key}'"
    if kind in _MIXING:
        raise ConfigError(
            f"{kind} mixes several images, and a dataset gives its pipeline one at a time",
            where=where,
            advice=f"put {kind} and what follows into the pipeline of a dict(type='MultiImageMixDataset', "
            "dataset=dict(..., pipeline=[loading]), pipeline=[...])",
        )
    if kind == "LoadProposals" and is_lake(dataset):
        raise ConfigError(
            "LoadProposals finds none: a lake holds no proposals",
            where=where,
            advice="use a detector that proposes regions by itself (Faster R-CNN, not Fast R-CNN)",
        )


def _kinds(steps: Any) -> Iterator[str]:
    """The types of the steps that are MMDetection's or MMCV's."""
    for step in steps if isinstance(steps, (list, tuple)) else ():
        if isinstance(step, Mapping):
            scope, _, kind = str(step.get("type")).rpartition(".")
            if scope.partition(".")[0] in ("", "mmdet", "mmcv"):
                yield kind
            yield from _kinds(step.get("transforms"))


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
        if any(leads_to_lake(candidate) for candidate in candidates):
            ours = f"deeplake_path={value!r}" if legacy else f"type={_LAKE!r}, path={value!r}"
            raise ConfigError(
                f"{dataset.get('type', 'the dataset')} reads a file of annotations, but there is a lake",
                where=f"config key '{path}.{key}'={value!r}",
                advice=f"write {ours} instead of {key}",
            )


def leads_to_lake(path: str) -> bool:
    """Whether there is a lake: by its address, or by the files that a v4 or v3 lake begins with.

    Args:
        path: A path of this machine, or an address.
    """
    if path.startswith(_LAKE_SCHEMES):
        return True
    folder = Path(path).expanduser()
    return "://" not in path and (
        (folder / "_deeplake_log").is_dir() or (folder / "dataset_meta.json").is_file()
    )
