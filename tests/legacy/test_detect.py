"""What a config is written for, and clear refusals."""

from __future__ import annotations

import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict, is_legacy, kind_of

OLD = {"data": {"train": {"type": "CocoDataset"}}, "optimizer": {"lr": 1}, "lr_config": {"policy": "step"}}
NEW = {
    "train_dataloader": {"batch_size": 1},
    "optim_wrapper": {"optimizer": {"lr": 1}},
    "train_cfg": {"max_epochs": 1},
}


@pytest.mark.parametrize(
    "cfg",
    [
        OLD,
        {"data": {}},
        {"lr_config": {"policy": "step"}},
        {"runner": {"max_epochs": 3}},
        {"total_epochs": 3},
        {"evaluation": {"metric": "bbox"}},
    ],
)
def test_2x(cfg):
    assert is_legacy(cfg)


@pytest.mark.parametrize(
    "cfg",
    [
        NEW,
        {},
        {"model": {}},
        {**NEW, "data": {}},
        {**NEW, "optimizer_config": {}},
        {**NEW, "total_epochs": 3},
    ],
)
def test_3x_even_with_left_over_variables(cfg):
    assert kind_of(cfg) == "3.x"
    found, notes = convert_config_dict(cfg)
    assert found == cfg
    assert notes == []


@pytest.mark.parametrize(
    "cfg",
    [
        {"data": {"train": {}}, "optim_wrapper": {}},
        {"train_dataloader": {}, "optimizer": {}, "lr_config": {}},
        {"param_scheduler": [], "data": {}, "runner": {"max_epochs": 1}},
    ],
)
def test_half_migrated(cfg):
    with pytest.raises(ConfigError, match=r"half migrated.*2\.x keys.*3\.x keys"):
        kind_of(cfg)


@pytest.mark.parametrize(
    ("kind", "toolbox"),
    [
        ("EncoderDecoder", "mmsegmentation"),
        ("ImageClassifier", "mmpretrain"),
        ("YOLODetector", "mmyolo"),
        ("TopDown", "mmpose"),
        ("VoxelNet", "mmdetection3d"),
        ("OrientedRCNN", "mmrotate"),
    ],
)
def test_another_toolbox(kind, toolbox):
    with pytest.raises(ConfigError, match=toolbox):
        kind_of({**OLD, "model": {"type": kind}})


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ({"type": "RetinaNet", "bbox_head": {"anchor_ratios": [1]}}, "model.bbox_head.anchor_ratios"),
        ({"type": "FasterRCNN", "bbox_roi_extractor": {}}, "model.bbox_roi_extractor"),
        ({"type": "FasterRCNN", "bbox_head": {}}, "model.roi_head.bbox_head"),
    ],
)
def test_1x(model, key):
    with pytest.raises(ConfigError, match=r"MMDetection 1\.x") as caught:
        kind_of({**OLD, "model": model})
    assert key in str(caught.value)


def test_0x_data():
    with pytest.raises(ConfigError, match=r"data\.train\.img_scale"):
        kind_of({"data": {"train": {"img_scale": (1, 1)}}})


PIPELINE = {"data": {"train": {"type": "CocoDataset", "pipeline": [{"type": "LoadImageFromFile"}, "Resize"]}}}
MALFORMED = [
    ({"optimizer": "SGD"}, "optimizer"),
    ({"lr_config": ["step"]}, "lr_config"),
    ({"data": {"train": ["coco"]}}, r"data\.train\[0\]"),
    ({"data": {"train": {"type": "RepeatDataset", "dataset": "coco"}}}, r"data\.train\.dataset"),
    ({"data": {"train": {"type": "CocoDataset", "pipeline": "none"}}}, r"data\.train\.pipeline"),
    (PIPELINE, r"data\.train\.pipeline\[1\]"),
    ({"data": {"train": {"type": "CocoDataset", "pipeline": [{"img_scale": 3}]}}}, "with a type"),
    ({"custom_hooks": ["EMAHook"]}, r"custom_hooks\[0\]"),
    ({"lr_config": {"policy": "step"}}, r"lr_config\.step is missing"),
    ({"lr_config": {"policy": "exp"}}, r"lr_config\.gamma is missing"),
    ({"lr_config": {"policy": "CosineRestart"}}, r"lr_config\.periods is missing"),
]


@pytest.mark.parametrize(("changes", "message"), MALFORMED, ids=lambda value: str(value)[:50])
def test_malformed_parts_are_named(changes, message):
    data = {"train": {"type": "CocoDataset", "pipeline": []}}
    with pytest.raises(ConfigError, match=message):
        convert_config_dict({"data": data, "optimizer": {"type": "SGD", "lr": 0.1}, **changes})
