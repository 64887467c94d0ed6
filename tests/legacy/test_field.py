"""Configs in the manner of public ones train, validate and mean what they meant, from the command line.

They are of our own, in `field/`: competitions, tutorials, dumps in one file, children of files that are not
here. Their data and the weights that they begin with are made here, in the folders that they name.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import field_data
import pytest
import torch
from field_meanings import MEANINGS, Meaning
from updaters_2x import Runner, values

from deeplake_mmdet import load_config
from deeplake_mmdet.cli import main

CONFIGS = Path(__file__).with_name("field")
BALLOON_WEIGHTS = "mask_rcnn_r50_caffe_fpn_mstrain-poly_3x_coco_bbox_mAP-0.408__segm_mAP-0.37.pth"
QUICK = ("dumps/retinanet.json", "yolox_lab/yolox_tiny_child.py")
Part = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("field")
    field_data.make(folder)
    field_data.copy_configs(CONFIGS, folder)
    weights(folder / "checkpoints")
    return folder


def weights(folder: Path) -> None:
    """A backbone's, and a detector's of other classes, as the configs name them."""
    from mmdet.models.backbones import ResNet

    folder.mkdir()
    backbone = ResNet(18).state_dict()
    torch.save(backbone, folder / "resnet18.pth")
    detector = {f"backbone.{name}": value for name, value in backbone.items()}
    detector |= {"roi_head.bbox_head.fc_cls.weight": torch.zeros(81, 1024)}
    torch.save({"state_dict": detector, "meta": {"CLASSES": ("a",) * 80}}, folder / BALLOON_WEIGHTS)


@pytest.fixture(autouse=True)
def _there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def test_there_are_forty():
    found = [path for path in CONFIGS.rglob("*") if path.is_file() and "_base_" not in path.parts]
    assert {str(path.relative_to(CONFIGS)) for path in found} == set(MEANINGS)
    assert len(MEANINGS) == 40


@pytest.mark.parametrize("name", MEANINGS)
def test_a_config_means_what_it_meant(name):
    meant, cfg = MEANINGS[name], load_config(name)
    assert said(cfg.optim_wrapper.optimizer) == meant.optimizer
    assert (cfg.optim_wrapper.get("clip_grad") or {}).get("max_norm") == meant.clip
    assert cfg.train_dataloader.batch_size == meant.batch
    assert cfg.train_cfg.get("max_epochs", -cfg.train_cfg.get("max_iters", 0)) == meant.length
    assert cfg.train_cfg.val_interval == meant.interval
    assert cfg.default_hooks.checkpoint.get("save_best") == meant.best


def said(optimizer: Part) -> Part:
    return {key: tuple(value) if key == "betas" else value for key, value in optimizer.items()}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MEANINGS]
)
def test_a_config_trains_and_validates(name, tmp_path):
    meant = MEANINGS[name]
    assert main(["train", name, "--work-dir", str(tmp_path), "--cfg-options", *shortened(meant)]) == 0
    check_run(meant, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recycling/experiments/faster_r18.py", "lakes_team/atss_two_lakes.py"])
def test_so_does_a_process_of_its_own(name, tmp_path):
    meant = MEANINGS[name]
    command = [sys.executable, "-m", "deeplake_mmdet.cli", "train", name, "--work-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, "--cfg-options", *shortened(meant)], env=os.environ, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    check_run(meant, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heads/libra_neck_list.py", "lakes_team/yolov3_lake.py"])
def test_so_does_what_convert_writes(name, tmp_path):
    """A file without bases, of MMDetection 3.x."""
    meant, new = MEANINGS[name], tmp_path / "new.py"
    assert main(["convert", name, "-o", str(new)]) == 0
    short = ["train_cfg.max_epochs=1", "train_cfg.val_interval=1", "default_hooks.logger.interval=1"]
    assert main(["train", str(new), "--work-dir", str(tmp_path / "run"), "--cfg-options", *short]) == 0
    lines = logged(tmp_path / "run")
    assert lines[0].get("base_lr", lines[0]["lr"]) == pytest.approx(rates(meant, 2)[0], rel=1e-6)
    assert set(meant.metrics) <= set(lines[-1])


def shortened(meant: Meaning) -> list[str]:
    """Options as a user types them to try a config."""
    length = "runner.max_epochs=1" if meant.length > 0 else "runner.max_iters=2"
    interval = 1 if meant.length > 0 else 2
    first = [length, f"evaluation.interval={interval}", "log_config.interval=1", "data.workers_per_gpu=0"]
    return [*first, "checkpoint_config.interval=1000", *meant.options]


def check_run(meant: Meaning, work_dir: Path) -> None:
    lines = logged(work_dir)
    losses = [line["loss"] for line in lines if "loss" in line]
    iterations = math.ceil(meant.images / meant.batch) if meant.length > 0 else 2
    assert len(losses) == iterations >= 2
    assert all(map(math.isfinite, losses))
    seen = [line.get("base_lr", line["lr"]) for line in lines if "loss" in line]
    assert seen == pytest.approx(rates(meant, iterations), rel=1e-6, abs=1e-13)
    assert set(meant.metrics) <= set(lines[-1])
    (saved,) = [path for path in work_dir.glob("*_*.pth") if not path.name.startswith("best_")]
    meta = torch.load(saved, weights_only=False)["meta"]
    classes = meta["dataset_meta"]["classes"]
    assert (tuple(classes) if isinstance(meant.classes, tuple) else len(classes)) == meant.classes
    for path in work_dir.glob("*.pth"):  # of forty detectors
        path.unlink()


def rates(meant: Meaning, iterations: int) -> list[float]:
    """What MMCV 1.x's updaters set in a run of one epoch, or of two iterations."""
    by_epoch = meant.length > 0
    length = math.ceil(meant.images / meant.batch)
    runner = Runner(by_epoch, 1 if by_epoch else 2, length if by_epoch else 2)
    config = dict(meant.schedule)
    if "max_lr" in config:
        config["max"] = config["max_lr"]
    return [rate for (rate,) in values(config, [meant.optimizer["lr"]], runner)][:iterations]


def logged(work_dir: Path) -> list[Part]:
    paths = sorted(work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
