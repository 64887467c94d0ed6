"""Runner, hooks, optimizer, environment, and the model's settings in old places."""

from __future__ import annotations

import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import convert_config_dict

STEPS = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
FILES = {"type": "CocoDataset", "ann_file": "a.json", "img_prefix": "img/", "pipeline": STEPS}
BASE = {
    "model": {"type": "RetinaNet", "backbone": {"type": "ResNet"}},
    "data": {"train": FILES, "val": FILES, "test": FILES},
    "optimizer": {"type": "SGD", "lr": 0.01},
    "lr_config": {"policy": "step", "step": [8]},
    "runner": {"type": "EpochBasedRunner", "max_epochs": 12},
}


def convert(**changes):
    cfg = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    return convert_config_dict(cfg)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1}),
        (
            {"runner": None, "total_epochs": 5},
            {"type": "EpochBasedTrainLoop", "max_epochs": 5, "val_interval": 1},
        ),
        (
            {
                "runner": {"type": "IterBasedRunner", "max_iters": 90},
                "evaluation": {"interval": 10, "start": 3},
            },
            {"type": "IterBasedTrainLoop", "max_iters": 90, "val_interval": 10, "val_begin": 3},
        ),
        (
            {"evaluation": {"interval": 10, "dynamic_intervals": [[285, 1]]}},
            {
                "type": "EpochBasedTrainLoop",
                "max_epochs": 12,
                "val_interval": 10,
                "dynamic_intervals": [(285, 1)],
            },
        ),
        (
            {"runner": {"type": "DeeplakeEpochBasedRunner", "max_epochs": 2}},
            {"type": "EpochBasedTrainLoop", "max_epochs": 2, "val_interval": 1},
        ),
    ],
)
def test_loops(changes, expected):
    assert convert(**changes)[0]["train_cfg"] == expected


def test_an_unknown_runner_is_refused():
    with pytest.raises(ConfigError, match="runner"):
        convert(runner={"type": "MyRunner", "max_epochs": 1})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}}),
        (
            {"optimizer_config": {"grad_clip": {"max_norm": 35}, "type": "OptimizerHook"}},
            {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}, "clip_grad": {"max_norm": 35}},
        ),
        (
            {"optimizer_config": {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4}},
            {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}, "accumulative_counts": 4},
        ),
        (
            {"fp16": {"loss_scale": 512}},
            {"type": "AmpOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}, "loss_scale": 512.0},
        ),
        (
            {"fp16": {"loss_scale": {"init_scale": 512}}},
            {
                "type": "AmpOptimWrapper",
                "optimizer": {"type": "SGD", "lr": 0.01},
                "loss_scale": {"init_scale": 512},
            },
        ),
        (
            {
                "optimizer": {
                    "type": "AdamW",
                    "lr": 1,
                    "paramwise_cfg": {"norm_decay_mult": 0},
                    "constructor": "C",
                }
            },
            {
                "type": "OptimWrapper",
                "optimizer": {"type": "AdamW", "lr": 1},
                "paramwise_cfg": {"norm_decay_mult": 0},
                "constructor": "C",
            },
        ),
    ],
)
def test_optimizers(changes, expected):
    assert convert(**changes)[0]["optim_wrapper"] == expected


@pytest.mark.parametrize(
    ("kind", "length", "loop", "severity"),
    [
        ("EpochBasedRunnerAmp", {"max_epochs": 36}, "EpochBasedTrainLoop", "info"),
        ("IterBasedRunnerAmp", {"max_iters": 90}, "IterBasedTrainLoop", "info"),
        ("MyEpochBasedRunner", {"max_epochs": 36}, "EpochBasedTrainLoop", "approximated"),
        ("DynamicIterBasedRunner", {"max_iters": 90}, "IterBasedTrainLoop", "approximated"),
    ],
)
def test_runners_of_forks_are_noted(kind, length, loop, severity):
    cfg, notes = convert(runner={"type": kind, **length}, lr_config={"policy": "fixed"})
    assert cfg["train_cfg"]["type"] == loop
    assert [note.severity for note in notes if note.key == "runner.type"] == [severity]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"use_fp16": True}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}),
        ({"use_fp16": False}, {"type": "OptimWrapper"}),
        ({"update_interval": 4}, {"type": "OptimWrapper", "accumulative_counts": 4}),
        (
            {"use_fp16": True, "update_interval": 2, "grad_clip": {"max_norm": 1}},
            {
                "type": "AmpOptimWrapper",
                "loss_scale": "dynamic",
                "accumulative_counts": 2,
                "clip_grad": {"max_norm": 1},
            },
        ),
    ],
)
def test_the_optimizer_hook_of_forks_with_apex(changes, expected):
    hook = {"type": "DistOptimizerHook", "grad_clip": None, "coalesce": True, "bucket_size_mb": -1}
    runner = {"type": "EpochBasedRunnerAmp", "max_epochs": 36}
    cfg, notes = convert(optimizer_config={**hook, **changes}, fp16=None, runner=runner)
    assert cfg["optim_wrapper"] == {**expected, "optimizer": BASE["optimizer"]}
    noted = any(note.key == "optimizer_config.use_fp16" for note in notes)
    assert noted is bool(changes.get("use_fp16"))


def test_an_optimizer_hook_of_the_users_own_is_noted():
    cfg, notes = convert(optimizer_config={"type": "MyOptimizerHook", "cumulative_iters": 3, "mine": 1})
    assert cfg["optim_wrapper"]["accumulative_counts"] == 3
    found = {note.key: note.severity for note in notes}
    assert found["optimizer_config.type"] == "approximated"
    assert found["optimizer_config.mine"] == "dropped"


def test_loggers_and_what_each_run_does_may_stand_in_custom_hooks():
    cfg, notes = convert(
        custom_hooks=[
            {"type": "TensorboardLoggerHook"},
            {"type": "DistSamplerSeedHook"},
            {"type": "MyHook"},
            {"type": "TextLoggerHook"},
        ]
    )
    assert cfg["visualizer"]["vis_backends"] == [
        {"type": "LocalVisBackend"},
        {"type": "TensorboardVisBackend"},
    ]
    assert cfg["custom_hooks"] == [{"type": "MyHook"}]
    assert {"custom_hooks[1]", "custom_hooks[2]"} <= {note.key for note in notes}


def test_several_optimizers_are_refused():
    with pytest.raises(ConfigError, match="Several optimizers"):
        convert(optimizer={"a": {"type": "SGD"}, "b": {"type": "SGD"}})


def test_hooks_and_loggers():
    cfg, notes = convert(
        checkpoint_config={"interval": 3, "max_keep_ckpts": 2, "create_symlink": False},
        log_config={
            "interval": 7,
            "hooks": [
                {"type": "TextLoggerHook"},
                {"type": "TensorboardLoggerHook", "by_epoch": False},
                {"type": "MMDetWandbHook", "init_kwargs": {"project": "p"}, "num_eval_images": 3},
                {"type": "MlflowLoggerHook", "exp_name": "e"},
                {"type": "OddLoggerHook"},
            ],
        },
        custom_hooks=[
            {"type": "NumClassCheckHook"},
            {"type": "SyncNormHook", "num_last_epochs": 15, "interval": 10, "priority": 48},
            {
                "type": "ExpMomentumEMAHook",
                "momentum": 1e-4,
                "total_iter": 9,
                "priority": 49,
                "resume_from": None,
            },
            {"type": "LinearMomentumEMAHook", "momentum": 1e-4},
            {"type": "MyHook", "a": 1},
        ],
    )
    assert cfg["default_hooks"]["checkpoint"] == {
        "type": "CheckpointHook",
        "interval": 3,
        "max_keep_ckpts": 2,
    }
    assert cfg["default_hooks"]["logger"]["interval"] == 7
    assert cfg["visualizer"]["vis_backends"] == [
        {"type": "LocalVisBackend"},
        {"type": "TensorboardVisBackend"},
        {"type": "WandbVisBackend", "init_kwargs": {"project": "p"}},
        {"type": "MLflowVisBackend", "exp_name": "e"},
    ]
    hooks = {hook["type"]: hook for hook in cfg["custom_hooks"]}
    assert hooks["SyncNormHook"] == {"type": "SyncNormHook", "priority": 48}
    assert cfg["custom_hooks"][2] == {
        "type": "EMAHook",
        "ema_type": "ExpMomentumEMA",
        "momentum": 1e-4,
        "priority": 49,
        "update_buffers": True,
        "gamma": 9,
    }
    assert hooks["MyHook"] == {"type": "MyHook", "a": 1}
    found = {note.key: note.severity for note in notes}
    assert found["log_config.hooks[2].num_eval_images"] == "dropped"
    assert found["log_config.hooks[4]"] == "dropped"
    assert found["custom_hooks[3]"] == "approximated"
    assert found["custom_hooks[4]"] == "info"


def test_the_environment():
    cfg, notes = convert(
        dist_params={"backend": "gloo", "port": 1},
        opencv_num_threads=2,
        mp_start_method="spawn",
        cudnn_benchmark=True,
        seed=3,
        deterministic=True,
        resume_from="x.pth",
        load_from="y.pth",
        work_dir="w",
        find_unused_parameters=True,
        gpu_ids=[0],
        device="cpu",
        workflow=[("train", 1), ("val", 1)],
        custom_imports={"imports": ["mmcls.models", "mine"], "allow_failed_imports": False},
        auto_scale_lr={"enable": False, "base_batch_size": 16},
    )
    assert cfg["env_cfg"] == {
        "cudnn_benchmark": True,
        "mp_cfg": {"mp_start_method": "spawn", "opencv_num_threads": 2},
        "dist_cfg": {"backend": "gloo"},
    }
    assert cfg["randomness"] == {"seed": 3, "deterministic": True, "diff_rank_seed": False}
    assert (cfg["load_from"], cfg["resume"], cfg["work_dir"]) == ("x.pth", True, "w")
    assert cfg["custom_imports"]["imports"] == ["mmpretrain.models", "mine"]
    assert cfg["find_unused_parameters"] is True
    assert cfg["device"] == "cpu"
    assert "workflow" in {note.key for note in notes if note.severity == "dropped"}
    assert any(note.key == "device" and note.severity == "dropped" for note in convert(device="npu")[1])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (None, False)),
        ({"load_from": "y"}, ("y", False)),
        ({"auto_resume": True, "load_from": "y"}, (None, True)),
        ({"resume_from": "x", "auto_resume": True}, ("x", True)),
    ],
)
def test_resuming(changes, expected):
    cfg, _ = convert(**changes)
    assert (cfg["load_from"], cfg["resume"]) == expected


def test_old_places_of_model_settings():
    cfg, _ = convert(
        model={"type": "FasterRCNN", "pretrained": "torchvision://resnet50", "backbone": {"type": "ResNet"}},
        train_cfg={"rpn": {"allowed_border": 0}},
        test_cfg={"rcnn": {"score_thr": 0.5}},
    )
    model = cfg["model"]
    assert model["backbone"]["init_cfg"] == {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}
    assert (model["train_cfg"], model["test_cfg"]) == (
        {"rpn": {"allowed_border": 0}},
        {"rcnn": {"score_thr": 0.5}},
    )
    assert "pretrained" not in model
    assert cfg["train_cfg"]["type"] == "EpochBasedTrainLoop"


def test_settings_both_inside_and_beside_the_model_are_refused():
    with pytest.raises(ConfigError, match="both"):
        convert(model={"type": "A", "train_cfg": {"a": 1}}, train_cfg={"rpn": {}})


def test_different_normalisations_are_refused():
    def files(mean):
        norm = {"type": "Normalize", "mean": mean, "std": [1, 1, 1], "to_rgb": True}
        return {**FILES, "pipeline": [*STEPS, norm]}

    with pytest.raises(ConfigError, match="normalise images differently"):
        convert(data={"train": files([1, 2, 3]), "val": files([0, 0, 0])})


def test_a_split_that_did_not_normalise_is_noted():
    norm = {"type": "Normalize", "mean": [1, 2, 3], "std": [1, 1, 1], "to_rgb": True}
    _, notes = convert(data={"train": FILES, "val": {**FILES, "pipeline": [*STEPS, norm]}})
    assert [note.what for note in notes if note.key == "Normalize"] == [
        "images of data.train are normalised too"
    ]


def test_files_become_datasets_of_files():
    cfg, _ = convert(
        data={
            "samples_per_gpu": 3,
            "workers_per_gpu": 0,
            "train": {
                "type": "RepeatDataset",
                "times": 2,
                "dataset": {
                    **FILES,
                    "type": "VOCDataset",
                    "ann_file": ["07.txt", "12.txt"],
                    "img_prefix": ["07/", "12/"],
                    "filter_empty_gt": False,
                },
            },
            "val": {**FILES, "classes": ["a"], "samples_per_gpu": 5},
        },
        evaluation={"metric": "bbox"},
    )
    inner = cfg["train_dataloader"]["dataset"]["dataset"]
    assert (inner["type"], inner["ignore_keys"]) == ("ConcatDataset", ["dataset_type"])
    assert [part["ann_file"] for part in inner["datasets"]] == ["07.txt", "12.txt"]
    assert inner["datasets"][1]["data_prefix"] == {"sub_data_root": "12/"}
    assert inner["datasets"][0]["filter_cfg"] == {"filter_empty_gt": False, "min_size": 32}
    train, val = cfg["train_dataloader"], cfg["val_dataloader"]
    assert (train["batch_size"], train["num_workers"], train["persistent_workers"]) == (3, 0, False)
    assert (val["batch_size"], val["dataset"]["metainfo"]) == (5, {"classes": ("a",)})
    assert val["dataset"]["data_prefix"] == {"img": "img/"}
    assert cfg["val_evaluator"] == {"type": "CocoMetric", "ann_file": "a.json", "metric": "bbox"}
    assert "test_dataloader" not in cfg
    assert "test_cfg" not in cfg


def test_without_validation_there_is_none():
    cfg, _ = convert(data={"train": FILES})
    assert not {"val_dataloader", "val_cfg", "val_evaluator"} & set(cfg)
    assert "val_interval" not in cfg["train_cfg"]


def test_variables_are_named_without_their_values():
    _, notes = convert(TOKEN="canary", img_norm_cfg={}, data_root="x")
    (note,) = [note for note in notes if "TOKEN" in note.key]
    assert note.key == "TOKEN, data_root, img_norm_cfg"
    assert "canary" not in str(list(map(str, notes)))


def test_class_aware_sampling():
    data = {**BASE["data"], "train_dataloader": {"class_aware_sampler": {"num_sample_class": 1}}}
    loader = convert(data=data)[0]["train_dataloader"]
    assert loader["sampler"] == {"type": "ClassAwareSampler", "num_sample_class": 1}
    assert "batch_sampler" not in loader


def test_augmentation_of_validation_counts_where_there_is_no_test():
    load, resize = {"type": "LoadImageFromFile"}, {"type": "Resize", "keep_ratio": True}
    flips = {"type": "MultiScaleFlipAug", "img_scale": (9, 8), "flip": True, "transforms": [resize]}
    data = {"val": {"type": "CocoDataset", "pipeline": [load, flips]}}
    found, notes = convert_config_dict({"model": {"type": "FCOS"}, "data": data})
    assert found["tta_pipeline"][-1]["type"] == "TestTimeAug"
    assert found["tta_model"]["type"] == "DetTTAModel"
    assert [note.severity for note in notes if "tta" in note.what] == ["approximated"]


def test_the_proposals_of_an_rpn_are_of_one_class_whatever_the_data_have():
    hooks = [{"type": "NumClassCheckHook"}, {"type": "CheckInvalidLossHook", "interval": 50}]
    cfg, notes = convert(model={"type": "RPN"}, custom_hooks=hooks)
    assert [hook["type"] for hook in cfg["custom_hooks"]] == ["CheckInvalidLossHook"]
    assert [note.key for note in notes if "NumClassCheck" in str(note.old)] == ["custom_hooks[0]"]
    assert len(convert(model={"type": "FCOS"}, custom_hooks=hooks)[0]["custom_hooks"]) == 2


def test_a_lake_without_a_pipeline_gets_none():
    """So that training refuses it by its key: what the old integration loaded was never resized."""
    lake = {"type": "CocoDataset", "deeplake_path": "lakes/a"}
    assert (
        convert(data={"train": lake, "val": [lake, lake]})[0]["train_dataloader"]["dataset"]["pipeline"] == []
    )
