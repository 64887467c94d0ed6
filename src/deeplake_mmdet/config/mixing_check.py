"""Steps of a pipeline that need what no dataset gives: told before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deeplake_mmdet.config.kinds import is_lake
from deeplake_mmdet.errors import ConfigError

__all__ = ["check_pipelines"]

_MIXING = ("Mosaic", "MixUp", "CopyPaste")
_MIXER = "MultiImageMixDataset"
_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "Feed")


def check_pipelines(content: Mapping[str, Any], *, legacy: bool = True) -> None:
    """Check the pipelines of a 3.x config's datasets.

    Args:
        content: The config's content.
        legacy: Whether the user wrote a 2.x config: then messages name its keys.

    Raises:
        ConfigError: A step mixes several images outside of a ``MultiImageMixDataset``, or loads proposals,
            which a lake has not.
    """
    for split in ("train", "val", "test"):
        loader = content.get(f"{split}_dataloader")
        node = loader.get("dataset") if isinstance(loader, Mapping) else None
        where = f"data.{split}" if legacy else f"{split}_dataloader.dataset"
        later = _switched(content) if split == "train" else {}
        for path, dataset, mixed in _leaves(node, where):
            # What takes the place of a MultiImageMixDataset's own steps may mix.
            found = {f"{path}.pipeline": dataset.get("pipeline"), **({} if mixed else later)}
            for key, steps in found.items():
                for kind in _kinds(steps):
                    _check(kind, dataset, key)


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


def _leaves(node: Any, path: str, mixed: bool = False) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """The innermost datasets, and whether a wrapper mixes what they give.

    Those inside a wrapper of someone's own are left out: it may do anything with their samples.
    """
    if isinstance(node, (list, tuple)):
        for number, part in enumerate(node):
            yield from _leaves(part, f"{path}[{number}]", mixed)
    elif isinstance(node, Mapping):
        inner = [key for key in ("dataset", "datasets") if node.get(key)]
        kind = str(node.get("type")).rpartition(".")[2]
        if not inner:
            yield path, node, mixed
        elif kind in (*_WRAPPERS, _MIXER):
            for key in inner:
                yield from _leaves(node[key], f"{path}.{key}", mixed or kind == _MIXER)


def _kinds(steps: Any) -> Iterator[str]:
    """The types of the steps that are MMDetection's or MMCV's."""
    for step in steps if isinstance(steps, (list, tuple)) else ():
        if isinstance(step, Mapping):
            scope, _, kind = str(step.get("type")).rpartition(".")
            if scope.partition(".")[0] in ("", "mmdet", "mmcv"):
                yield kind
            yield from _kinds(step.get("transforms"))
