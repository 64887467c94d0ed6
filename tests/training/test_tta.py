"""Test runs with test-time augmentation, against MMDetection's own way to them."""

from __future__ import annotations

import copy
import json

import pytest
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.runner import Runner
from small_detectors import SIDE

import deeplake_mmdet
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training import test_detector as run_detector
from deeplake_mmdet.training.tta import augmented, check_merges

META = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """A config, its detector and a checkpoint."""
    # an untrained model is sure of nothing
    return untrained_demo(tmp_path_factory.mktemp("run"), [5], score_thr=0.0001)[:3]


def versions(*scales):
    resizes = [{"type": "Resize", "scale": scale, "keep_ratio": True} for scale in scales]
    flips = [{"type": "RandomFlip", "prob": prob} for prob in (1.0, 0.0)]
    pack = {"type": "PackDetInputs", "meta_keys": META}
    return [
        {"type": "LoadImageFromFile"},
        {"type": "TestTimeAug", "transforms": [resizes, flips, [pack]]},
    ]


def predictions(file):
    written = json.loads(file.read_text())
    return sorted((one["image_id"], one["category_id"], -one["score"], *one["bbox"]) for one in written)


def found_by(cfg, checkpoint, folder, **options):
    file = folder / "found.json"
    deeplake_mmdet.test(cfg, checkpoint, work_dir=folder, out=file, **options)
    return predictions(file)


def found_by_mmdetection(cfg, checkpoint, folder, pipeline, tta_model):
    """What its tools/test.py does with --tta, apart from fast loaders."""
    cfg = copy.deepcopy(cfg)
    file = folder / "found.json"
    cfg.test_dataloader.dataset.pipeline = pipeline
    cfg.model = ConfigDict(**tta_model, module=cfg.model)
    cfg.work_dir, cfg.load_from = str(folder), str(checkpoint)
    cfg.test_evaluator = [{"type": "deeplake_mmdet.DumpPredictions", "file": str(file)}]
    Runner.from_cfg(cfg).test()
    return predictions(file)


@pytest.mark.parametrize(("mode", "workers"), [("off", 0), ("threads", 2), ("processes", 2)])
def test_the_configs_own_versions_score_as_in_mmdetection(ready, tmp_path, mode, workers):
    cfg, _, checkpoint = copy.deepcopy(ready[0]), *ready[1:]
    pipeline = versions((96, 64), (SIDE, 128))
    model = {
        "type": "DetTTAModel",
        "tta_cfg": {"nms": {"type": "nms", "iou_threshold": 0.6}, "max_per_img": 40},
    }
    expected = found_by_mmdetection(cfg, checkpoint, tmp_path / "stock", pipeline, model)
    cfg.tta_pipeline, cfg.tta_model, cfg.fast_loader = pipeline, model, mode
    cfg.test_dataloader.num_workers = workers
    cfg.test_dataloader.persistent_workers = False
    before = cfg.pretty_text
    found = found_by(cfg, checkpoint, tmp_path / "ours", tta=True)
    assert found == expected
    assert found != found_by(cfg, checkpoint, tmp_path / "plain")
    assert cfg.pretty_text == before


def test_without_them_images_are_tested_as_they_are_and_flipped(ready, tmp_path):
    cfg, model, checkpoint = ready
    assert "tta_pipeline" not in cfg
    assert "tta_model" not in cfg
    steps = [dict(step) for step in cfg.test_dataloader.dataset.pipeline]
    flips = [{"type": "RandomFlip", "prob": prob} for prob in (1.0, 0.0)]
    pack = {**steps[-1], "meta_keys": META}
    pipeline = [*steps[:-1], {"type": "TestTimeAug", "transforms": [flips, [pack]]}]
    usual = {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100}
    merge = {"type": "DetTTAModel", "tta_cfg": usual}
    expected = found_by_mmdetection(cfg, checkpoint, tmp_path / "stock", pipeline, merge)
    assert found_by(cfg, checkpoint, tmp_path / "ours", tta=True) == expected
    file = tmp_path / "built.json"
    run_detector(model, cfg, work_dir=tmp_path / "built", out=file, tta=True)
    assert predictions(file) == expected


def test_the_log_says_which_sizes_are_taken(ready, tmp_path, caplog):
    cfg, _, checkpoint = copy.deepcopy(ready[0]), *ready[1:]
    cfg.tta_pipeline = versions((96, 64), (SIDE, 128))
    found_by(cfg, checkpoint, tmp_path / "own", tta=True)
    assert f"each image is tested in 4 versions, sizes 96 x 64, {SIDE} x 128" in caplog.text
    found_by(ready[0], checkpoint, tmp_path / "flipped", tta=True)
    assert "tested in 2 versions, sizes 96 x 64" in caplog.text


def test_datasets_inside_of_others_come_in_versions_too(ready, tmp_path):
    cfg, _, checkpoint = copy.deepcopy(ready[0]), *ready[1:]
    single = found_by(cfg, checkpoint, tmp_path / "single", tta=True)
    cfg.test_dataloader.dataset = {"type": "ConcatDataset", "datasets": [cfg.test_dataloader.dataset]}
    assert found_by(cfg, checkpoint, tmp_path / "inside", tta=True) == single


def test_a_pipeline_that_packs_elsewhere_is_refused(ready, tmp_path):
    cfg, _, checkpoint = copy.deepcopy(ready[0]), *ready[1:]
    cfg.test_dataloader.dataset.pipeline.append({"type": "FilterAnnotations"})
    with pytest.raises(ConfigError, match=r"does not end with PackDetInputs.*write a tta_pipeline"):
        found_by(cfg, checkpoint, tmp_path, tta=True)


@pytest.mark.parametrize(
    "name", ["mask_rcnn/mask-rcnn_r50_fpn_1x_coco", "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"]
)
def test_models_with_masks_are_refused(name):
    register_all_modules()
    cfg = Config({"tta_model": {"type": "DetTTAModel", "tta_cfg": {}}})
    model = augmented(MODELS.build(get_config(f"mmdet::{name}.py").model), cfg)
    with pytest.raises(ConfigError, match="merges boxes, and this model predicts masks"):
        check_merges(model)
    check_merges(model.module)  # not augmented


def test_the_command_has_it(ready, tmp_path, capsys):
    from deeplake_mmdet.cli import main

    cfg, _, checkpoint = ready
    file = tmp_path / "config.py"
    cfg.dump(file)
    main(["test", str(file), str(checkpoint), "--tta", "--work-dir", str(tmp_path / "run")])
    assert "coco/bbox_mAP" in capsys.readouterr().out
