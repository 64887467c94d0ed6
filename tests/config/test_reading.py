"""Files that cannot be read, with their place; and bases that are missing on this machine."""

from __future__ import annotations

import pytest

from deeplake_mmdet import Config, convert, convert_config, load_config
from deeplake_mmdet.errors import ConfigError

YOLO = "../mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py"


@pytest.fixture
def write(tmp_path):
    def make(text, name="work/config.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("a = 1\nb = unknown\n", "NameError", 2),
        ("a = 1\n\nb = 1 / 0\n", "ZeroDivisionError", 3),
        ("a = dict(\n    b=1,\n    c={'x': 'y},\n)\n", "SyntaxError", 3),
        ("def f():\n    return {}['x']\na = f()\n", "KeyError", 2),
    ],
)
def test_an_error_inside_a_config_has_its_line(write, text, what, line):
    path = write(text)
    for read in (load_config, Config.fromfile):
        with pytest.raises(ConfigError, match="cannot be loaded") as caught:
            read(path)
        assert what in caught.value.what
        assert caught.value.where == f"{path}, line {line}"


@pytest.mark.parametrize("text", ["a = 1\nb = unknown\n", "a = 1\nb = {'x': 'y}\n"])
def test_an_error_inside_a_base_names_the_base(write, text):
    base = write(text, "bases/base.py")
    path = write("_base_ = '../bases/base.py'\nc = 1\n")
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_config(path)
    assert f"{base}, line 2" in caught.value.where
    assert str(path) in caught.value.where


@pytest.mark.parametrize(
    "text", ["import sys\nsys.exit(3)\n", "_base_ = 5\n", "a = 1\0\n", "filename = 'x'\n"]
)
def test_whatever_else_a_file_does_is_one_error(write, text):
    for read in (load_config, Config.fromfile):
        with pytest.raises(ConfigError, match="cannot be loaded") as caught:
            read(write(text))
        assert "None" not in caught.value.where


def test_an_old_config_may_import_what_it_likes(write):
    text = "import math, torch\nimport numpy as np\nside = int(np.sqrt(64) * math.sqrt(4))\n"
    path = write(text + "data = dict(train=dict(type='CocoDataset', pipeline=[]), samples_per_gpu=side)\n")
    assert load_config(path).train_dataloader.batch_size == 16
    assert Config.fromfile(path).data.samples_per_gpu == 16


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("data = [1]\n", "data"),
        ("data = dict(train=dict(type='CocoDataset', pipeline='x'))\n", "data.train.pipeline"),
        ("data = dict(train=dict(type='CocoDataset', pipeline=[1]))\n", "data.train.pipeline[0]"),
        (
            "data = dict(train=dict(type='RepeatDataset', dataset=dict(pipeline=[{}])))\n",
            "dataset.pipeline[0]",
        ),
        (
            "data = dict(test=[dict(pipeline=[dict(type='MultiScaleFlipAug', transforms=[3])])])\n",
            "data.test[0].pipeline[0].transforms[0]",
        ),
        ("data = dict()\nmodel = 'x'\n", "model"),
        ("data = dict()\nlr_config = 'step'\n", "lr_config"),
        ("data = dict()\ntrain_pipeline = dict(type='Resize')\n", "train_pipeline"),
    ],
)
def test_parts_of_the_wrong_shape_are_named(write, text, where):
    path = write(text + "total_epochs = 1\n")
    for read in (load_config, convert, lambda path: convert_config(Config.fromfile(path))):
        with pytest.raises(ConfigError, match="must be") as caught:
            read(path)
        assert where in caught.value.where


def test_the_documents_unbalanced_quote_is_found(write):
    path = write("a = 1\ntensors = {'img': 'images', 'gt_masks': 'masks}\n")
    with pytest.raises(ConfigError, match="unterminated string literal") as caught:
        Config.fromfile(path)
    assert caught.value.where.endswith("line 2")


@pytest.mark.parametrize("base", ["config.py", "other.py"])
def test_bases_that_name_each_other_are_told(write, base):
    path = write(f"_base_ = './{base}'\n")
    write("_base_ = './config.py'\n", "work/other.py")
    with pytest.raises(ConfigError, match="bases of each other") as caught:
        load_config(path)
    assert caught.value.where.count("config.py") == 2


def test_a_base_that_exists_nowhere_lists_what_was_tried(write):
    path = write("_base_ = '../mmdetection/configs/yolo/yolov3_d53_mstrain-999_coco.py'\ndata = dict()\n")
    for read in (load_config, Config.fromfile):
        with pytest.raises(ConfigError, match="exists nowhere") as caught:
            read(path)
        assert str(path.parent.parent / "mmdetection/configs/yolo") in caught.value.where
        assert "names of MMDetection 2.x" in caught.value.where
        assert "yolov3_d53_mstrain" in caught.value.advice


def test_a_base_in_the_users_checkout_wins_over_the_installed_one(write):
    write("model = dict(type='Mine')\n", "mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py")
    cfg = Config.fromfile(write(f"_base_ = {YOLO!r}\ndata = dict(samples_per_gpu=1)\n"))
    assert cfg.model.type == "Mine"


def test_a_child_of_a_missing_base_is_for_2x(write):
    text = "_base_ = '../mmdetection/configs/faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'\n"
    text += "model = dict(pretrained='torchvision://resnet18', backbone=dict(depth=18))\n"
    path = write(text)
    backbone = {"type": "Pretrained", "checkpoint": "torchvision://resnet18"}
    assert load_config(path).model.backbone.init_cfg == backbone
    assert convert(path).legacy
    new = write(text.splitlines()[0] + "\noptim_wrapper = dict(optimizer=dict(lr=0.5))\n")
    assert load_config(new).optim_wrapper.optimizer.lr == 0.5


def test_a_missing_base_of_a_base_is_found(write):
    write(f"_base_ = {YOLO!r}\nrunner = dict(max_epochs=5)\n", "work/middle.py")
    cfg = Config.fromfile(write("_base_ = './middle.py'\ndata = dict(samples_per_gpu=3)\n"))
    assert (cfg.model.type, cfg.runner.max_epochs, cfg.data.samples_per_gpu) == ("YOLOV3", 5, 3)


@pytest.mark.parametrize(
    "line",
    ["backbone = {{_base_.model.backbone}}", "backbone = _base_.model.backbone"],
)
def test_values_of_a_missing_base_cannot_be_used(write, line):
    """Its other content can be; see test_variables."""
    text = f"_base_ = {YOLO!r}\n{line}\nmodel = dict(neck=dict(in_channels=[9]))\n"
    text += "data = dict(samples_per_gpu=1)\n"
    with pytest.raises(ConfigError, match=r"_base_\.model\.backbone.*base that is not here"):
        load_config(write(text))
    cfg = Config.fromfile(write(text.replace(line, "")))
    assert cfg.model.neck.in_channels == [9]
    assert cfg.runner.max_epochs == 273
    assert load_config(write(text.replace(line, ""))).train_dataloader.batch_size == 1


def test_a_missing_value_of_a_missing_base_is_told(write):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_config(write(f"_base_ = {YOLO!r}\nx = _base_.nothing.here\ndata = dict()\n"))


def test_the_parts_that_official_configs_are_made_of_are_found(write):
    names = ("models/faster_rcnn_r50_fpn.py", "datasets/coco_detection.py", "schedules/schedule_1x.py")
    bases = [f"../_base_/{name}" for name in (*names, "default_runtime.py")]
    path = write(f"_base_ = {bases}\nmodel = dict(backbone=dict(depth=18))\noptimizer = dict(lr=0.5)\n")
    cfg = Config.fromfile(path)
    assert (cfg.model.type, cfg.model.backbone.depth, cfg.optimizer.lr) == ("FasterRCNN", 18, 0.5)
    assert cfg.data.train.pipeline[0].type == "LoadImageFromFile"
    converted = load_config(path)
    assert converted.optim_wrapper.optimizer == {
        "type": "SGD",
        "lr": 0.5,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    }
    assert converted.train_cfg.max_epochs == 12


def test_a_base_beside_the_file_is_known_by_its_folder(write):
    text = "_base_ = './faster_rcnn_r50_fpn_1x_coco.py'\ndata = dict(samples_per_gpu=3)\n"
    cfg = Config.fromfile(write(text, "configs/faster_rcnn/mine.py"))
    assert (cfg.model.type, cfg.data.samples_per_gpu) == ("FasterRCNN", 3)


def test_deleted_keys_of_a_missing_base_stay_deleted(write):
    text = (
        f"_base_ = {YOLO!r}\n"
        "optimizer = dict(_delete_=True, type='Adam', lr=0.5)\ndata = dict(samples_per_gpu=1)\n"
    )
    assert Config.fromfile(write(text)).optimizer == {"type": "Adam", "lr": 0.5}


def test_names_of_the_file_itself_are_put_in(write):
    path = write(f"_base_ = {YOLO!r}\nwork_dir = 'runs/{{{{ fileBasenameNoExtension }}}}'\ndata = dict()\n")
    assert Config.fromfile(path).work_dir == "runs/config"


def test_what_is_deleted_is_deleted_without_any_reference_too(write):
    """The marks reach the missing base through files that are here, and end there."""
    write(
        f"_base_ = {YOLO!r}\noptimizer = dict(_delete_=True, type='Adam', lr=0.5)\n"
        "model = dict(backbone=dict(_delete_=True, type='MobileNetV2', extra=dict(a=1)))\n",
        "work/middle.py",
    )
    cfg = Config.fromfile(
        write(
            "_base_ = './middle.py'\nrunner = dict(_delete_=True, type='IterBasedRunner', max_iters=7)\n"
            "optimizer = dict(lr=0.25)\nmodel = dict(backbone=dict(extra=dict(_delete_=True, b=2)))\n"
            "own = dict(_delete_=True, c=3)\n"
        )
    )
    assert cfg.optimizer == {"type": "Adam", "lr": 0.25}
    assert cfg.model.backbone == {"type": "MobileNetV2", "extra": {"b": 2}}
    assert cfg.model.neck.type == "YOLOV3Neck"
    assert cfg.runner == {"type": "IterBasedRunner", "max_iters": 7}
    assert cfg.own == {"c": 3}


def test_the_length_of_early_2x_counts_over_a_missing_base(write):
    """`total_epochs` was all there was before 2.5; the base of 2.28.2 has a runner."""
    cfg = load_config(write(f"_base_ = {YOLO!r}\ntotal_epochs = 8\n"))
    assert cfg.train_cfg.max_epochs == 8


def test_workers_are_those_of_the_child_for_all_data(write):
    cfg = load_config(write(f"_base_ = {YOLO!r}\ndata = dict(workers_per_gpu=0)\n"))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.num_workers == 0


STEPS = """mine = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
"""
JSON = """{
  "_base_": ["../_base_/models/faster_rcnn_r50_fpn.py", "../_base_/datasets/coco_detection.py",
             "../_base_/schedules/schedule_1x.py", "./steps.py"],
  "model": {"roi_head": {"bbox_head": {"num_classes": 3}}},
  "data": {"samples_per_gpu": 4, "train": {"ann_file": "a.json", "pipeline": {{ _base_.mine }} }},
  "optimizer": {"lr": 0.005},
  "of-mine": true
}"""
YAML = """_base_: ['../_base_/models/faster_rcnn_r50_fpn.py', '../_base_/datasets/coco_detection.py',
         '../_base_/schedules/schedule_1x.py', ./steps.py]
model: {roi_head: {bbox_head: {num_classes: 3}}}
data:
  samples_per_gpu: 4
  train: {ann_file: a.json, pipeline: {{_base_.mine}} }
optimizer: {lr: 0.005}
of-mine: true
"""


@pytest.mark.parametrize(("name", "text"), [("c.json", JSON), ("c.yaml", YAML), ("c.yml", YAML)])
def test_json_and_yaml_may_name_bases_that_are_missing(tmp_path, name, text):
    path = tmp_path / name
    (tmp_path / "steps.py").write_text(STEPS)
    path.write_text(text)
    cfg = load_config(path)
    assert cfg.model.roi_head.bbox_head.num_classes == 3
    assert cfg.optim_wrapper.optimizer == {
        "type": "SGD",
        "lr": 0.005,
        "momentum": 0.9,
        "weight_decay": 0.0001,
    }
    assert cfg.train_dataloader.batch_size == 4
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline][:2] == [
        *("LoadImageFromFile", "LoadAnnotations"),
    ]
    (tmp_path / "child.py").write_text(f"_base_ = './{name}'\ntotal_epochs = 3\n")
    assert load_config(tmp_path / "child.py").train_dataloader.batch_size == 4


@pytest.mark.parametrize(("name", "text"), [("c.json", JSON), ("c.yaml", YAML)])
def test_variables_of_missing_bases_are_refused_in_json_and_yaml_too(tmp_path, name, text):
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / name).write_text(text.replace("_base_.mine", "_base_.train_pipeline"))
    with pytest.raises(ConfigError, match=r"_base_\.train_pipeline.*base that is not here") as caught:
        load_config(tmp_path / name)
    assert "config key 'data.train.pipeline'" in caught.value.where
    assert "coco_detection.py" in caught.value.advice


def test_json_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "c.json").write_text('{"_base_": "a.py",')
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_config(tmp_path / "c.json")
