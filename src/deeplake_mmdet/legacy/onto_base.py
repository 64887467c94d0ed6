"""A 2.x config whose base exists only in its 3.x form: the base is written as 2.x first, then both convert.

Merging a converted child onto a 3.x base would not do: a child may say ``lr_config=dict(step=[8, 11])`` or
``data=dict(train=dict(ann_file=...))``, which only mean something together with what they change.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from deeplake_mmdet.legacy.datasets.old_wrappers import as_one_dataset, with_old_wrappers
from deeplake_mmdet.legacy.guard import converting
from deeplake_mmdet.legacy.kinds import DICT, must_be
from deeplake_mmdet.legacy.models.old_models import as_old_model
from deeplake_mmdet.legacy.pipelines.sizes import as_old_steps

__all__ = ["as_legacy", "merge"]

Part = dict[str, Any]

_WRAPPERS = ("RepeatDataset", "ClassBalancedDataset", "ConcatDataset", "MultiImageMixDataset")
_KEPT = (
    "custom_hooks",
    "auto_scale_lr",
    "load_from",
    "log_level",
    "find_unused_parameters",
    "custom_imports",
)
# Files that 3.x looks for in data_root.
_IN_ROOT = ("proposal_file", "label_file", "hierarchy_file", "meta_file", "image_level_ann_file")
_WARMUPS = {"LinearLR": "linear", "ConstantLR": "constant"}


def merge(base: Any, child: Any, *, marked: bool = False) -> Any:
    """Merge two configs as mmengine does.

    Dicts are merged key by key; one with ``_delete_=True``, and every other value, replaces the base's.

    Args:
        base: What is changed; it may hold marks of an earlier merge.
        child: What changes it.
        marked: Keep the marks ``_delete_=True``: another base is still to be put below.

    Returns:
        A deep copy; neither argument is changed.
    """
    if not isinstance(child, Mapping):
        return deepcopy(child)
    fresh = not isinstance(base, Mapping) or child.get("_delete_")
    merged = {} if fresh else {key: deepcopy(value) for key, value in base.items()}
    for key, value in child.items():
        if key != "_delete_" or (marked and value):
            merged[key] = merge(merged.get(key), value, marked=marked)
    return merged


def as_legacy(base: Mapping[str, Any], *, of_2x: bool = True) -> Part:
    """Write a stock 3.x config as 2.x: everything that a 2.x child may want to change.

    Models and pipelines stay as they are, but for settings that 3.x moved and sizes whose order it changed:
    the conversion passes on those of 3.x.

    Args:
        base: The config; not changed.
        of_2x: Whether it takes the place of one of 2.x, whose datasets had other wrappers.

    Raises:
        ConfigError: A part of it has a value that MMDetection 3.x would not take either.
    """
    old: Part = {key: deepcopy(base[key]) for key in _KEPT if base.get(key) is not None}
    if base.get("model") is not None:
        with converting("model"):
            old["model"] = as_old_model(base["model"])
    with converting("train_dataloader, val_dataloader, test_dataloader"):
        old["data"] = _data(base)
    loop = base.get("train_cfg") or {}
    if "max_epochs" in loop:
        old["runner"] = {"type": "EpochBasedRunner", "max_epochs": loop["max_epochs"]}
    elif "max_iters" in loop:
        old["runner"] = {"type": "IterBasedRunner", "max_iters": loop["max_iters"]}
    with converting("optim_wrapper"):
        old |= _optimizer(base.get("optim_wrapper") or {})
    if base.get("param_scheduler"):
        with converting("param_scheduler"):
            old["lr_config"] = _schedule(base["param_scheduler"])
        if old["lr_config"].get("by_epoch") is ("max_iters" not in loop):
            del old["lr_config"]["by_epoch"]  # it follows from the runner, which a child may change
    with converting("val_evaluator"):
        old["evaluation"] = _evaluation(base, loop)
    hooks = base.get("default_hooks") or {}
    for name in ("checkpoint", "logger"):
        if name in hooks:
            must_be(DICT, hooks[name], f"default_hooks.{name}")
    if "checkpoint" in hooks:
        old["checkpoint_config"] = {key: value for key, value in hooks["checkpoint"].items() if key != "type"}
        for key in ("save_best", "rule"):
            if key in old["checkpoint_config"]:
                old["evaluation"][key] = old["checkpoint_config"].pop(key)
    if "logger" in hooks:
        old["log_config"] = {"interval": hooks["logger"].get("interval", 50)}
    old = {key: value for key, value in old.items() if value not in ({}, None)}
    return with_old_wrappers(old) if of_2x else old


def _data(base: Mapping[str, Any]) -> Part:
    data: Part = {}
    for split in ("train", "val", "test"):
        loader = base.get(f"{split}_dataloader")
        if not loader:
            continue
        data[split] = _dataset(loader.get("dataset") or {})
        numbers = {"samples_per_gpu": "batch_size", "workers_per_gpu": "num_workers"}
        found = {old: loader[new] for old, new in numbers.items() if new in loader}
        if split == "train":
            data |= found
            sampler = loader.get("sampler") or {}
            if sampler.get("type") == "ClassAwareSampler":
                count = sampler.get("num_sample_class", 1)
                data["train_dataloader"] = {"class_aware_sampler": {"num_sample_class": count}}
        else:
            data[f"{split}_dataloader"] = found
            if instances := _instances(base.get(f"{split}_evaluator")):
                data[split]["ins_ann_file"] = instances
    return data


def _instances(evaluators: Any) -> str | None:
    """The file of boxes by which a panoptic dataset is scored too."""
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators or {}]
    kinds = {evaluator.get("type"): evaluator for evaluator in evaluators}
    return kinds["CocoMetric"].get("ann_file") if {"CocoMetric", "CocoPanopticMetric"} <= set(kinds) else None


def _dataset(dataset: Mapping[str, Any]) -> Part:
    if dataset.get("type") == "ConcatDataset":
        parts = [_dataset(part) for part in dataset.get("datasets", [])]
        if one := as_one_dataset(parts):
            return one
        return {"type": "ConcatDataset", "datasets": parts}
    old = {key: value for key, value in dataset.items() if key in ("type", "times", "oversample_thr")}
    if isinstance(dataset.get("pipeline"), (list, tuple)):
        old["pipeline"] = as_old_steps(dataset["pipeline"])
    if dataset.get("type") in _WRAPPERS:
        return {**old, "dataset": _dataset(dataset.get("dataset") or {})}
    root = str(dataset.get("data_root") or "")
    old["ann_file"] = f"{root}{dataset['ann_file']}" if dataset.get("ann_file") else None
    prefix = dataset.get("data_prefix") or {}
    image = prefix.get("img", prefix.get("sub_data_root"))
    old["img_prefix"] = f"{root}{image}" if image is not None else None
    old["seg_prefix"] = f"{root}{prefix['seg']}" if prefix.get("seg") else None
    old["classes"] = (dataset.get("metainfo") or {}).get("classes")
    filters = dataset.get("filter_cfg") or {}
    old["filter_empty_gt"] = filters.get("filter_empty_gt")
    for key in _IN_ROOT:
        if value := dataset.get(key):
            old[key] = value if str(value).startswith("/") else f"{root}{value}"
    known = {"data_root", "ann_file", "data_prefix", "metainfo", "filter_cfg", "test_mode", "backend_args"}
    known |= {"pipeline", *_IN_ROOT}
    old |= {key: value for key, value in dataset.items() if key not in known}
    return {key: deepcopy(value) for key, value in old.items() if value is not None}


def _optimizer(wrapper: Mapping[str, Any]) -> Part:
    optimizer = deepcopy(dict(wrapper.get("optimizer") or {}))
    for key in ("paramwise_cfg", "constructor"):
        if wrapper.get(key):
            optimizer[key] = deepcopy(wrapper[key])
    old: Part = {
        "optimizer": optimizer,
        "optimizer_config": {"grad_clip": deepcopy(wrapper.get("clip_grad"))},
    }
    if wrapper.get("accumulative_counts", 1) > 1:
        old["optimizer_config"]["cumulative_iters"] = wrapper["accumulative_counts"]
    if wrapper.get("type") == "AmpOptimWrapper":
        old["fp16"] = {"loss_scale": wrapper.get("loss_scale", "dynamic")}
    return old


def _schedule(schedulers: Any) -> Part:
    """``lr_config`` of a warm-up, steps or a cosine, as stock configs have them."""
    schedulers = [schedulers] if isinstance(schedulers, Mapping) else list(schedulers)
    old: Part = {}
    for item in schedulers:
        kind = str(item.get("type", "")).removeprefix("mmdet.")
        if kind in _WARMUPS and item.get("begin", 0) == 0 and not item.get("by_epoch", True):
            old |= {"warmup": _WARMUPS[kind], "warmup_iters": item["end"]}
            old["warmup_ratio"] = item.get("start_factor", item.get("factor"))
        elif kind == "MultiStepLR":
            old |= {"policy": "step", "step": list(item["milestones"]), "gamma": item.get("gamma", 0.1)}
            old["by_epoch"] = item.get("by_epoch", True)
        elif kind == "CosineAnnealingLR":
            old |= {"policy": "CosineAnnealing", "by_epoch": not item.get("convert_to_iter_based", False)}
            old |= _minimum(item)
        elif kind == "QuadraticWarmupLR":
            old |= {"warmup": "exp", "warmup_iters": item["end"], "warmup_ratio": 1, "warmup_by_epoch": True}
    if old.get("warmup_by_epoch") and old.get("policy") == "CosineAnnealing":
        last = next((item for item in schedulers if item.get("type") == "ConstantLR"), {"begin": 0, "end": 0})
        old |= {"policy": "YOLOX", "by_epoch": False, "num_last_epochs": last["end"] - last["begin"]}
    return old


def _minimum(item: Mapping[str, Any]) -> Part:
    if item.get("eta_min_ratio") is not None:
        return {"min_lr_ratio": item["eta_min_ratio"]}
    return {"min_lr": item.get("eta_min", 0.0)}


def _evaluation(base: Mapping[str, Any], loop: Mapping[str, Any]) -> Part:
    evaluators = base.get("val_evaluator") or []
    evaluators = [evaluators] if isinstance(evaluators, Mapping) else list(evaluators)
    metrics: list[str] = []
    for evaluator in evaluators:
        if evaluator.get("type") == "CocoPanopticMetric":
            metrics.append("PQ")
        elif (metric := evaluator.get("metric")) is not None:
            metrics += [metric] if isinstance(metric, str) else list(metric)
    old: Part = {"interval": loop.get("val_interval", 1)}
    if metrics:
        old["metric"] = metrics[0] if len(metrics) == 1 else metrics
    if loop.get("dynamic_intervals"):
        old["dynamic_intervals"] = loop["dynamic_intervals"]
    return old
