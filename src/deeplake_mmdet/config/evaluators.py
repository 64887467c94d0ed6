"""Giving lakes the metric that reads its truth from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

__all__ = ["use_lake_metrics"]

_OURS = "deeplake_mmdet.CocoMetric"
_KEPT = ("metric", "classwise", "proposal_nums", "iou_thrs", "metric_items", "collect_device", "prefix")


def use_lake_metrics(cfg: Config) -> None:
    """Replace stock box metrics of splits that read a lake, in place, and log it.

    A stock ``CocoMetric`` wants an annotation file; a lake has none. Only ``metric='bbox'`` is replaced,
    whose numbers ours equals.
    """
    for split in ("val", "test"):
        loader, evaluator = cfg.get(f"{split}_dataloader"), cfg.get(f"{split}_evaluator")
        if not loader or not evaluator or not _reads_lake(loader.get("dataset", {})):
            continue
        found = [evaluator] if isinstance(evaluator, Mapping) else list(evaluator)
        new = [_replaced(metric) for metric in found]
        if new != found:
            print_log(
                f"{split}_evaluator: mmdet's CocoMetric becomes {_OURS}; the lake is its truth", "current"
            )
            cfg[f"{split}_evaluator"] = new[0] if isinstance(evaluator, Mapping) else new


def _replaced(metric: Any) -> Any:
    if not isinstance(metric, Mapping) or not _is(metric, "mmdet", "CocoMetric"):
        return metric
    if metric.get("metric", "bbox") not in ("bbox", ["bbox"], ("bbox",)) or metric.get("format_only"):
        return metric
    return {"type": _OURS, **{key: metric[key] for key in _KEPT if key in metric}}


def _reads_lake(dataset: Any) -> bool:
    return any(_is(node, "deeplake_mmdet", "DeepLakeDataset") for node in _dicts(dataset))


def _is(node: Mapping[str, Any], package: str, name: str) -> bool:
    """By registry (``mmdet.CocoMetric``) or by module, as configs with imports have it."""
    kind = str(node.get("type"))
    return kind == name or (kind.startswith(f"{package}.") and kind.endswith(f".{name}"))


def _dicts(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)
