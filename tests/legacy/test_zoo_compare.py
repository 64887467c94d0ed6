"""The comparison of configs takes equal settings as equal, and hides no real difference."""

from __future__ import annotations

from copy import deepcopy

import pytest
import zoo_compare

STEP = {"type": "MultiStepLR", "by_epoch": True, "begin": 0, "end": 12, "milestones": [8, 11], "gamma": 0.1}
WARM = {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500}
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}]
FLOATS = {"type": "LoadImageFromFile", "to_float32": True}
COLOURS = {"type": "PhotoMetricDistortion"}
FLIP = {"type": "RandomFlip", "prob": 0.5}
BASE = {
    "model": {"type": "RetinaNet", "bbox_head": {"type": "SSDHead", "num_classes": 2}, "train_cfg": {}},
    "train_dataloader": {"batch_size": 2, "dataset": {"type": "CocoDataset", "pipeline": [*LOAD, FLIP]}},
    "val_dataloader": {"dataset": {"type": "CocoDataset", "pipeline": LOAD}},
    "val_evaluator": {"type": "CocoMetric", "metric": "bbox", "ann_file": "a.json"},
    "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.02}},
    "param_scheduler": [WARM, STEP],
    "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12},
}
RESIZE = {"type": "RandomChoiceResize", "scales": [(8, 6), (9, 7)], "keep_ratio": True}
TURNED = {**RESIZE, "scales": [(6, 8), (7, 9)]}
REPEATED = {"type": "RepeatDataset", "times": 3, "dataset": BASE["train_dataloader"]["dataset"]}
LONG = {"train_cfg.max_epochs": 36, "param_scheduler": [WARM, {**STEP, "end": 36, "milestones": [24, 33]}]}
TRAIN, VAL = "train_dataloader.dataset.pipeline", "val_dataloader.dataset.pipeline"
SGD = "optim_wrapper.optimizer"


def config(changes):
    """`BASE` with other values at dotted paths."""
    cfg = deepcopy(BASE)
    for path, value in changes.items():
        *way, last = path.split(".")
        node = cfg
        for name in way:
            node = node[name]
        node[last] = value
    return cfg


EQUAL = {
    "defaults": ({}, {TRAIN: [*LOAD, {**FLIP, "direction": "horizontal"}]}),
    "our SSD head": ({}, {"model.bbox_head.type": "deeplake_mmdet.SSDHead"}),
    "orientation, with the ratio kept": ({TRAIN: [RESIZE]}, {TRAIN: [TURNED]}),
    "floats for what makes floats": ({TRAIN: [*LOAD, COLOURS]}, {TRAIN: [FLOATS, LOAD[1], COLOURS]}),
    "masks of tests": ({}, {VAL: [LOAD[0], {**LOAD[1], "poly2mask": False}]}),
    "passes over the data": ({"train_dataloader.dataset": REPEATED}, LONG),
    "one step of the warm-up": ({}, {"param_scheduler": [{**WARM, "end": 501}, STEP]}),
    "defaults of the optimizer": ({}, {SGD: {"type": "SGD", "lr": 0.02, "nesterov": False}}),
    "the usual loss scale": (
        {"optim_wrapper.type": "AmpOptimWrapper"},
        {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.loss_scale": "dynamic"},
    ),
    "one metric in a list": ({}, {"val_evaluator.metric": ["bbox"]}),
    "the usual sampler": (
        {"model.train_cfg": {"sampler": {"type": "PseudoSampler"}}},
        {"model.train_cfg": {"debug": None}},
    ),
    "where bytes come from": ({}, {TRAIN: [{**LOAD[0], "backend_args": {"backend": "x"}}, LOAD[1], FLIP]}),
}
DIFFERENT = {
    "train_pipeline": [
        {TRAIN: [*LOAD, {**FLIP, "direction": "vertical"}]},
        {TRAIN: [*LOAD]},
        {TRAIN: [FLIP, *LOAD]},
        {TRAIN: [LOAD[0], {**LOAD[1], "poly2mask": False}, FLIP]},
        {TRAIN: [FLOATS, LOAD[1], FLIP]},
        {TRAIN: [FLOATS, LOAD[1], FLIP, COLOURS]},
    ],
    "test_pipeline": [{VAL: [FLOATS, LOAD[1]]}, {VAL: LOAD[:1]}],
    "optimizer": [
        {SGD: {"type": "SGD", "lr": 0.02, "nesterov": True}},
        {SGD: {"type": "SGD", "lr": 0.01}},
        {SGD: {"type": "SGD", "lr": 0.02, "weight_decay": 0.1}},
        {"optim_wrapper.type": "AmpOptimWrapper"},
        {"optim_wrapper.clip_grad": {"max_norm": 1}},
        {"optim_wrapper.loss_scale": 512.0},
        {"optim_wrapper.accumulative_counts": 2},
    ],
    "schedule": [
        {"train_cfg.max_epochs": 13},
        {"train_dataloader.dataset": REPEATED},
        {"param_scheduler": [STEP]},
        {"param_scheduler": [{**WARM, "start_factor": 0.1}, STEP]},
        {"param_scheduler": [{**WARM, "end": 1000}, STEP]},
        {"param_scheduler": [WARM, {**STEP, "milestones": [8, 10]}]},
        {"param_scheduler": [WARM, {**STEP, "gamma": 0.1001}]},
        {"param_scheduler": [WARM, {**STEP, "end": 10}]},
        {"param_scheduler": [WARM, STEP, {"type": "ConstantLR", "factor": 0.999, "begin": 0, "end": 10**9}]},
    ],
    "batch_size": [{"train_dataloader.batch_size": 4}],
    "evaluator": [{"val_evaluator.metric": ["bbox", "segm"]}, {"val_evaluator": {"type": "LVISMetric"}}],
    "evaluator_options": [{"val_evaluator.ann_file": "b.json"}],
    "model": [
        {"model.bbox_head.num_classes": 3},
        {"model.bbox_head.type": "YOLOXHead"},
        {"model.train_cfg": {"sampler": {"type": "RandomSampler", "num": 2, "pos_fraction": 0.5}}},
    ],
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_no_run_can_tell_apart_is_equal(name):
    ours, official = map(config, EQUAL[name])
    assert zoo_compare.compare(ours, official) == {}


PAIRS = [(section, changes) for section, found in DIFFERENT.items() for changes in found]


@pytest.mark.parametrize(("section", "changes"), PAIRS)
def test_a_difference_is_found(section, changes):
    for pair in ((config({}), config(changes)), (config(changes), config({}))):
        assert section in zoo_compare.compare(*pair)


def test_sizes_by_position_count_unless_the_ratio_is_kept():
    one, two = ({TRAIN: [{**step, "keep_ratio": False}]} for step in (RESIZE, TURNED))
    assert "train_pipeline" in zoo_compare.compare(config(one), config(two))


def test_passes_over_the_data_hide_no_other_milestones():
    other = {**LONG, "param_scheduler": [WARM, {**STEP, "end": 36, "milestones": [24, 34]}]}
    repeated = config({"train_dataloader.dataset": REPEATED})
    assert "schedule" in zoo_compare.compare(repeated, config(other))
