"""Resuming from a checkpoint that MMCV 1.x has written: weights, epoch and rates are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from old_configs import old_config

from deeplake_mmdet import build_detector, train
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake

COUNT, BATCH = 8, 4


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("old") / "lake"
    write_demo_lake(path, count=COUNT, seed=0)
    return str(path)


@pytest.fixture
def old(lake):
    content = old_config(lake, None, epochs=4)
    content["model"]["backbone"]["init_cfg"] = None
    content["optimizer"]["lr"] = 1e-7  # not to move weights away
    content["lr_config"] = {
        "policy": "step", "step": [2, 3], "warmup": "linear", "warmup_iters": 3, "warmup_ratio": 0.1,
    }  # fmt: skip
    return content


def old_checkpoint(content, path):
    """What MMCV 1.x writes after two epochs."""
    model = build_detector(content["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.save(
        {
            "meta": {
                "epoch": 2, "iter": 4, "mmcv_version": "1.7.0", "time": "now", "seed": 5, "hook_msgs": {},
                "config": "import no_such_module_of_2x\n", "CLASSES": CLASS_NAMES,
            },
            "state_dict": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        },
        path,
    )  # fmt: skip
    return model


def rates(work):
    (log,) = Path(work).glob("*/vis_data/scalars.json")
    return {line["step"]: line["lr"] for line in map(json.loads, log.read_text().splitlines())}


@pytest.mark.parametrize("by_epoch", [True, False])
def test_weights_place_and_rates_are_kept(old, tmp_path, by_epoch):
    if not by_epoch:
        old["runner"] = {"type": "IterBasedRunner", "max_iters": 8}
        old["lr_config"].update(step=[3, 6], by_epoch=False)
    train(Config(old), work_dir=tmp_path / "whole")
    model = old_checkpoint(old, tmp_path / "old.pth")
    old["resume_from"] = str(tmp_path / "old.pth")
    run = train(Config(old), work_dir=tmp_path / "resumed")
    whole, resumed = rates(tmp_path / "whole"), rates(tmp_path / "resumed")
    assert sorted(whole) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert resumed == pytest.approx({step: whole[step] for step in (5, 6, 7, 8)})
    (log,) = (tmp_path / "resumed").glob("*/*.log")
    assert "MMDetection 2.x's (mmcv 1.7.0)" in log.read_text()
    name = "epoch_4.pth" if by_epoch else "iter_8.pth"
    trained = torch.load(Path(run.work_dir) / name, weights_only=False)["state_dict"]
    for key, value in model.state_dict().items():
        if "running" not in key and "num_batches" not in key:
            assert torch.allclose(trained[key], value, atol=1e-3), key
