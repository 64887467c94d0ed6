"""Every setting has an effect: change it, and the converted config or a note changes, or it is refused.

That holds for whatever the zoo's 634 configs set, each kind of setting once, and for some that the zoo leaves
at their defaults. So no setting can vanish between a 2.x config and its 3.x form without a word.
"""

from __future__ import annotations

import pytest
import zoo
from perturb import changed, kind_of_setting, leaves, result

from deeplake_mmdet.legacy import convert_config_dict

# The end of a setting's kind: why it has no effect in 2.x either.
IDLE = {
    ("<ToDataContainer>", "fields", "", "stack"): "how arrays are collected, not what they hold",
    ("<Resize>", "override"): "whether a second resize is allowed; 3.x allows it",
    ("<Pad>", "pad_val", "masks"): "there are no masks in a pipeline for tests",
    ("<Pad>", "pad_val", "seg"): "there are no semantic maps in a pipeline for tests",
    ("lr_config", "warmup_by_epoch"): "with warmup_ratio=1 there is no warm-up",
}
NORM = {"type": "Normalize", "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0], "to_rgb": True}
RARE = {
    "model": {"type": "RetinaNet", "backbone": {"type": "ResNet"}},
    "data": {
        "samples_per_gpu": 2,
        "workers_per_gpu": 3,
        "persistent_workers": False,
        "train_dataloader": {"drop_last": False, "class_aware_sampler": {"num_sample_class": 1}},
        "val_dataloader": {"pin_memory": False},
        "train": {
            "type": "MultiImageMixDataset",
            "dynamic_scale": [8, 8],
            "skip_type_keys": ["Mosaic"],
            "max_refetch": 15,
            "dataset": {
                "type": "ClassBalancedDataset",
                "oversample_thr": 0.1,
                "filter_empty_gt": True,
                "dataset": {
                    "type": "CocoDataset",
                    "filter_empty_gt": True,
                    "min_size": 3,
                    "classes": ["a", "b"],
                    "file_client_args": {"backend": "petrel"},
                    "pipeline": [
                        {"type": "LoadImageFromFile", "color_type": "color", "channel_order": "rgb"},
                        {"type": "LoadAnnotations", "with_label": True, "with_mask": True, "with_seg": True},
                    ],
                },
            },
            "pipeline": [
                {"type": "Mosaic", "img_scale": [8, 6], "min_bbox_size": 1, "skip_filter": True},
                {"type": "RandomAffine", "border": [-4, -3], "max_aspect_ratio": 20, "skip_filter": False},
                {"type": "MixUp", "img_scale": [8, 6], "flip_ratio": 0.5, "min_area_ratio": 0.2},
                {"type": "Resize", "img_scale": [9, 8], "keep_ratio": True, "bbox_clip_border": True},
                {"type": "RandomFlip", "flip_ratio": 0.5, "direction": "horizontal"},
                {"type": "AutoAugment", "policies": [[{"type": "Rotate", "level": 3, "scale": 1.0}]]},
                NORM,
                {"type": "Pad", "size_divisor": 32, "pad_val": {"img": 0, "masks": 2, "seg": 3}},
                {"type": "DefaultFormatBundle", "img_to_float": True},
                {"type": "Collect", "keys": ["img", "gt_bboxes"], "meta_keys": ["filename", "flip"]},
            ],
        },
        "val": {
            "type": "CocoDataset",
            "samples_per_gpu": 4,
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {
                    "type": "MultiScaleFlipAug",
                    "img_scale": [9, 8],
                    "flip": False,
                    "transforms": [{"type": "Resize", "keep_ratio": True}, NORM],
                },
            ],
        },
    },
    "optimizer": {"type": "SGD", "lr": 0.1, "constructor": "Mine", "paramwise_cfg": {"bias_lr_mult": 2.0}},
    "optimizer_config": {
        "type": "GradientCumulativeFp16OptimizerHook",
        "cumulative_iters": 2,
        "loss_scale": 512.0,
        "coalesce": True,
        "bucket_size_mb": -1,
        "detect_anomalous_params": False,
        "grad_clip": {"max_norm": 1.0},
    },
    "lr_config": {"policy": "step", "step": [3], "gamma": 0.1, "min_lr": 0.001, "by_epoch": True},
    "momentum_config": {"policy": "cyclic", "target_ratio": [0.8, 1.0], "cyclic_times": 1},
    "runner": {"type": "EpochBasedRunner", "max_epochs": 4},
    "total_epochs": 4,
    "evaluation": {
        "interval": 2,
        "start": 1,
        "by_epoch": True,
        "metric": ["bbox"],
        "classwise": True,
        "scale_ranges": [[1, 2]],
        "use_group_of": True,
        "save_best": "bbox_mAP",
        "rule": "greater",
        "tmpdir": "t",
        "gpu_collect": False,
        "broadcast_bn_buffer": True,
    },
    "checkpoint_config": {
        "interval": 1,
        "by_epoch": True,
        "meta": {"a": 1},
        "create_symlink": True,
        "max_keep_ckpts": 3,
        "out_dir": "o",
    },
    "log_config": {
        "interval": 5,
        "hooks": [
            {"type": "TextLoggerHook", "by_epoch": True, "ignore_last": True},
            {"type": "TensorboardLoggerHook", "log_dir": "l", "interval": 5},
        ],
    },
    "custom_hooks": [
        {"type": "ExpMomentumEMAHook", "momentum": 0.001, "skip_buffers": False, "total_iter": 9},
        {"type": "SyncNormHook", "interval": 2},
        {"type": "EMAHook", "momentum": 0.001, "warm_up": 5, "resume_from": "p"},
        {"type": "SyncRandomSizeHook", "ratio_range": [14, 26]},
    ],
    "workflow": [("train", 1), ("val", 1)],
    "dist_params": {"backend": "nccl", "port": 1},
    "mp_start_method": "fork",
    "opencv_num_threads": 0,
    "omp_num_threads": 1,
    "cudnn_benchmark": True,
    "log_level": "INFO",
    "load_from": "l",
    "resume_from": None,
    "auto_resume": False,
    "seed": 3,
    "deterministic": True,
    "diff_seed": False,
    "gpu_ids": [0],
    "device": "cuda",
    "work_dir": "w",
    "find_unused_parameters": True,
    "custom_imports": {"imports": ["a"], "allow_failed_imports": False},
    "auto_scale_lr": {"enable": False, "base_batch_size": 16},
}


def is_idle(kind):
    tested = kind[1] != "train" or "pad_val" not in kind
    return tested and any(kind[-len(end) :] == end for end in IDLE)


def without_effect(cfg, seen):
    """Kinds of settings of this config, not seen before, that change nothing."""
    notes = convert_config_dict(cfg)[1]
    variables = {
        name for note in notes if "variables of the file" in note.why for name in note.key.split(", ")
    }
    assert variables.isdisjoint(("model", "data", "optimizer", "lr_config"))
    usual, found = None, []
    for path, _ in leaves(cfg):
        kind = kind_of_setting(cfg, path)
        if path[0] in variables or kind in seen:
            continue
        seen.add(kind)
        usual = usual or result(cfg)
        if result(changed(cfg, path)) == usual and not is_idle(kind):
            found.append((path, kind))
    return found


def test_settings_that_the_zoo_leaves_alone():
    assert result(RARE) is not None
    assert without_effect(RARE, set()) == []


@pytest.mark.slow
def test_settings_of_the_zoo():
    try:
        zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    seen = set()
    found = {name: lost for name in zoo.names() if (lost := without_effect(zoo.old(name), seen))}
    assert found == {}
    assert len(seen) > 1500
