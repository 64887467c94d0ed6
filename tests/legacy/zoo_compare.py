"""Comparing converted 2.x configs with MMDetection's own 3.x configs; no test of its own.

Two settings count as equal if nothing that a run does could tell them apart: missing arguments are filled in
with the defaults of the classes that are built from them.
"""

from __future__ import annotations

import functools
import inspect
import json
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from mmdet.registry import DATASETS, MODELS, TASK_UTILS, TRANSFORMS
from mmdet.utils import register_all_modules
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

import deeplake_mmdet  # noqa: F401 - stands in for ops that are not compiled

EPOCH_LENGTH = 500
POINTS = 200
_NEVER = 10**9
# What has to be equal, with the parameters of the model; the rest is compared and listed as well.
DEMANDED = ("train_pipeline", "test_pipeline", "optimizer", "schedule", "batch_size", "evaluator")
SECTIONS = (*DEMANDED, "evaluator_options", "model", "preprocessor")

# Not what a model computes: where weights come from, and who taught whom.
_NOT_MODEL = {"init_cfg", "teacher_config", "teacher_ckpt", "data_preprocessor"}
# The stock SSD head with what its prediction lacks.
_SAME_TYPES = {"deeplake_mmdet.SSDHead": "SSDHead"}
_NO_EFFECT = {"backend_args", "file_client_args", "imdecode_backend", "_scope_"}


def compare(ours: Mapping[str, Any], official: Mapping[str, Any]) -> dict[str, list[str]]:
    """Differences by section; empty if there are none."""
    register()
    found = {}
    for section in SECTIONS:
        found[section] = _SECTIONS[section](ours, official)
    return {section: differences for section, differences in found.items() if differences}


@functools.cache
def register() -> None:
    """Register all of MMDetection."""
    register_all_modules(init_default_scope=True)


def _model(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    def normal(cfg: Mapping[str, Any]) -> Any:
        found = _normal(without(cfg.get("model"), _NOT_MODEL), "")
        if isinstance(found, dict) and isinstance(found.get("train_cfg"), dict):
            found["train_cfg"].setdefault("sampler", _normal({"type": "PseudoSampler"}, ""))
        return found

    return _differences(normal(ours), normal(official), "model")


def _preprocessor(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    def normal(cfg: Mapping[str, Any]) -> Any:
        return _normal((cfg.get("model") or {}).get("data_preprocessor") or {}, "")

    return _differences(normal(ours), normal(official), "")


def without(node: Any, names: set[str]) -> Any:
    """The same without entries of these names, however deep."""
    if isinstance(node, Mapping):
        return {name: without(value, names) for name, value in node.items() if name not in names}
    return type(node)(without(item, names) for item in node) if isinstance(node, (list, tuple)) else node


def _pipelines(split: str, ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    skipped = {"poly2mask"} if split == "val" else set()  # metrics take masks from elsewhere
    old = [without(_steps(part), skipped) for part in pipelines_of(ours[f"{split}_dataloader"]["dataset"])]
    new = [
        without(_steps(part), skipped) for part in pipelines_of(official[f"{split}_dataloader"]["dataset"])
    ]
    return _differences(old, new, "")


def _optimizer(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    def normal(wrapper: Mapping[str, Any]) -> Any:
        wrapper = json.loads(json.dumps(wrapper, default=str))
        optimizer = wrapper.get("optimizer", {})
        usual = {"SGD": {"momentum": 0, "nesterov": False}, "AdamW": {"betas": [0.9, 0.999], "eps": 1e-8}}
        wrapper["optimizer"] = {**usual.get(optimizer.get("type"), {}), **optimizer}
        if wrapper.get("type") == "AmpOptimWrapper":
            wrapper.setdefault("loss_scale", "dynamic")
        return {name: value for name, value in wrapper.items() if value is not None and name != "_delete_"}

    return _differences(normal(ours["optim_wrapper"]), normal(official["optim_wrapper"]), "")


def _batch_size(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    def of(cfg: Mapping[str, Any]) -> Any:
        return cfg["train_dataloader"]["batch_size"]

    return [] if of(ours) == of(official) else [f"{of(ours)} != {of(official)}"]


def _evaluator(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    """Which metrics are computed: their types and names."""

    def normal(metric: Mapping[str, Any]) -> list[Any]:
        names = metric.get("metric", {"CocoMetric": "bbox", "VOCMetric": "mAP"}.get(metric["type"]))
        return [metric["type"], sorted([names] if isinstance(names, str) else names or [])]

    return _differences(*(sorted(map(normal, _metrics(cfg)), key=str) for cfg in (ours, official)), "")


def _evaluator_options(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    """From which file, and how Pascal VOC's points are counted."""

    def normal(metric: Mapping[str, Any]) -> list[Any]:
        return [metric["type"], metric.get("ann_file"), metric.get("eval_mode")]

    return _differences(*(sorted(map(normal, _metrics(cfg)), key=str) for cfg in (ours, official)), "")


def _metrics(cfg: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    evaluator = cfg["val_evaluator"]
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]


def _schedule(ours: Mapping[str, Any], official: Mapping[str, Any]) -> list[str]:
    one, two = _training(ours), _training(official)
    if one.iterations != two.iterations or one.by_epoch != two.by_epoch:
        return [f"length {one} != {two}"]
    warm = max(end_of_warmup(json.loads(item.schedulers), item.epoch) for item in (one, two))
    points = sorted({*range(20), *(round(i * (one.iterations - 1) / (POINTS - 1)) for i in range(POINTS))})
    first, second = curve(one, tuple(points)), curve(two, tuple(points))
    base, worst = max(one.rate, two.rate), []
    for point, left, right in zip(points, first, second, strict=True):
        limit = 0.01 * base if point <= warm else 1e-9 * base
        if abs(left - right) > limit:
            worst.append((point, left, right))
    if not worst:
        return []
    point, left, right = max(worst, key=lambda item: abs(item[1] - item[2]))
    return [
        f"{len(worst)} of {len(points)} points differ, most at iteration {point}: {left:.6g} != {right:.6g}"
    ]


class Training(NamedTuple):
    """How a config trains: its schedulers as JSON, the base rate, and its length."""

    schedulers: str
    rate: float
    by_epoch: bool
    epoch: int
    iterations: int

    def __str__(self) -> str:
        if not self.by_epoch:
            return f"{self.iterations} iterations"
        return f"{self.iterations // EPOCH_LENGTH} passes over the data"


def _training(cfg: Mapping[str, Any]) -> Training:
    loop, schedulers = cfg["train_cfg"], cfg.get("param_scheduler") or []
    schedulers = [schedulers] if isinstance(schedulers, Mapping) else schedulers
    by_epoch, dataset, epoch = "max_epochs" in loop, cfg["train_dataloader"]["dataset"], EPOCH_LENGTH
    # 12 epochs of three passes each train as long as 36 epochs do, so lengths are counted in passes.
    while isinstance(dataset, Mapping):
        epoch *= dataset["times"] if dataset.get("type") == "RepeatDataset" else 1
        dataset = dataset.get("dataset")
    length = loop["max_epochs"] * epoch if by_epoch else loop["max_iters"]
    return Training(json.dumps(schedulers), cfg["optim_wrapper"]["optimizer"]["lr"], by_epoch, epoch, length)


def end_of_warmup(schedulers: list[dict[str, Any]], epoch_length: int) -> int:
    """The iteration at which the last warm-up ends; a factor that never ends is none."""
    ends = [0]
    for item in schedulers:
        kinds = ("LinearLR", "ConstantLR", "mmdet.QuadraticWarmupLR")
        if item["type"] in kinds and item.get("begin", 0) == 0 and item.get("end", _NEVER) < _NEVER:
            ends.append(item["end"] * (epoch_length if item.get("by_epoch", True) else 1))
    return int(max(ends))


@functools.cache
def curve(training: Training, points: tuple[int, ...]) -> list[float]:
    """The rate at some iterations, from mmengine's schedulers."""
    schedulers = json.loads(training.schedulers)
    return learning_rates(schedulers, training.rate, list(points), training.by_epoch, training.epoch)


def learning_rates(
    schedulers: list[dict[str, Any]], rate: float, points: list[int], by_epoch: bool, epoch_length: int
) -> list[float]:
    """Step mmengine's schedulers as its ParamSchedulerHook does and read the rate at some iterations."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    built = []
    with DefaultScope.overwrite_default_scope("mmdet"):
        for item in schedulers:
            item = dict(item)
            if item.pop("convert_to_iter_based", False):
                item["convert_to_iter_based"] = True
                built.append(
                    PARAM_SCHEDULERS.build(
                        item, default_args={"optimizer": optimizer, "epoch_length": epoch_length}
                    )
                )
            else:
                built.append(PARAM_SCHEDULERS.build(item, default_args={"optimizer": optimizer}))
    wanted, found, last = set(points), {}, max(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for iteration in range(last + 1):
            if iteration in wanted:
                found[iteration] = optimizer.param_groups[0]["lr"]
            optimizer._global_step = iteration  # as if it had stepped
            for scheduler in built:
                if not scheduler.by_epoch:
                    scheduler.step()
            if by_epoch and (iteration + 1) % epoch_length == 0:
                for scheduler in built:
                    if scheduler.by_epoch:
                        scheduler.step()
    return [found[point] for point in points]


def pipelines_of(dataset: Mapping[str, Any]) -> list[Any]:
    """All pipelines of a dataset and its parts, outermost first, each once."""
    found = [dataset["pipeline"]] if dataset.get("pipeline") else []
    inner = dataset.get("datasets") or ([dataset["dataset"]] if dataset.get("dataset") else [])
    for part in inner:
        found += [item for item in pipelines_of(part) if item not in found]
    return found


def _steps(steps: Any) -> list[Any]:
    found = [_normal(step, "transform") for step in steps]
    loads = [step for step in found if step["type"].startswith("Load")]
    if len(found) > len(loads) and found[len(loads)]["type"] == "PhotoMetricDistortion":
        found[0].pop("to_float32", None)  # it makes floats of the image by itself
    return found


@functools.cache
def _defaults(kind: str) -> dict[str, Any] | None:
    for registry in (TRANSFORMS, MODELS, TASK_UTILS, DATASETS):
        found = registry.get(kind)
        if found is not None and inspect.isclass(found):
            defaults: dict[str, Any] = {}
            for parent in reversed(found.__mro__[:-1]):
                if "__init__" not in vars(parent):
                    continue
                parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
                if not any(item.kind is item.VAR_KEYWORD for item in parameters):
                    defaults = {}
                defaults |= {item.name: item.default for item in parameters if item.default is not item.empty}
            return defaults
    return None


def _normal(node: Any, place: str) -> Any:
    if isinstance(node, Mapping):
        node = dict(node)
        kind = node.get("type")
        if isinstance(kind, str):
            node["type"] = _SAME_TYPES.get(kind, kind)
            defaults = _defaults(kind) or {}
            node = {**{name: value for name, value in defaults.items() if _plain(value)}, **node}
            if node.get("keep_ratio") and isinstance(node.get("scales"), (list, tuple)):
                node["scales"] = [
                    sorted(scale) for scale in node["scales"]
                ]  # orientation does not count then
        if isinstance(node.get("ffn_cfg"), Mapping):
            node["ffn_cfg"] = {
                "num_fcs": 2,
                "act_cfg": {"type": "ReLU", "inplace": True},
                "ffn_drop": 0.0,
                **node["ffn_cfg"],
            }
        return {
            name: _normal(value, place)
            for name, value in node.items()
            if name not in _NO_EFFECT
            and not (value is None or value == {} or (name == "init_cfg" and not value))
        }
    if isinstance(node, (list, tuple)):
        return [_normal(item, place) for item in node]
    return node


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, tuple, dict))


def _differences(ours: Any, official: Any, path: str) -> list[str]:
    if isinstance(ours, dict) and isinstance(official, dict):
        if ours.get("type") != official.get("type"):
            return [f"{path}: {_short(ours)} != {_short(official)}"]
        found = []
        for name in sorted({*ours, *official}, key=str):
            here = f"{path}.{name}" if path else str(name)
            if name not in official:
                found.append(f"{here}: {_short(ours[name])} only in ours")
            elif name not in ours:
                found.append(f"{here}: {_short(official[name])} only in the official one")
            else:
                found += _differences(ours[name], official[name], here)
        return found
    if isinstance(ours, list) and isinstance(official, list):
        if len(ours) != len(official):
            return [f"{path}: {_short(ours)} != {_short(official)}"]
        return [
            line
            for i, pair in enumerate(zip(ours, official, strict=True))
            for line in _differences(*pair, f"{path}[{i}]")
        ]
    same = ours == official or (
        isinstance(ours, float)
        and isinstance(official, (int, float))
        and abs(ours - official) <= 1e-12 * max(1, abs(ours))
    )
    return [] if same else [f"{path}: {_short(ours)} != {_short(official)}"]


def _short(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) and "type" in item for item in value):
        return "[" + ", ".join(item["type"] for item in value) + "]"
    text = repr(value)
    return text if len(text) < 160 else text[:157] + "..."


_SECTIONS = {
    "model": _model,
    "preprocessor": _preprocessor,
    "train_pipeline": functools.partial(_pipelines, "train"),
    "test_pipeline": functools.partial(_pipelines, "val"),
    "optimizer": _optimizer,
    "schedule": _schedule,
    "batch_size": _batch_size,
    "evaluator": _evaluator,
    "evaluator_options": _evaluator_options,
}
