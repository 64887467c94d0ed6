"""The wrappers around the datasets of MMDetection 2.28.2's own configs, where 3.x's have others.

The child of such a config says ``data=dict(train=dict(dataset=dict(ann_file=...)))`` or
``data=dict(train=dict(ann_file=...))``: it must find the dataset where 2.28.2 had it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["as_one_dataset", "repeated", "with_old_wrappers"]

Part = dict[str, Any]

_LISTS = ("ann_file", "img_prefix", "seg_prefix", "proposal_file")
# Type of the innermost dataset -> how often it is repeated in 2.28.2, and in 3.x where that differs.
_TIMES = {"DeepFashionDataset": (1, 2), "WIDERFaceDataset": (2, 1)}
_MORE = {"WIDERFaceDataset": {"min_size": 17}}  # which 3.x says in filter_cfg
# 3.x trains it for three times as many epochs instead.
_PANOPTIC, _LONG, _TIMES_LONG = "CocoPanopticDataset", 36, 3


def as_one_dataset(parts: Sequence[Part]) -> Part | None:
    """Combine 2.x datasets that differ in their files alone into one with lists of files.

    2.28.2's Pascal VOC was one such dataset; 3.x concatenates two.

    Args:
        parts: The 2.x datasets.

    Returns:
        The combined dataset; None if they differ in anything else, or there are less than two.
    """
    if len(parts) < 2 or not all(part.get("ann_file") for part in parts):
        return None
    rests = [{key: value for key, value in part.items() if key not in _LISTS} for part in parts]
    lists = {key: [part.get(key) for part in parts] for key in _LISTS if key in parts[0]}
    same = all(
        rest == rests[0] and set(part) == set(parts[0]) for rest, part in zip(rests, parts, strict=True)
    )
    return {**rests[0], **lists} if same else None


def with_old_wrappers(old: Mapping[str, Any]) -> Part:
    """Put the dataset wrappers of MMDetection 2.28.2's own configs into a 3.x one that is written as 2.x.

    Args:
        old: From `as_legacy`; not changed.
    """
    data = dict(old.get("data") or {})
    train = data.get("train")
    if not isinstance(train, Mapping):
        return dict(old)
    repeated = train.get("type") == "RepeatDataset"
    inner = train["dataset"] if repeated else train
    kind, times = str(inner.get("type")), train.get("times", 1) if repeated else 1
    new = dict(old)
    if kind in _TIMES and times == _TIMES[kind][1]:
        data["train"] = _repeated({**inner, **_MORE.get(kind, {})}, _TIMES[kind][0])
    elif kind == _PANOPTIC and not repeated and (old.get("runner") or {}).get("max_epochs") == _LONG:
        data["train"] = _repeated(inner, _TIMES_LONG)
        new["runner"] = {**old["runner"], "max_epochs": _LONG // _TIMES_LONG}
        steps = (old.get("lr_config") or {}).get("step")
        if steps is not None:
            new["lr_config"] = {**old["lr_config"], "step": [step // _TIMES_LONG for step in steps]}
        if "interval" in (old.get("evaluation") or {}):
            interval = max(old["evaluation"]["interval"] // _TIMES_LONG, 1)
            new["evaluation"] = {**old["evaluation"], "interval": interval}
    return {**new, "data": data}


def repeated(old: Part) -> Part:
    """Put a ``RepeatDataset`` around a 2.x config's training dataset that itself has the key ``times``.

    Args:
        old: The config; not changed. It comes back as it is if its training dataset has no such key.
    """
    data = old.get("data")
    train = data.get("train") if isinstance(data, Mapping) else None
    if not isinstance(train, Mapping) or "times" not in train or train.get("type") == "RepeatDataset":
        return old
    inner = {key: value for key, value in train.items() if key != "times"}
    return {**old, "data": {**old["data"], "train": _repeated(inner, train["times"])}}


def _repeated(dataset: Mapping[str, Any], times: int) -> Part:
    return (
        dict(dataset) if times == 1 else {"type": "RepeatDataset", "times": times, "dataset": dict(dataset)}
    )
