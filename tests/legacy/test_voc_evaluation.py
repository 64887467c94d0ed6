"""How 2.x scored Pascal VOC's files and those like them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zoo_compare
from mmdet.registry import METRICS

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict

CLASSES = ("a",)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    zoo_compare.register()


def converted(kind, prefix="d/", root=None, **evaluation):
    steps = [{"type": "LoadImageFromFile"}, {"type": "Collect", "keys": ["img"]}]
    node = {"type": kind, "ann_file": "a.txt", "img_prefix": prefix, "pipeline": steps, "classes": CLASSES}
    node |= {"data_root": root} if root else {}
    cfg = {"data": {"train": node, "val": node}, "runner": {"type": "EpochBasedRunner", "max_epochs": 1}}
    content, notes = convert_config_dict({**cfg, "evaluation": {"interval": 1, **evaluation}})
    return content["val_evaluator"], [note for note in notes if note.key.startswith("evaluation")]


MODES = [
    ("VOCDataset", "data/VOCdevkit/VOC2007/", None, "11points"),
    ("VOCDataset", "", "data/VOC2007/", "11points"),
    ("VOCDataset", "data/VOCdevkit/VOC2012/", None, "area"),
    ("XMLDataset", "d/", None, "area"),
    ("XMLDataset", "VOC2007/", None, "area"),
    ("WIDERFaceDataset", "d/", None, "area"),
    ("MyDataset", "d/", None, "area"),  # derived from CustomDataset: nothing else knows mAP
]


@pytest.mark.parametrize(("kind", "prefix", "root", "mode"), MODES)
def test_only_2007_counts_eleven_points(kind, prefix, root, mode):
    metric, notes = converted(kind, prefix, root, metric="mAP")
    assert (metric["type"], metric["metric"], metric["eval_mode"]) == ("VOCMetric", "mAP", mode)
    # 3.x measures boxes as VOC does, one pixel wider; 2.x did so for VOCDataset alone.
    assert [note.severity for note in notes] == ["approximated"] * (kind != "VOCDataset")


def precision_recall(right, count):
    """Ten right detections of twenty objects, then wrong ones: precision at each recall."""
    hits = np.cumsum(right)
    return hits / np.arange(1, len(right) + 1), hits / count


@pytest.mark.parametrize(("kind", "prefix", "root", "mode"), MODES[::2])
def test_the_score_is_that_of_the_mode(kind, prefix, root, mode):
    metric = METRICS.build(converted(kind, prefix, root, metric="mAP")[0])
    metric.dataset_meta = {"classes": CLASSES}
    count = 20
    right = np.array([number % 3 != 0 for number in range(count)])
    for number in range(count):
        box = torch.tensor([[20.0 * number, 0, 20.0 * number + 10, 10]])
        found = box if right[number] else box + torch.tensor([0, 500.0, 0, 500.0])
        truth = {"bboxes": box, "labels": torch.tensor([0])}
        none = {"bboxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
        scores = torch.tensor([1 - number / 40])
        guess = {"bboxes": found, "scores": scores, "labels": torch.tensor([0])}
        metric.process({}, [{"gt_instances": truth, "ignored_instances": none, "pred_instances": guess}])
    precision, recall = precision_recall(right, count)
    best = [max(precision[recall >= level], default=0) for level in np.linspace(0, 1, 11)]
    if mode == "area":
        levels = np.unique(recall[recall > 0])
        steps = np.diff([0, *levels])
        score = sum(step * max(precision[recall >= level]) for step, level in zip(steps, levels, strict=True))
    else:
        score = np.mean(best)
    assert metric.evaluate(count)["pascal_voc/mAP"] == pytest.approx(float(score), abs=1e-3)


@pytest.mark.parametrize("style", [{}, {"deeplake_metrics_format": "PascalVOC"}])
def test_scale_ranges_never_worked_and_do_not_stop_a_run(style):
    metric, notes = converted("VOCDataset", "VOC2007/", metric="mAP", scale_ranges=[(0, 32), (32, 96)])
    assert "scale_ranges" not in metric
    assert [(note.key, note.severity) for note in notes] == [("evaluation.scale_ranges", "dropped")]
    METRICS.build(metric)
    if style:
        lake = {"deeplake_path": "x", "pipeline": []}
        cfg = {"data": {"val": lake}, "evaluation": {"scale_ranges": [(0, 32)]}, **style}
        content, notes = convert_config_dict(cfg)
        assert "scale_ranges" not in content["val_evaluator"]
        assert "evaluation.scale_ranges" in [note.key for note in notes]


@pytest.mark.parametrize("kind", ["CocoDataset", "MyDataset", "LVISV1Dataset"])
def test_a_metric_that_3x_does_not_know_is_named(kind):
    with pytest.raises(ConfigError, match="'bbox_h_mAP'"):
        converted(kind, metric=["bbox_h_mAP"])


@pytest.mark.parametrize("kind", ["VOCDataset", "XMLDataset", "WIDERFaceDataset"])
def test_metrics_that_voc_files_do_not_have_are_refused(kind):
    val = {"type": kind, "ann_file": "a.txt", "img_prefix": "VOC2007/", "pipeline": []}
    with pytest.raises(ConfigError, match=r"Unknown metric 'bbox'.*mAP, recall"):
        convert_config_dict({"data": {"val": val}, "evaluation": {"metric": "bbox"}})
