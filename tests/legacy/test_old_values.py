"""Values that 2.28.2 and 3.x define differently: a missing base has those of 2.28.2."""

from __future__ import annotations

import json

import pytest
import zoo
import zoo_values

from deeplake_mmdet.config.conversion import convert
from deeplake_mmdet.legacy import old_values


@pytest.mark.slow
def test_the_table_is_what_the_files_say():
    try:
        found = zoo_values.read()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    assert json.loads(zoo_values.TABLE.read_text(encoding="utf-8")) == found


def test_values_by_any_path_of_the_file():
    assert old_values("x/configs/common/ssj_270k_coco_instance.py")["evaluation"] == {"interval": 6000}
    fashion = old_values("configs/_base_/datasets/deepfashion.py")
    assert fashion["evaluation"] == {"interval": 5}
    assert fashion["data"]["workers_per_gpu"] == 1
    assert fashion["data"]["test"]["ann_file"].endswith("annotations/DeepFashion_segmentation_gallery.json")
    assert "runner" not in old_values("panoptic_fpn/panoptic_fpn_r50_fpn_mstrain_3x_coco.py")
    assert old_values("yolo/yolov3_d53_mstrain-608_273e_coco.py")["checkpoint_config"] == {"interval": 1}
    assert old_values("../_base_/datasets/wider_face.py") == {"data": {"samples_per_gpu": 60}}
    for path in ("faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py", "my/own.py", "own.py", "_base_/own.py"):
        assert old_values(path) == {}


@pytest.mark.parametrize("between", [False, True])
def test_a_missing_base_has_the_intervals_of_2_28(tmp_path, between):
    base = "../common/ssj_270k_coco_instance.py"
    if between:  # one that is there names the one that is missing
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/base.py").write_text(f"_base_ = '{base}'\nlog_config = dict(interval=7)\n")
        base = "base.py"
    file = tmp_path / "mine" / "child.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"_base_ = '{base}'\noptimizer = dict(lr=0.5)\n")
    content = convert(file).content
    assert content["train_cfg"]["val_interval"] == 6000
    assert content["default_hooks"]["checkpoint"]["interval"] == 6000
    assert content["optim_wrapper"]["optimizer"]["lr"] == 0.5
    assert content["default_hooks"]["logger"]["interval"] == (7 if between else 50)
    file.write_text(f"_base_ = '{base}'\nevaluation = dict(interval=9)\n")
    assert convert(file).content["train_cfg"]["val_interval"] == 9
