"""Giving lakes the metric that reads its truth from them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config.tree import is_lake
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.terminal import DETAIL

__all__ = ["use_lake_metrics"]

_log = logging.getLogger("deeplake_mmdet")

# What stock options mean the same in ours; the others are about annotation files.
_COMMON = ("metric", "iou_thrs", "collect_device", "prefix")
_COCO = (*_COMMON, "classwise", "metric_items", "format_only", "outfile_prefix")
_KEPT = {
    "CocoMetric": (*_COCO, "proposal_nums"),
    "LVISMetric": _COCO,
    "VOCMetric": (*_COMMON, "proposal_nums", "eval_mode", "scale_ranges"),
}


def use_lake_metrics(cfg: Config) -> None:
    """Replace stock metrics of splits that read a lake, in place, and log it.

    A stock ``CocoMetric`` or ``LVISMetric`` wants an annotation file, which a lake has not, and a stock
    ``VOCMetric`` wants the val pipeline to load annotations. Ours give the same numbers (`LVISMetric` says
    where it does not). So does our `SeparateEvaluator` in place of the stock ``MultiDatasetsEvaluator``,
    where all of its metrics are ours.

    Some things MMDetection's own metrics cannot do with NumPy 2, which shows after a whole epoch: on files,
    ``proposal_fast`` becomes ``proposal``.

    Args:
        cfg: A 3.x config.

    Raises:
        ConfigError: Recalls are asked of a stock ``VOCMetric`` on files, or IoUs of a stock ``CocoMetric``.
    """
    for split in ("val", "test"):
        loader, evaluator = cfg.get(f"{split}_dataloader"), cfg.get(f"{split}_evaluator")
        if not loader or not evaluator:
            continue
        if not _reads_lake(loader.get("dataset", {})):
            for metric in _dicts(evaluator):
                _fit_to_numpy(metric, f"{split}_evaluator")
            continue
        if isinstance(evaluator, Mapping) and "metrics" in evaluator:
            cfg[f"{split}_evaluator"] = _of_several(evaluator, f"{split}_evaluator")
            continue
        found = [evaluator] if isinstance(evaluator, Mapping) else list(evaluator)
        new = [_replaced(metric) for metric in found]
        if new != found:
            names = ", ".join(
                _ours(name) for name in _KEPT if any(_is(metric, "mmdet", name) for metric in found)
            )
            _log.info(
                f"{split}_evaluator: mmdet's metric becomes {names}; the lake is its truth", extra=DETAIL
            )
            cfg[f"{split}_evaluator"] = new[0] if isinstance(evaluator, Mapping) else new


def _of_several(evaluator: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An evaluator that is a config of its own, with metrics in it."""
    found = evaluator["metrics"]
    metrics = [_replaced(metric) for metric in ([found] if isinstance(found, Mapping) else found)]
    new = {**evaluator, "metrics": metrics}
    ours = all(str(metric.get("type")).startswith("deeplake_mmdet.") for metric in metrics)
    if _is(evaluator, "mmdet", "MultiDatasetsEvaluator") and ours:
        new["type"] = _ours("SeparateEvaluator")
        _log.info(f"{key}: each lake is scored by itself, by {_ours('SeparateEvaluator')}", extra=DETAIL)
    return new


def _replaced(metric: Any) -> Any:
    for name, keys in _KEPT.items():
        if isinstance(metric, Mapping) and _is(metric, "mmdet", name):
            kept = {key: metric[key] for key in keys if metric.get(key) not in (None, False)}
            return {"type": _ours(name), **kept}
    return metric


def _fit_to_numpy(metric: Any, key: str) -> None:
    """Change or refuse what a stock metric on files fails with under NumPy 2."""
    asked = metric.get("metric")
    names = [asked] if isinstance(asked, str) else list(asked or ())
    coco = _is(metric, "mmdet", "CocoMetric")
    if coco and "proposal_fast" in names:
        names = list(dict.fromkeys("proposal" if name == "proposal_fast" else name for name in names))
        metric["metric"] = names[0] if isinstance(asked, str) else names
        _log.warning(
            f"{key}: proposal_fast becomes proposal: MMDetection's own proposal_fast fails with NumPy 2"
        )
    if _is(metric, "mmdet", "VOCMetric") and "recall" in names:
        raise _cannot("compute recalls", f"{key}.metric", "metric", "metric='mAP'", "voc")
    if coco and metric.get("iou_thrs") is not None and {"bbox", "segm", "proposal"} & set(names):
        raise _cannot("take IoU thresholds", f"{key}.iou_thrs", "iou_thrs", "no iou_thrs", "coco")


def _cannot(what: str, key: str, old: str, instead: str, kind: str) -> ConfigError:
    return ConfigError(
        f"MMDetection's own metric cannot {what} with NumPy 2",
        where=f"config key '{key}', in a 2.x config 'evaluation.{old}'",
        advice=f"make a lake of the files, deeplake-mmdet import {kind}, whose metric can; or {instead}",
    )


def _ours(name: str) -> str:
    return f"deeplake_mmdet.{name}"


def _reads_lake(dataset: Any) -> bool:
    """Whether there is a lake anywhere in it: a wrapper of one's own may name it as it likes."""
    return any(map(is_lake, _dicts(dataset)))


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
