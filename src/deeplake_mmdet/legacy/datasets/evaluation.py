"""``evaluation`` -> evaluators, and what of it belongs to the training loop and the checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.datasets.data import Data
from deeplake_mmdet.legacy.datasets.datasets import STOCK
from deeplake_mmdet.legacy.datasets.parts import Part
from deeplake_mmdet.legacy.keys import metrics_format, nearest
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["Evaluation", "convert_evaluation"]

Metric = dict[str, Any]

_COCO = ("bbox", "segm", "proposal", "proposal_fast")
_VOC = ("mAP", "recall")
_OF_MAPS = ("PQ", "pq", "cityscapes")  # which no lake has
_PREFIX = {
    "CocoMetric": "coco",
    "VOCMetric": "pascal_voc",
    "LVISMetric": "lvis",
    "OpenImagesMetric": "openimages",
    "CocoPanopticMetric": "coco_panoptic",
    "CityScapesMetric": "cityscapes",
}
_OF_DATASET = {
    "VOCDataset": "VOCMetric",
    "XMLDataset": "VOCMetric",
    "WIDERFaceDataset": "VOCMetric",
    "LVISDataset": "LVISMetric",
    "LVISV05Dataset": "LVISMetric",
    "LVISV1Dataset": "LVISMetric",
    "OpenImagesDataset": "OpenImagesMetric",
    "OpenImagesChallengeDataset": "OpenImagesMetric",
}
_COCO_FILES = (*_COCO, "PQ", "pq", "cityscapes")
_FILES = {
    "CocoMetric": _COCO_FILES,
    "LVISMetric": _COCO,
    "OpenImagesMetric": ("mAP",),
    "VOCMetric": _VOC,
}
_IGNORED = ("logger", "tmpdir", "priority", "test_fn", "nproc", "file_client_args")
_RENAMED = {"iou_thr": "iou_thrs", "jsonfile_prefix": "outfile_prefix"}


@dataclass
class Evaluation:
    """A converted ``evaluation``.

    Attributes:
        evaluators: By split, ``val`` and ``test``: a metric, a list of them, or what scores several datasets.
        loop: Entries for the training loop: ``val_interval``, ``val_begin``, ``dynamic_intervals``.
        checkpoint: Entries for the checkpoint hook: ``save_best`` and the like.
    """

    evaluators: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)


def convert_evaluation(cfg: Mapping[str, Any], data: Data, by_epoch: bool, notes: Notebook) -> Evaluation:
    """Make the evaluators of ``evaluation``, ``deeplake_metrics_format`` and the datasets.

    Args:
        cfg: A whole 2.x config.
        data: From `convert_data`: the converted dataloaders and the datasets that are scored.
        by_epoch: Whether training counts epochs rather than iterations.
        notes: Where remarks go.

    Raises:
        ConfigError: A metric is unknown, or one list holds both lakes and annotation files.
    """
    settings = Settings(cfg.get("evaluation"), "evaluation", notes)
    take = settings.take
    found = Evaluation()
    found.loop["val_interval"] = take("interval", 1)
    if (start := take("start")) is not None:
        found.loop["val_begin"] = start
    if dynamic := take("dynamic_intervals"):
        found.loop["dynamic_intervals"] = [tuple(pair) for pair in dynamic]
    if settings.take("by_epoch", by_epoch) is not by_epoch:
        notes.approximated(
            "evaluation.by_epoch",
            "the interval counts as the training loop does",
            "3.x has one unit for both",
        )
    found.checkpoint |= settings.move("save_best", "rule", "greater_keys", "less_keys", "out_dir")
    metrics = _names(take("metric"))
    options = settings.move(
        "classwise", "proposal_nums", "iou_thrs", "iou_thr", "metric_items", "jsonfile_prefix", "scale_ranges"
    )
    options |= settings.move("use_group_of", "get_supercategory")
    if take("gpu_collect"):
        options["collect_device"] = "gpu"
    for name in _IGNORED:
        settings.drop(name, "the loops of 3.x do it their own way")
    settings.drop("type", "3.x has one way to evaluate", harmless=(None, "EvalHook", "DistEvalHook"))
    settings.drop("broadcast_bn_buffer", "use SyncNormHook", harmless=(None, True))
    settings.drop_rest("no 3.x metric has such an argument")
    style = metrics_format(cfg) or "COCO"
    for split in ("val", "test"):
        if split not in data.loaders:
            continue
        by_part: list[list[Metric]] = []
        for part in data.parts[split]:
            if part.is_lake:
                by_part.append([_lake_metric(style, metrics, options, notes)])
            else:
                by_part.append(_file_metrics(part.source, metrics, options, notes))
            _note_unused(options, by_part[-1], notes)
        made = by_part[0]
        if len(by_part) > 1:
            found.evaluators[split] = _separate(split, data.parts[split], by_part, notes)
        elif made:
            found.evaluators[split] = made[0] if len(made) == 1 else made
    if isinstance(best := found.checkpoint.get("save_best"), str):
        found.checkpoint["save_best"] = _best_key(best, found.evaluators.get("val"), notes)
    return found


def _separate(split: str, parts: list[Part], made: list[list[Metric]], notes: Notebook) -> dict[str, Any]:
    """What scores each dataset of a list by itself."""
    key = f"data.{split}"
    if len({part.is_lake for part in parts}) > 1:
        raise ConfigError(
            "Lakes and files of annotations stand in one list, and no metric scores both",
            where=f"config key '{key}'",
            advice="import the files into a lake: deeplake-mmdet import",
        )
    for metric in made[0][1:]:
        why = "3.x scores a list of datasets by one metric each"
        notes.dropped("evaluation.metric", f"{metric['type']} is left out for {key}", why)
    prefixes = [part.prefix for part in parts]
    notes.info(
        key,
        f"each of {len(parts)} datasets is scored by itself",
        "as MMDetection 2.x did; for lakes separate_eval=False on a ConcatDataset scores them together",
        old=f"{prefixes[0]}_<score>, ...",
        new=f"{prefixes[0]}/<metric>/<score>, ...",
    )
    metrics = [metrics[0] for metrics in made]
    for metric, prefix in zip(metrics, prefixes, strict=True):
        if file := metric.get("outfile_prefix"):
            metric["outfile_prefix"] = f"{file}.{prefix}"
    return {"type": "MultiDatasetsEvaluator", "metrics": metrics, "dataset_prefixes": prefixes}


def _note_unused(options: Mapping[str, Any], made: list[Metric], notes: Notebook) -> None:
    voc = any(str(metric["type"]).endswith("VOCMetric") for metric in made)
    for name, value in options.items():
        if name == "scale_ranges" and voc:
            continue  # noted with its reason
        if value is not None and not any(_RENAMED.get(name, name) in metric for metric in made):
            kinds = " and ".join(str(metric["type"]) for metric in made)
            notes.dropped(f"evaluation.{name}", "dropped", f"{kinds} has no such option", old=value)


def _names(metric: Any) -> list[str]:
    return [] if metric is None else [metric] if isinstance(metric, str) else list(metric)


def _lake_metric(style: str, metrics: list[str], options: Mapping[str, Any], notes: Notebook) -> Metric:
    known, others, usual = (_COCO, _VOC, "bbox") if style == "COCO" else (_VOC, _COCO, "mAP")
    for name in metrics:
        if name not in (*known, *others, *_OF_MAPS):
            near = nearest(name, known)
            raise ConfigError(
                f"Unknown metric {name!r}",
                where="config key 'evaluation.metric'",
                advice=(f"perhaps {near!r} is meant; " if near else "") + f"{style} has {', '.join(known)}",
            )
    chosen = [name for name in metrics if name in known]
    if metrics and chosen != metrics:
        notes.approximated(
            "evaluation.metric",
            f"becomes {chosen or usual}",
            f"deeplake_metrics_format is {style}, which has {', '.join(known)}",
            old=metrics,
        )
    if style != "COCO":
        metric: Metric = {
            "type": "deeplake_mmdet.VOCMetric",
            "metric": (chosen or [usual])[0],
            "eval_mode": "area",
        }
        return {**metric, **_voc_options(options, notes)}
    values: Any = chosen or [usual]
    metric = {"type": "deeplake_mmdet.CocoMetric", "metric": values[0] if len(values) == 1 else values}
    if options.get("jsonfile_prefix"):
        metric["outfile_prefix"] = options["jsonfile_prefix"]
    kept = ("classwise", "proposal_nums", "iou_thrs", "metric_items", "collect_device")
    return {**metric, **{name: options[name] for name in kept if options.get(name) is not None}}


def _voc_options(options: Mapping[str, Any], notes: Notebook) -> dict[str, Any]:
    found = {name: options[name] for name in ("proposal_nums", "collect_device") if options.get(name)}
    if ranges := options.get("scale_ranges"):
        notes.dropped(
            "evaluation.scale_ranges",
            "dropped",
            "2.x's VOCDataset never read it, others failed with it; all sizes are scored together",
            old=ranges,
        )
    if (threshold := options.get("iou_thr", options.get("iou_thrs"))) is not None:
        found["iou_thrs"] = threshold
    return found


def _file_metrics(
    source: Mapping[str, Any], metrics: list[str], options: Mapping[str, Any], notes: Notebook
) -> list[Metric]:
    kind = str(source.get("type", "")).removeprefix("mmdet.")
    name = _OF_DATASET.get(kind, "CocoMetric")
    own = kind not in STOCK  # derived from 2.x's CustomDataset, if it says mAP or recall
    if own and metrics and set(metrics) <= set(_VOC):
        name = "VOCMetric"
    if unknown := [metric for metric in metrics if metric not in _FILES[name]]:
        raise ConfigError(
            f"Unknown metric {unknown[0]!r}",
            where="config key 'evaluation.metric'",
            advice=f"{name} has {', '.join(_FILES[name])}"
            + ("; a metric of your own goes into val_evaluator of the converted config" if own else ""),
        )
    if name == "VOCMetric":
        return [_voc_metric(kind, source, metrics, options, notes)]
    if name == "OpenImagesMetric":
        threshold = options.get("iou_thr", 0.5)
        found: Metric = {"type": name, "iou_thrs": threshold, "ioa_thrs": options.get("ioa_thr", 0.5)}
        return [{**found, "use_group_of": options.get("use_group_of", True), "get_supercategory": True}]
    made: list[Metric] = []
    if kind == "CocoPanopticDataset" and ("PQ" in metrics or not metrics):
        made.append(
            {
                "type": "CocoPanopticMetric",
                **_present(ann_file=_path(source, "ann_file"), seg_prefix=_path(source, "seg_prefix")),
            }
        )
    values = [metric for metric in metrics if metric not in ("PQ", "pq", "cityscapes")] or (
        [] if made else ["bbox"]
    )
    if values:
        instances = "ins_ann_file" if kind == "CocoPanopticDataset" else "ann_file"
        metric = {"type": name, **_present(ann_file=_path(source, instances))}
        metric["metric"] = values[0] if len(values) == 1 else values
        for key in ("classwise", "proposal_nums", "iou_thrs", "metric_items", "collect_device"):
            if options.get(key) is not None:
                metric[key] = options[key]
        if options.get("jsonfile_prefix"):
            metric["outfile_prefix"] = options["jsonfile_prefix"]
        made.append(metric)
    if "cityscapes" in metrics:
        notes.approximated(
            "evaluation.metric",
            "CityScapesMetric is added",
            "it needs the folder of the ground truth: check seg_prefix",
        )
        made.append(
            {
                "type": "CityScapesMetric",
                "seg_prefix": _path(source, "img_prefix"),
                "outfile_prefix": "work_dirs/cityscapes",
            }
        )
    return made


def _voc_metric(
    kind: str, source: Mapping[str, Any], metrics: list[str], options: Mapping[str, Any], notes: Notebook
) -> Metric:
    """2.x took eleven points for its ``VOCDataset`` of 2007 alone, and the area under the curve elsewhere."""
    chosen = (metrics or ["mAP"])[0]
    if len(metrics) > 1:
        notes.dropped("evaluation.metric", f"becomes {chosen}", "2.x took one at a time here", old=metrics)
    root = f"{source.get('data_root') or ''}{_path(source, 'img_prefix') or ''}"
    points = kind == "VOCDataset" and "VOC2007" in root
    if kind != "VOCDataset":
        notes.approximated(
            "evaluation.metric",
            "boxes are measured one pixel wider",
            f"the VOCMetric of 3.x always does, 2.x did for VOCDataset alone, not for {kind}",
        )
    return {
        "type": "VOCMetric",
        "metric": chosen,
        "eval_mode": "11points" if points else "area",
        **_voc_options(options, notes),
    }


def _path(source: Mapping[str, Any], name: str) -> str | None:
    """A path of a 2.x dataset, with its root."""
    value, root = source.get(name), source.get("data_root")
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    if not value or not root or str(value).startswith(("/", str(root))):
        return value
    return f"{str(root).rstrip('/')}/{value}"


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _best_key(best: str, evaluator: Any, notes: Notebook) -> str:
    if best == "auto" or "/" in best or not evaluator:
        return best
    if isinstance(evaluator, Mapping) and "dataset_prefixes" in evaluator:
        prefixes = evaluator["dataset_prefixes"]
        prefix = next((one for one in prefixes if best.startswith(f"{one}_")), None)
        if prefix is None:
            prefix = prefixes[0]
            why = "the datasets are scored each by itself: 2.x found no score of that name"
            notes.approximated("evaluation.save_best", f"becomes that of dataset {prefix}", why, old=best)
        else:
            best = best.removeprefix(f"{prefix}_")
        number = prefixes.index(prefix)
        return f"{prefix}/{_best_key(best, evaluator['metrics'][number], notes)}"
    metrics = evaluator if isinstance(evaluator, list) else [evaluator]
    kinds = [str(metric["type"]).removeprefix("deeplake_mmdet.") for metric in metrics]
    chosen = kinds[-1] if best not in ("PQ", "SQ", "RQ") else kinds[0]
    return f"{_PREFIX.get(chosen, 'coco')}/{best}"
