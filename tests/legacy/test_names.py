"""3.x names of 2.x config files, and configs whose base is missing."""

from __future__ import annotations

import pytest
import zoo

from deeplake_mmdet import load_config
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import as_legacy, convert_config_dict, counterpart, merge, similar
from deeplake_mmdet.legacy.names import _table

SEED = "yolo/yolov3_d53_8xb8-ms-416-273e_coco.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("../mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py", SEED),
        ("yolo/yolov3_d53_mstrain-416_273e_coco.py", SEED),
        ("C:\\mmdetection\\configs\\yolo\\yolov3_d53_mstrain-416_273e_coco.py", SEED),
        ("../_base_/models/faster_rcnn_r50_caffe_c4.py", "_base_/models/faster-rcnn_r50-caffe-c4.py"),
        ("../_base_/models/cascade_mask_rcnn_r50_fpn.py", "_base_/models/cascade-mask-rcnn_r50_fpn.py"),
        ("../_base_/models/rpn_r50_caffe_c4.py", "_base_/models/rpn_r50-caffe-c4.py"),
        ("../_base_/datasets/coco_detection.py", "_base_/datasets/coco_detection.py"),
        ("../_base_/models/ascend_ssd300.py", None),
        ("rfnext/rfnext_search_mask_rcnn_pvtv2-b0_fpn_1x_coco.py", None),
        ("mine/config.py", None),
        ("config.py", None),
    ],
)
def test_counterparts(old, new):
    assert counterpart(old) == new


def test_every_name_of_the_table_is_a_file_of_the_installed_zoo():
    names = {new for new in _table().values() if new}
    assert len(_table()) == 634
    assert sum(new is not None for new in _table().values()) == 616
    assert [new for new in names if not (zoo.OFFICIAL / new).is_file()] == []


def test_similar_names():
    assert "yolo/yolov3_d53_mstrain-416_273e_coco.py" in similar("yolo/yolov3_d53_mstrain-417_273e_coco.py")


STOCK = [
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "ssd/ssd300_coco.py",
    "pascal_voc/ssd300_voc0712.py",
    "yolox/yolox_s_8xb8-300e_coco.py",
    "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py",
    "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
]


@pytest.mark.parametrize("name", STOCK)
def test_a_stock_config_written_as_2x_converts_back(name):
    """Everything but what the 2.x warm-up does differently."""
    official = zoo.official(name)
    again, _ = convert_config_dict(as_legacy(official))
    for key in ("model", "optim_wrapper", "train_cfg", "custom_hooks"):
        expected = dict(official.get(key) or {}) if key != "custom_hooks" else official.get(key)
        if key == "model" and (expected.get("bbox_head") or {}).get("type") == "SSDHead":
            head = {**expected["bbox_head"], "type": "deeplake_mmdet.SSDHead"}  # the stock one cannot predict
            expected = {**expected, "bbox_head": head}
        if key == "train_cfg":
            expected = {"type": "EpochBasedTrainLoop", **expected}
        assert again.get(key) == expected
    for split in ("train", "val"):
        old, new = official[f"{split}_dataloader"], again[f"{split}_dataloader"]
        assert (old["batch_size"], old["num_workers"]) == (new["batch_size"], new["num_workers"])
        assert old["dataset"]["type"] == new["dataset"]["type"]


def test_merging_follows_mmengine():
    base = {"a": {"b": 1, "c": [1]}, "d": 2}
    child = {"a": {"c": [2, 3]}, "d": {"_delete_": True, "e": 1}, "f": {"_delete_": True, "g": {}}}
    assert merge(base, child) == {"a": {"b": 1, "c": [2, 3]}, "d": {"e": 1}, "f": {"g": {}}}
    assert base == {"a": {"b": 1, "c": [1]}, "d": 2}


def write(folder, text, name="config.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_child_changes_its_missing_base_in_2x_words(tmp_path):
    text = """
_base_ = ['../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/datasets/coco_detection.py',
          '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py']
model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))
data = dict(samples_per_gpu=5, train=dict(ann_file='mine.json', classes=('a', 'b', 'c')))
optimizer = dict(lr=0.5)
optimizer_config = dict(grad_clip=dict(max_norm=35))
lr_config = dict(step=[3], warmup_iters=10)
runner = dict(max_epochs=4)
evaluation = dict(metric=['bbox', 'proposal'], save_best='bbox_mAP')
"""
    cfg = load_config(write(tmp_path, text))
    assert cfg.model.roi_head.bbox_head.num_classes == 3
    assert cfg.model.roi_head.bbox_head.in_channels == 256
    assert cfg.model.data_preprocessor.bgr_to_rgb is True
    assert cfg.train_dataloader.batch_size == 5
    assert cfg.train_dataloader.dataset.ann_file == "mine.json"
    assert cfg.train_dataloader.dataset.data_prefix.img == "data/coco/train2017/"
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline][-2:] == [
        "RandomFlip",
        "PackDetInputs",
    ]
    assert cfg.train_dataloader.dataset.pipeline[-2].prob == 0.5
    assert cfg.optim_wrapper.optimizer == {"type": "SGD", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.0001}
    assert cfg.optim_wrapper.clip_grad == {"max_norm": 35}
    assert cfg.train_cfg.max_epochs == 4
    warmup, steps = cfg.param_scheduler
    assert (warmup.end, warmup.start_factor) == (11, 0.001)
    assert (steps.milestones, steps.end) == ([3], 4)
    assert cfg.val_evaluator.metric == ["bbox", "proposal"]
    assert cfg.default_hooks.checkpoint.save_best == "coco/bbox_mAP"


def test_a_base_that_exists_nowhere_lists_what_was_tried(tmp_path):
    path = write(tmp_path, "_base_ = '../configs/yolo/yolov3_d53_mstrain-417_273e_coco.py'\ndata = dict()\n")
    with pytest.raises(ConfigError, match="exists nowhere") as caught:
        load_config(path)
    assert "tried" in str(caught.value)
    assert "yolov3_d53_mstrain-416_273e_coco.py" in str(caught.value)


def test_a_child_changes_its_missing_base(tmp_path):
    text = "_base_ = '../_base_/datasets/coco_detection.py'\n"
    text += "data = dict(train=dict(ann_file='data/coco/mine.json'))\n"
    cfg = load_config(write(tmp_path, text))
    assert cfg.train_dataloader.dataset.ann_file == "data/coco/mine.json"
    assert cfg.val_dataloader.dataset.ann_file == "data/coco/annotations/instances_val2017.json"
    with pytest.raises(ConfigError, match=r"data_root.*base that is not here") as caught:
        load_config(write(tmp_path, text.replace("'data/coco/mine", "{{_base_.data_root}} + 'mine")))
    assert "config key 'data.train.ann_file'" in caught.value.where
    assert "configs/_base_/datasets/coco_detection.py" in caught.value.advice


MODEL = "model = dict(type='RetinaNet', backbone=dict(type='ResNet', depth=50))\n"


def test_what_a_missing_file_of_data_did_to_images_is_done(tmp_path):
    text = "_base_ = '../_base_/datasets/coco_detection.py'\n" + MODEL
    preprocessor = load_config(write(tmp_path, text)).model.data_preprocessor
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]
    assert preprocessor.bgr_to_rgb
    assert preprocessor.pad_size_divisor == 32


def test_pipelines_of_ones_own_say_how_images_are_normalised(tmp_path):
    steps = "[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True), NORM"
    steps += "dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]"
    norm = "dict(type='Normalize', mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=False), "
    for used, mean in ((norm, [1.0, 2.0, 3.0]), ("", None)):
        text = "_base_ = '../_base_/datasets/coco_detection.py'\n" + MODEL
        text += f"p = {steps.replace('NORM', used)}\n"
        text += "data = dict(train=dict(pipeline=p), val=dict(pipeline=p), test=dict(pipeline=p))\n"
        assert load_config(write(tmp_path, text)).model.data_preprocessor.get("mean") == mean


def test_a_missing_base_of_a_base(tmp_path):
    write(
        tmp_path,
        "_base_ = '../_base_/models/ssd300.py'\nmodel = dict(bbox_head=dict(num_classes=5))\n",
        "base.py",
    )
    path = write(tmp_path, "_base_ = 'base.py'\nrunner = dict(type='EpochBasedRunner', max_epochs=3)\n")
    cfg = load_config(path)
    assert cfg.model.bbox_head.num_classes == 5
    assert cfg.model.type == "SingleStageDetector"


def test_options_of_either_version(tmp_path):
    text = "data = dict(train=dict(type='CocoDataset', pipeline=[]))\nrunner = dict(max_epochs=3)\n"
    path = write(tmp_path, text + "model = dict(type='SSD')\noptimizer = dict(type='SGD', lr=1)\n")
    options = {
        "data.samples_per_gpu": 7,
        "train_dataloader.num_workers": 0,
        "optimizer.lr": 2,
        "train_cfg.max_epochs": 9,
    }
    cfg = load_config(path, options)
    assert (cfg.train_dataloader.batch_size, cfg.train_dataloader.num_workers) == (7, 0)
    assert (cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs) == (2, 9)
