"""Detectors without masks are refused where masks are to be scored, before they are trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.hub import get_config
from old_configs import old_config

from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.demo.drawing import CLASS_NAMES, demo_images
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import ImageRecord, LakeWriter
from deeplake_mmdet.training.mask_check import check_predicts_masks

# The last ones have no mask head that MMDetection knows of, or none at all.
WITH_MASKS = [
    "mask_rcnn/mask-rcnn_r50_fpn_1x_coco",
    "yolact/yolact_r50_1xb8-55e_coco",
    "solo/solo_r50_fpn_1x_coco",
    "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance",
    "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco",
    "mask2former/mask2former_r50_8xb2-lsj-50e_coco",
]
WITHOUT = [
    "retinanet/retinanet_r50_fpn_1x_coco",
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
    "rtmdet/rtmdet_tiny_8xb32-300e_coco",
    "detr/detr_r50_8xb2-150e_coco",
]


@pytest.fixture(autouse=True)
def _names():
    register_all_modules()


def stock(name):
    return MODELS.build(get_config(f"mmdet::{name}.py").model)


@pytest.mark.parametrize("name", WITH_MASKS)
def test_detectors_with_masks_pass(name):
    check_predicts_masks(stock(name))


@pytest.mark.parametrize("name", WITHOUT)
def test_detectors_of_boxes_are_refused_and_stay_as_they_were(name):
    model = stock(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    with pytest.raises(ConfigError, match=r"predicts no masks.*val_evaluator\.metric.*metric='bbox'"):
        check_predicts_masks(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_model_that_cannot_be_asked_is_left_to_validation(caplog):
    class Odd(torch.nn.Module):
        def test_step(self, data):
            raise ValueError("needs a second image")

    check_predicts_masks(Odd())
    assert "needs a second image" in caplog.text


def test_training_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"optional_columns": ("segmentations",), "box_format": "ltrb", "image_format": "jpeg"}
    corners = [[0, 0, 20, 0, 20, 20, 0, 20]]
    with LakeWriter("lake", class_names=CLASS_NAMES, **options) as lake:
        for number, (encoded, scene) in enumerate(demo_images(4, 0)):
            height, width = scene.image.shape[:2]
            found = {"boxes": scene.boxes, "labels": scene.labels}
            found["segmentations"] = [corners] * len(scene.boxes)
            lake.append(ImageRecord(encoded, width, height, f"{number}.jpg", **found))
    cfg = Config(old_config("lake", "lake"))
    cfg.evaluation = {"interval": 1, "metric": ["bbox", "segm"]}
    with pytest.raises(ConfigError, match="predicts no masks"):
        train_detector(build_detector(cfg.model), cfg)
    assert not list(Path().rglob("*.pth"))
