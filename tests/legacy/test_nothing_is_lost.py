"""Nothing vanishes silently: whatever is put into a 2.x config is in the 3.x one or in a note."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict

NORM = {"type": "Normalize", "mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": True}
TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "img_scale": (9, 8)},
    {"type": "RandomFlip", "flip_ratio": 0.5},
    {"type": "RandomCrop", "crop_size": (3, 4)},
    {"type": "RandomShift"},
    {
        "type": "AutoAugment",
        "policies": [[{"type": "Shear", "level": 3}, {"type": "BrightnessTransform", "level": 3}]],
    },
    NORM,
    {"type": "Pad", "size_divisor": 32},
    {"type": "SegRescale", "scale_factor": 1},
    {"type": "Albu", "transforms": []},
    {"type": "Collect", "keys": ["img"]},
]
TEST = [
    {"type": "LoadImageFromFile"},
    {"type": "MultiScaleFlipAug", "img_scale": (9, 8), "transforms": [{"type": "Resize"}, NORM]},
]
CONFIG = {
    "model": {"type": "RetinaNet", "backbone": {"type": "ResNet"}, "test_cfg": {"nms": {"type": "nms"}}},
    "data": {
        "samples_per_gpu": 2,
        "train_dataloader": {"samples_per_gpu": 3},
        "train": {"type": "RepeatDataset", "times": 2, "dataset": {"type": "CocoDataset", "pipeline": TRAIN}},
        "val": {
            "type": "CocoDataset",
            "pipeline": TEST,
            "deeplake_path": "lake",
            "deeplake_tensors": {"img": "i"},
            "deeplake_dataloader": {"batch_size": 1},
        },
        "test": {
            "type": "ConcatDataset",
            "datasets": [{"type": "CocoDataset", "pipeline": TEST, "deeplake_path": "p"}],
        },
    },
    "optimizer": {"type": "SGD", "lr": 0.01, "paramwise_cfg": {"norm_decay_mult": 0}},
    "optimizer_config": {"grad_clip": {"max_norm": 1}},
    "fp16": {"loss_scale": 512},
    "lr_config": {"policy": "CosineAnnealing", "min_lr": 0, "warmup": "linear", "warmup_iters": 5},
    "momentum_config": {"policy": "step", "step": [3]},
    "runner": {"type": "EpochBasedRunner", "max_epochs": 4},
    "evaluation": {"interval": 1, "metric": "bbox"},
    "checkpoint_config": {"interval": 1},
    "log_config": {"interval": 5, "hooks": [{"type": "WandbLoggerHook"}, {"type": "Other"}]},
    "custom_hooks": [{"type": "ExpMomentumEMAHook"}, {"type": "SyncNormHook"}, {"type": "Mine"}],
    "custom_imports": {"imports": ["a"]},
    "workflow": [("train", 1)],
}
PROBE = "probe_of_this_test"


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all dicts."""
    if isinstance(node, dict):
        yield path
        for key, value in node.items():
            yield from places(value, (*path, key))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from places(value, (*path, number))


@pytest.mark.parametrize("path", list(places(CONFIG)), ids=lambda path: ".".join(map(str, path)) or "top")
def test_an_unknown_setting_is_kept_or_noted(path):
    config = deepcopy(CONFIG)
    node: Any = config
    for part in path:
        node = node[part]
    node[PROBE] = 1
    if path[-1:] in (("deeplake_tensors",), ("deeplake_dataloader",)):  # our own keys are strict
        with pytest.raises(ConfigError, match=PROBE):
            convert_config_dict(config)
        return
    converted, notes = convert_config_dict(config)
    assert PROBE in str(converted) or any(PROBE in str(note) for note in notes)


def test_the_input_is_left_alone():
    config = deepcopy(CONFIG)
    convert_config_dict(config)
    assert config == CONFIG


def test_no_note_repeats_credentials():
    config = deepcopy(CONFIG)
    config["TOKEN"] = "canary-1"
    config["data"]["val"]["deeplake_credentials"] = {"token": "canary-2"}
    _, notes = convert_config_dict(config)
    assert "canary" not in " ".join(map(str, notes)) + repr(notes)
