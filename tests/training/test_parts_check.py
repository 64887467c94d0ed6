"""Parts of a config that cannot be built: one error before training, with the key and the way out."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from old_configs import old_config

from deeplake_mmdet import build_detector, convert_config, train, train_detector
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError, InstallError
from deeplake_mmdet.training.parts_check import check_parts


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts") / "lake"
    write_demo_lake(path, count=4, seed=0)
    return str(path)


@pytest.fixture
def old(lake):
    content = old_config(lake, lake)
    content["model"]["backbone"]["init_cfg"] = None
    return content


def load_config_of(content):
    return convert_config(Config(content))[0]


def refused(content, tmp_path, error=ConfigError):
    with pytest.raises(error) as caught:
        train(Config(content), work_dir=tmp_path / "work")
    return caught.value


@pytest.mark.parametrize("optimizer", [None, {}, {"lr": 0.1}])
def test_an_optimizer_is_asked_for(old, tmp_path, optimizer):
    old["optimizer"] = optimizer
    told = refused(old, tmp_path)
    assert "optimizer" in told.what
    assert "'optimizer'" in told.where
    assert "optimizer=dict(type=" in told.advice


@pytest.mark.parametrize("key", ["custom_hooks", "default_hooks"])
def test_a_hook_without_a_type_is_told(old, tmp_path, key):
    content = load_config_of(old).to_dict()
    if key == "custom_hooks":
        content["custom_hooks"] = [{"type": "NumClassCheckHook"}, {"interval": 3}]
    else:
        content["default_hooks"]["mine"] = {"interval": 3}
    told = refused(content, tmp_path)
    assert told.what == "A hook has no type"
    assert ("custom_hooks[1]" if key == "custom_hooks" else "default_hooks.mine") in told.where


@pytest.mark.parametrize("extra", [{"momentum": 0.9}, {"freeze_modules": ["backbone"]}])
def test_what_an_optimizer_does_not_take_is_told(old, tmp_path, extra):
    old["optimizer"] = {"type": "Adam", "lr": 0.1, **extra}
    told = refused(old, tmp_path)
    assert f"Adam has no {next(iter(extra))!r}" in told.what
    assert "optim_wrapper.optimizer." in told.where
    assert "_delete_=True" in told.advice


def test_packages_that_a_head_imports_while_it_trains_are_told(old):
    if find_spec("sklearn"):
        pytest.skip("scikit-learn is installed")
    old["model"]["bbox_head"]["type"] = "PAAHead"
    with pytest.raises(InstallError, match="scikit-learn"):
        check_parts(load_config_of(old), training=True)


@pytest.mark.parametrize("count", [2, 4])
def test_channels_that_cannot_be_normalised_are_told(old, tmp_path, count):
    for split in ("train", "val"):
        steps = old["data"][split]["pipeline"]
        for step in [*steps, *(steps[-1].get("transforms") or [])]:
            if step["type"] == "Normalize":
                step.update(mean=[1.0] * count, std=[2.0] * count)
    told = refused(old, tmp_path)
    assert f"mean has {count} values" in told.what
    assert "Normalize" in told.where


@pytest.mark.parametrize(
    ("change", "key", "name", "near"),
    [
        (lambda old: old["model"]["backbone"].update(type="MobileNetV22"), "backbone", "MobileNetV22", 1),
        (lambda old: old["model"]["bbox_head"].update(loss_cls={"type": "Own"}), "loss_cls", "Own", 0),
        (lambda old: old["optimizer"].update(type="AdamWW"), "optim_wrapper.optimizer", "AdamWW", 1),
        (lambda old: old.update(custom_hooks=[{"type": "OwnHook"}]), "custom_hooks[0]", "OwnHook", 0),
        (
            lambda old: old["data"]["train"]["pipeline"].insert(2, {"type": "RandomFlop"}),
            "pipeline[2]",
            "RandomFlop",
            1,
        ),
    ],
)
def test_types_that_nobody_registered_are_told(old, tmp_path, change, key, name, near):
    change(old)
    told = refused(old, tmp_path)
    assert repr(name) in told.what
    assert key in told.where
    assert "custom_imports" in told.advice
    assert ("perhaps" in told.advice) is bool(near)


def test_all_of_them_are_told_at_once(old, tmp_path):
    old["custom_hooks"] = [{"type": "OwnHook"}]
    old["model"]["neck"]["type"] = "OwnNeck"
    told = refused(old, tmp_path)
    assert "OwnHook" in told.what
    assert "OwnNeck" in told.what


PARTS = {
    "albumentations": lambda old: old["data"]["train"]["pipeline"].insert(
        2, {"type": "Albu", "transforms": [{"type": "SomeStepOfIts"}]}
    ),
    "wandb": lambda old: old.update(log_config={"hooks": [{"type": "WandbLoggerHook"}]}),
    "tensorboard": lambda old: old.update(log_config={"hooks": [{"type": "TensorboardLoggerHook"}]}),
    "onedl-mmpretrain": lambda old: old["model"]["backbone"].update(type="mmcls.ConvNeXt"),
    "timm": lambda old: old["model"]["backbone"].update(type="TIMMBackbone"),
}


@pytest.mark.parametrize("package", sorted(PARTS))
def test_a_package_that_is_not_installed_is_told(old, tmp_path, package):
    if find_spec(package.removeprefix("onedl-")) or find_spec(f"{package}X"):
        pytest.skip(f"{package} is installed")
    PARTS[package](old)
    told = refused(old, tmp_path, InstallError)
    assert package in told.what
    assert f"pip install {package}" in told.advice


def test_what_a_users_own_part_does_with_its_dicts_is_its_business(old, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_neck_of_test.py").write_text(
        "from mmdet.registry import MODELS\nfrom mmdet.models.necks import YOLOV3Neck\n"
        "@MODELS.register_module()\nclass OwnNeckOfTest(YOLOV3Neck):\n"
        "    def __init__(self, way, **others):\n        super().__init__(**others)\n"
    )
    old["custom_imports"] = {"imports": ["own_neck_of_test"]}
    old["model"]["neck"].update(type="OwnNeckOfTest", way={"type": "of my own"})
    try:
        assert train(Config(old), work_dir=tmp_path / "work").metrics
    finally:
        del sys.modules["own_neck_of_test"]


def test_a_detector_that_is_given_is_not_looked_at(old, tmp_path):
    detector = build_detector(old["model"])
    old["model"]["backbone"]["type"] = "NotBuilt"
    old["custom_hooks"] = [{"type": "OwnHook"}]
    old["work_dir"] = str(tmp_path)
    with pytest.raises(ConfigError, match="OwnHook") as caught:
        train_detector(detector, Config(old))
    assert "NotBuilt" not in str(caught.value)


def test_mixed_precision_is_left_out_without_a_gpu(old, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(ConfigError, match="needs a GPU"):
        train(Config(old), work_dir=tmp_path / "work", amp=True)
    old["optimizer_config"] = {"type": "DistOptimizerHook", "use_fp16": True, "update_interval": 2}
    old["runner"] = {"type": "EpochBasedRunnerAmp", "max_epochs": 1}
    train(Config(old), work_dir=tmp_path / "work")
    (written,) = (tmp_path / "work").glob("*/vis_data/config.py")
    wrapper = Config.fromfile(written).optim_wrapper
    assert (wrapper.type, wrapper.accumulative_counts) == ("OptimWrapper", 2)
    assert "loss_scale" not in wrapper


def test_stock_parts_are_all_known():
    from mmengine.hub import get_config

    names = (
        *("mask_rcnn/mask-rcnn_r50_fpn_1x_coco", "fpg/faster-rcnn_r50_fpg_crop640-50e_coco"),
        *("htc/htc_r50_fpn_1x_coco", "dino/dino-4scale_r50_8xb2-12e_coco", "yolox/yolox_s_8xb8-300e_coco"),
        *("rtmdet/rtmdet_s_8xb32-300e_coco", "cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco"),
        "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco",
    )
    for name in names:
        check_parts(get_config(f"mmdet::{name}.py"), training=True)
        check_parts(get_config(f"mmdet::{name}.py"), training=False)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"CLASSES": ("a",)}, "CLASSES"),
        ({"load_annotations": lambda self, file: []}, "load_annotations"),
        ({"load_annotations": lambda self, file: [], "load_data_list": lambda self: []}, None),
        ({"METAINFO": {"classes": ("a",)}}, None),
    ],
)
def test_datasets_that_are_written_for_2x_are_not_trained_on(lake, body, names):
    kind = type("OwnDataset", (CocoDataset,), {**body, "__module__": __name__})
    DATASETS.register_module(module=kind, force=True)
    cfg = Config(
        {"train_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": {"type": "OwnDataset"}}}}
    )
    cfg.optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}}
    try:
        if names is None:
            check_parts(cfg, training=True, model=False)
        else:
            with pytest.raises(
                ConfigError, match=rf"OwnDataset is written for.*{names}.*dataset\.dataset\.type"
            ):
                check_parts(cfg, training=True, model=False)
    finally:
        del DATASETS.module_dict["OwnDataset"]


@pytest.mark.parametrize(
    ("change", "message", "error"),
    [
        (
            lambda old: old["model"].pop("neck"),
            "YOLOV3 cannot be built.*'neck'.*key model",
            ConfigError,
        ),
        (
            lambda old: old["optimizer"].update(speed=2),
            "SGD has no 'speed'.*optim_wrapper.optimizer.speed",
            ConfigError,
        ),
        (
            lambda old: old["data"].update(train={"type": "VOCDataset", "ann_file": "no/such.txt"}),
            "VOCDataset reads files.*no/such.txt.*'train_dataloader.dataset.ann_file'",
            FileNotFoundError,
        ),
        (
            lambda old: old["data"].update(train={"type": "CocoDataset", "ann_file": "none.json"}),
            "no image is left.*train_dataloader.dataset.*classes",
            ConfigError,
        ),
    ],
)
def test_what_cannot_be_built_is_told_with_its_key(old, tmp_path, monkeypatch, change, message, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.json").write_text('{"images": [], "annotations": [], "categories": []}')
    old["data"].pop("val")
    change(old)
    with pytest.raises(error, match=f"(?s){message}"):
        train(Config(old), work_dir=tmp_path / "work")
