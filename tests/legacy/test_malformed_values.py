"""Values of another kind than 2.x took: each is refused by its key, and none ends a conversion raw."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mmengine import Config
from test_every_setting_counts import RARE

from deeplake_mmdet import convert_config, load_config, train_detector
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError
from deeplake_mmdet.legacy import convert_config_dict

FIELD = Path(__file__).with_name("field")
REAL = (
    *("lakes_team/yolox_lake.py", "detr_lab/detr_r18_parts.py", "recycling/experiments/cascade_swin.py"),
    *("aerial/yolact_fields.py", "medical/ssdlite_cells.py"),
)
BAD = (None, 5, "x", [], [None], {}, True, -1, [[]], {"a": 1}, 1.5, float("nan"), ["x"], [{}])
SAMPLED = 9  # every such case; the whole takes minutes


def paths(node, path=()):
    """Of all values, those that hold others too."""
    if path:
        yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, value in items:
        yield from paths(value, (*path, step))


def put(node, path, value):
    if not path:
        return value
    if isinstance(node, dict):
        return {**node, path[0]: put(node[path[0]], path[1:], value)}
    items = list(node)
    items[path[0]] = put(items[path[0]], path[1:], value)
    return type(node)(items)


def contents():
    yield RARE
    for name in REAL:
        yield Config.fromfile(FIELD / name, import_custom_modules=False)._cfg_dict.to_dict()


def test_any_value_anywhere_is_converted_or_refused():
    """And not by the last resort, which can only say in which part it stands."""
    every = 1 if "DEEPLAKE_MMDET_LONG_TESTS" in os.environ else SAMPLED
    cases = [(content, path, bad) for content in contents() for path in paths(content) for bad in BAD]
    raw, refused = [], 0
    for content, path, bad in cases[::every]:
        try:
            convert_config_dict(put(content, path, bad))
        except DeepLakeMMDetError as error:
            refused += 1
            if error.__cause__ is not None:
                raw.append((path, bad, error))
        except Exception as error:
            raw.append((path, bad, error))
    assert raw == []
    assert refused > len(cases) / every / 5


STEP = "data.train.pipeline[0]"
COCO = {"type": "CocoDataset", "ann_file": "a.json", "pipeline": [{"type": "LoadImageFromFile"}]}


def config(**changes):
    optimizer = {"type": "SGD", "lr": 0.1}
    data = {"train": dict(COCO), "val": dict(COCO)}
    return {"model": {"type": "RetinaNet"}, "data": data, "optimizer": optimizer, **changes}


def data(**changes):
    return config(data={"train": dict(COCO), "val": dict(COCO), **changes})


def step(kind, **settings):
    return data(train={**COCO, "pipeline": [{"type": kind, **settings}]})


CASES = {
    "custom_hooks[0]": config(custom_hooks=[None]),
    "custom_hooks": config(custom_hooks=5),
    "data.train[0]": data(train=[None]),
    "data.val[0]": data(val=[[]]),
    "data.val.ann_file": data(val={**COCO, "ann_file": []}),
    "data.train.ann_file": data(train={**COCO, "ann_file": []}),
    "data.train.img_prefix": data(train={**COCO, "ann_file": ["a"], "img_prefix": ["b", "c"]}),
    "data.test.seg_prefix": data(test={**COCO, "ann_file": ["a", "b"], "seg_prefix": ["b"]}),
    "data.train": data(train={"type": "RepeatDataset", "times": 2, "dataset": []}),
    "data.val": data(val={"type": "ConcatDataset", "datasets": []}),
    "data.val.datasets[1]": data(val={"type": "ConcatDataset", "datasets": [COCO, None]}),
    "data.train.times": data(train={"type": "RepeatDataset", "times": "x", "dataset": COCO}),
    "data.workers_per_gpu": data(workers_per_gpu="x"),
    "data.val_dataloader": data(val_dataloader=[5]),
    "data.train_dataloader.class_aware_sampler": data(train_dataloader={"class_aware_sampler": True}),
    "evaluation.metric": config(evaluation={"metric": 5}),
    "evaluation.dynamic_intervals": config(evaluation={"dynamic_intervals": 5}),
    "custom_imports.imports": config(custom_imports={"imports": 5}),
    "workflow": config(workflow=5),
    "log_config.hooks": config(log_config={"hooks": 5}),
    "log_config.hooks[0].type": config(log_config={"hooks": [{"type": []}]}),
    "runner.max_epochs": config(runner={"type": "EpochBasedRunner", "max_epochs": "x"}),
    "runner.max_iters": config(runner={"type": "IterBasedRunner", "max_iters": 2.5}),
    "total_epochs": config(total_epochs=[12]),
    "optimizer_config.cumulative_iters": config(optimizer_config={"cumulative_iters": "x"}),
    "lr_config.warmup_iters": config(lr_config={"policy": "step", "step": 3, "warmup_iters": "x"}),
    "lr_config.target_ratio": config(lr_config={"policy": "Cyclic", "target_ratio": "x"}),
    "momentum_config.target_ratio": config(momentum_config={"policy": "cyclic", "target_ratio": []}),
    "lr_config.periods": config(lr_config={"policy": "CosineRestart", "periods": 5}),
    f"{STEP}.size": step("Pad", size=5),
    f"{STEP}.size_divisor": step("mmdet.Pad", size_divisor="32"),
    f"{STEP}.level": step("Shear", level="x"),
    f"{STEP}.mean": step("Normalize", mean=5, std=[1, 1, 1]),
    f"{STEP}.keys": step("Collect", keys=None),
    f"{STEP}.img_scale": step("Resize", img_scale=[(1333, 800), "x"]),
    f"{STEP}.file_client_args": step("LoadImageFromFile", file_client_args="disk"),
    f"{STEP}.policies[0][1]": step("AutoAugment", policies=[[{"type": "Shear"}, None]]),
    f"{STEP}.transforms": step("MultiScaleFlipAug", img_scale=(9, 8)),
    "model.test_cfg.rcnn": config(model={"type": "FasterRCNN", "test_cfg": {"rcnn": "x"}}),
    "model.random_size_range": config(model={"type": "YOLOX", "random_size_range": 15}),
}


@pytest.mark.parametrize("key", CASES)
def test_it_is_refused_by_its_key(key):
    with pytest.raises(ConfigError) as caught:
        convert_config_dict(CASES[key])
    assert f"'{key}'" in caught.value.where
    assert "write" in caught.value.advice or "give" in caught.value.advice


def test_the_value_is_told_but_not_what_stands_in_a_dict_s_place():
    with pytest.raises(ConfigError, match=r"whole number, got 'x'.*write max_epochs=1"):
        convert_config_dict(CASES["runner.max_epochs"])
    places = (lambda bad: step("LoadImageFromFile", file_client_args=bad), lambda bad: config(optimizer=bad))
    for place in places:
        for bad in ("my-token", ["my-token"]):
            with pytest.raises(ConfigError) as caught:
                convert_config_dict(place(bad))
            assert "my-token" not in str(caught.value)
    with pytest.raises(ConfigError, match="got dict"):
        convert_config_dict(config(workflow={"token": "my-token"}))


def test_single_values_and_lists_are_still_both_taken():
    several = {**COCO, "ann_file": ["a", "b"], "img_prefix": "images"}
    converted, _ = convert_config_dict(data(train=several, workers_per_gpu=0))
    parts = converted["train_dataloader"]["dataset"]["datasets"]
    assert [part["ann_file"] for part in parts] == ["a", "b"]


@pytest.mark.parametrize("key", ["custom_hooks[0]", "runner.max_epochs", "data.val.ann_file", f"{STEP}.size"])
def test_all_doors_say_the_same(key, tmp_path, capsys):
    content = CASES[key]
    file = tmp_path / "old.py"
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in content.items()))
    doors = {
        "load_config": lambda: load_config(str(file)),
        "convert_config": lambda: convert_config(Config(content)),
        "train_detector": lambda: train_detector(None, content),
    }
    for name, door in doors.items():
        with pytest.raises(ConfigError) as caught:
            door()
        assert f"'{key}'" in caught.value.where, name
    assert main(["convert", str(file), "-o", str(tmp_path / "new.py")]) == 1
    assert key in capsys.readouterr().err


MIXED = {
    "model": {"type": "RetinaNet"},
    "train_dataloader": {"batch_size": 2, "dataset": COCO},
    "train_cfg": {"max_epochs": 12},
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "param_scheduler": [{"type": "MultiStepLR", "milestones": [8, 11]}],
    "default_hooks": {"logger": {"interval": 5}},
    "val_evaluator": {"type": "CocoMetric", "metric": "bbox"},
    "optimizer": {"type": "SGD", "lr": 0.2},
}


@pytest.mark.parametrize("key", [key for key in MIXED if key != "optimizer"])
def test_so_are_values_of_3x_beside_keys_of_2x(key):
    """By the part in which they stand."""
    cases = [(path, bad) for path in paths({key: MIXED[key]}) if len(path) > 1 for bad in BAD]
    told = [message for path, bad in cases if (message := refusal(put(MIXED, path, bad))) is not None]
    assert [message for message in told if key not in message] == []
    assert told


def refusal(content):
    try:
        convert_config(Config(content))
    except DeepLakeMMDetError as error:
        return str(error)
    return None
