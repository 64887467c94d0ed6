"""The interface document's example config, its unbalanced quote mended, and its keys."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from deeplake_mmdet import load_config
from deeplake_mmdet.config import convert_config
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import is_handle
from deeplake_mmdet.legacy import convert_config_dict

EXAMPLE = Path(__file__).with_name("document_config.py.txt").read_text(encoding="utf-8")
TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Expand", "mean": [0, 0, 0], "to_rgb": True, "ratio_range": (1, 2)},
    {"type": "RandomResize", "scale": [(320, 320), (416, 416)], "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.0},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackDetInputs"},
]
TEST = [
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "scale": (416, 416), "keep_ratio": True},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
]


@pytest.fixture
def example(tmp_path):
    path = tmp_path / "work" / "config.py"
    path.parent.mkdir()
    path.write_text(EXAMPLE)
    return path


def small(**changes):
    """A 2.x config of one lake; changes by split."""
    train = {"type": "CocoDataset", "pipeline": [], "deeplake_path": "lake", **changes.pop("train", {})}
    val = {"type": "CocoDataset", "deeplake_path": "lake-val", **changes.pop("val", {})}
    cfg = {
        "model": {"type": "YOLOV3"},
        "data": {
            "samples_per_gpu": 4,
            "workers_per_gpu": 3,
            "train": train,
            "val": val,
            **changes.pop("data", {}),
        },
        "optimizer": {"type": "SGD", "lr": 0.01},
        "runner": {"type": "EpochBasedRunner", "max_epochs": 2},
        "train_pipeline": [{"type": "Resize", "img_scale": (32, 32)}],
        "test_pipeline": [{"type": "Resize", "img_scale": (64, 64)}],
    }
    return {**cfg, **changes}


def test_the_example_converts_onto_the_installed_base(example):
    cfg = load_config(example).to_dict()
    train, val = cfg["train_dataloader"], cfg["val_dataloader"]
    assert train["dataset"]["type"] == "deeplake_mmdet.DeepLakeDataset"
    assert train["dataset"]["path"] == "hub://activeloop/coco-train"
    assert train["dataset"]["pipeline"] == TRAIN
    assert train["dataset"]["filter_cfg"] == {"filter_empty_gt": True, "min_size": 32}
    assert train["dataset"]["tensors"]["gt_masks"] == "masks"
    assert not {"commit", "view", "ann_file", "data_prefix"} & set(train["dataset"])
    assert is_handle(train["dataset"]["credentials"])
    assert (train["batch_size"], train["num_workers"], train["sampler"]["shuffle"]) == (4, 8, True)
    assert val["dataset"]["path"] == "hub://activeloop/coco-val"
    assert val["dataset"]["pipeline"] == TEST
    assert val["dataset"]["test_mode"] is True
    assert (val["batch_size"], val["num_workers"], val["sampler"]["shuffle"]) == (1, 8, False)
    assert cfg["test_dataloader"] == val
    assert cfg["val_evaluator"] == {"type": "deeplake_mmdet.CocoMetric", "metric": "bbox"}
    preprocessor = {
        "mean": [0, 0, 0],
        "std": [255.0, 255.0, 255.0],
        "bgr_to_rgb": True,
        "pad_size_divisor": 32,
    }
    assert cfg["model"]["data_preprocessor"] == {"type": "DetDataPreprocessor", **preprocessor}
    assert cfg["model"]["backbone"]["depth"] == 53
    assert cfg["train_cfg"]["max_epochs"] == 273
    assert cfg["optim_wrapper"]["optimizer"]["lr"] == 0.001
    assert cfg["optim_wrapper"]["clip_grad"] == {"max_norm": 35, "norm_type": 2}
    assert [item["type"] for item in cfg["param_scheduler"]] == ["LinearLR", "MultiStepLR"]
    assert "data" not in cfg


def test_the_example_converts_onto_a_base_in_the_users_checkout(example):
    base = example.parent.parent / "mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py"
    base.parent.mkdir(parents=True)
    base.write_text(
        "model = dict(type='YOLOV3', backbone=dict(type='Darknet', depth=53))\n"
        "data = dict(samples_per_gpu=8, workers_per_gpu=4,\n"
        "    train=dict(type='CocoDataset', ann_file='a', img_prefix='b', pipeline=[]),\n"
        "    val=dict(type='CocoDataset', ann_file='a', img_prefix='b', pipeline=[]))\n"
        "optimizer = dict(type='SGD', lr=0.5)\nlr_config = dict(policy='step', step=[218, 246])\n"
        "runner = dict(type='EpochBasedRunner', max_epochs=7)\n"
        "evaluation = dict(interval=1, metric=['bbox'])\n"
    )
    cfg = load_config(example)
    assert cfg.train_cfg == {"type": "EpochBasedTrainLoop", "max_epochs": 7, "val_interval": 1}
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.train_dataloader.dataset.pipeline == TRAIN


def test_the_token_is_nowhere(example):
    example.write_text(EXAMPLE.replace("INSERT_YOUR_DEEPLAKE_TOKEN", "canary-0123456789"))
    cfg = load_config(example)
    assert "canary" not in cfg.pretty_text + cfg.text + str(cfg.to_dict())


def test_the_token_is_nowhere_in_a_config_that_the_script_loaded(example):
    example.write_text(EXAMPLE.partition("\n")[2].replace("INSERT_YOUR_DEEPLAKE_TOKEN", "canary-0123456789"))
    converted, notes = convert_config(Config.fromfile(example))
    assert "canary" not in converted.pretty_text + " ".join(map(str, notes))
    assert is_handle(converted.train_dataloader.dataset.credentials)


def test_a_change_made_by_the_script_reaches_the_conversion(example):
    base = example.parent.parent / "mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py"
    base.parent.mkdir(parents=True)
    base.write_text("model = dict(type='YOLOV3', bbox_head=dict(type='YOLOV3Head', num_classes=80))\n")
    cfg = Config.fromfile(example)
    cfg.model.bbox_head.num_classes = 3
    before = deepcopy(cfg.to_dict())
    converted, notes = convert_config(cfg)
    assert converted.model.bbox_head.num_classes == 3
    assert cfg.to_dict() == before
    assert notes


def test_samples_of_a_lake_come_through_the_converted_pipelines(example, nuts_lake):
    from mmdet.registry import DATASETS, MODELS

    changes = {"deeplake_path": str(nuts_lake), "deeplake_tensors": {}, "deeplake_credentials": None}
    lines = [f"data['{split}'].update({changes!r})" for split in ("train", "val")]
    example.write_text("\n".join([EXAMPLE, *lines, ""]))
    cfg = load_config(example)
    with DefaultScope.overwrite_default_scope("mmdet"):
        train = DATASETS.build(cfg.train_dataloader.dataset)[0]
        val = DATASETS.build(cfg.val_dataloader.dataset)[0]
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
    assert train["inputs"].shape[0] == 3
    assert max(train["inputs"].shape) <= 416
    assert max(val["inputs"].shape) == 416
    assert len(train["data_samples"].gt_instances) > 0
    batch = preprocessor({"inputs": [val["inputs"]], "data_samples": [val["data_samples"]]})
    assert batch["inputs"].shape[-1] % 32 == 0
    assert float(batch["inputs"].max()) <= 1


@pytest.mark.parametrize(
    ("train", "data", "batch", "workers"),
    [
        ({"deeplake_dataloader": {"batch_size": 7, "num_workers": 1}}, {}, 7, 1),
        ({"deeplake_dataloader": {"shuffle": False}}, {}, 4, 3),
        ({}, {}, 4, 3),
        ({}, {"train_dataloader": {"samples_per_gpu": 9}}, 9, 3),
        ({"deeplake_dataloader": {"batch_size": 7}}, {"train_dataloader": {"samples_per_gpu": 9}}, 7, 3),
        ({}, {"samples_per_gpu": None, "imgs_per_gpu": 6}, 6, 3),
        ({}, {"samples_per_gpu": None, "workers_per_gpu": None}, 2, 2),
    ],
)
def test_batch_size_and_workers(train, data, batch, workers):
    cfg, _ = convert_config_dict(small(train=train, data=data))
    loader = cfg["train_dataloader"]
    assert (loader["batch_size"], loader["num_workers"]) == (batch, workers)


def test_validation_of_a_lake_falls_back_to_samples_per_gpu():
    cfg, _ = convert_config_dict(small())
    assert (cfg["val_dataloader"]["batch_size"], cfg["val_dataloader"]["num_workers"]) == (4, 3)


def test_a_pipeline_falls_back_and_loads_by_itself():
    config = small()
    del config["data"]["train"]["pipeline"]
    cfg, notes = convert_config_dict(config)
    kinds = [step["type"] for step in cfg["train_dataloader"]["dataset"]["pipeline"]]
    assert kinds == ["LoadImageFromFile", "LoadAnnotations", "Resize", "PackDetInputs"]
    kinds = [step["type"] for step in cfg["val_dataloader"]["dataset"]["pipeline"]]
    assert kinds == ["LoadImageFromFile", "Resize", "LoadAnnotations", "PackDetInputs"]
    assert any("loaded images and boxes by itself" in note.why for note in notes)


def test_masks_are_loaded_if_they_are_collected():
    steps = [
        {"type": "RandomFlip", "flip_ratio": 1},
        {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_masks"]},
    ]
    cfg, _ = convert_config_dict(small(train={"pipeline": steps}))
    load = cfg["train_dataloader"]["dataset"]["pipeline"][1]
    assert load == {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}


def test_every_key_of_a_split():
    keys = {
        "deeplake_credentials": "deeplake-credentials-0",
        "deeplake_commit": "abc",
        "deeplake_view_id": "v",
        "deeplake_tag_id": "t",
        "deeplake_query": "SELECT *",
        "deeplake_tensors": {"img": "images"},
        "deeplake_dataloader": {"drop_last": True, "prefetch_factor": 3, "seed": 5, "buffer_size": 9},
        "classes": ["a", "b"],
    }
    cfg, notes = convert_config_dict(small(train=keys))
    dataset = cfg["train_dataloader"]["dataset"]
    expected = {"credentials": "deeplake-credentials-0", "commit": "abc", "view": "v", "tag": "t"}
    expected |= {"query": "SELECT *", "tensors": {"img": "images"}, "metainfo": {"classes": ("a", "b")}}
    assert {name: dataset[name] for name in expected} == expected
    assert cfg["train_dataloader"]["batch_sampler"]["drop_last"] is True
    assert cfg["train_dataloader"]["prefetch_factor"] == 3
    assert cfg["randomness"]["seed"] == 5
    assert [note.key for note in notes if note.severity == "dropped"] == [
        "data.train.deeplake_dataloader.buffer_size"
    ]


def test_credentials_that_say_nothing_are_left_out():
    empty = {"username": None, "password": None, "token": "", "creds": None}
    cfg, _ = convert_config_dict(small(train={"deeplake_credentials": empty}))
    assert "credentials" not in cfg["train_dataloader"]["dataset"]


def test_keys_on_a_wrapper_go_inside():
    inner = {"type": "CocoDataset", "ann_file": "a"}
    config = small()
    config["data"]["train"] = {"type": "RepeatDataset", "times": 5, "dataset": inner, "deeplake_path": "lake"}
    cfg, _ = convert_config_dict(config)
    dataset = cfg["train_dataloader"]["dataset"]
    assert (dataset["type"], dataset["times"]) == ("RepeatDataset", 5)
    assert dataset["dataset"]["path"] == "lake"


@pytest.mark.parametrize(
    ("style", "metric", "expected"),
    [
        (None, None, ("CocoMetric", "bbox")),
        ("COCO", ["bbox", "segm"], ("CocoMetric", ["bbox", "segm"])),
        ("coco", "segm", ("CocoMetric", "segm")),
        ("COCO", "mAP", ("CocoMetric", "bbox")),
        ("PascalVOC", None, ("VOCMetric", "mAP")),
        ("pascalvoc", "mAP", ("VOCMetric", "mAP")),
        ("PascalVOC", "recall", ("VOCMetric", "recall")),
        ("PascalVOC", ["bbox"], ("VOCMetric", "mAP")),
    ],
)
def test_metrics(style, metric, expected):
    evaluation = {"interval": 2} | ({"metric": metric} if metric else {})
    config = small(evaluation=evaluation) | ({"deeplake_metrics_format": style} if style else {})
    cfg, _ = convert_config_dict(config)
    found = cfg["val_evaluator"]
    assert (found["type"].removeprefix("deeplake_mmdet."), found["metric"]) == expected
    assert cfg["train_cfg"]["val_interval"] == 2


def test_metric_options():
    options = {
        "metric": "bbox",
        "classwise": True,
        "iou_thrs": [0.5],
        "jsonfile_prefix": "x",
        "save_best": "bbox_mAP",
    }
    cfg, _ = convert_config_dict(small(evaluation=options))
    assert cfg["val_evaluator"]["classwise"] is True
    assert cfg["val_evaluator"]["iou_thrs"] == [0.5]
    assert cfg["val_evaluator"]["outfile_prefix"] == "x"
    assert cfg["default_hooks"]["checkpoint"]["save_best"] == "coco/bbox_mAP"


@pytest.mark.parametrize(
    ("config", "near"),
    [
        (small(train={"deeplake_pth": "x"}), "deeplake_path"),
        (small(train={"deep_lake_path": "x"}), "deeplake_path"),
        (small(train={"deeplake_commit_ids": "x"}), "deeplake_commit_id"),
        (small(train={"deeplake_dataloader": {"batchsize": 1}}), "batch_size"),
        (small(train={"deeplake_tensors": {"gt_boxes": "x"}}), "gt_bboxes"),
        (small(train={"deeplake_credentials": {"tokn": None}}), "token"),
        (small(deeplake_metrics_format="Coca"), "COCO"),
        (small(deeplake_metrics_format="VOC"), "PascalVOC"),
        (small(deeplake_dataloader_type="c+"), "c++"),
        (small(deeplake_metric_format="COCO"), "deeplake_metrics_format"),
        (small(evaluation={"metric": "box"}), "bbox"),
    ],
)
def test_misspelt_keys_and_values_are_refused_with_the_nearest(config, near):
    with pytest.raises(ConfigError, match="perhaps") as caught:
        convert_config_dict(config)
    assert repr(near) in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (small(deeplake_path="x"), "data.train"),
        (small(data={"deeplake_path": "x"}), "data.train"),
        (small(train={"deeplake_commit_id": "a", "deeplake_commit": "b"}), "different commits"),
        (small(train={"deeplake_tensors": "images"}), "must be a mapping"),
    ],
)
def test_keys_in_the_wrong_place_or_shape_are_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        convert_config_dict(config)
