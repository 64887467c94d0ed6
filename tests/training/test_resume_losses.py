"""Stock detectors: losses and weights after a resume equal the uninterrupted run's, bit for bit."""

from __future__ import annotations

import shutil

import pytest
import torch
from counting import Diary, recording_config
from small_detectors import small_detector

from deeplake_mmdet import train
from deeplake_mmdet.demo.lakes import write_demo_lake

# In the first epoch, between the two, and in the second; test_resume.py does all with a lighter model.
STEPS = (1, 4, 6)
# Each loop and each way of loading with two of them.
CASES = [
    ("rtmdet", False, "threads"),
    ("yolox", False, "processes"),
    ("yolov3", True, "threads"),
    ("faster_rcnn", True, "processes"),
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "eight"
    write_demo_lake(path, count=8, seed=4)
    return str(path)


def losses_of(lake, folder, name, iterations, mode, start=False):
    part = small_detector(name, lake)
    cfg = recording_config(lake, folder, iterations=iterations, mode=mode)
    cfg.model = part["model"]
    cfg.train_dataloader.dataset = part["dataset"]
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg = {"by_epoch": False, "max_iters": 8} if iterations else {"by_epoch": True, "max_epochs": 2}
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.optim_wrapper.clip_grad = {"max_norm": 10}
    if name == "yolox":  # mixing ends with the first epoch
        cfg.custom_hooks.append({"type": "mmdet.YOLOXModeSwitchHook", "num_last_epochs": 0})
    train(cfg, resume=start)
    return [event[2:5] for event in Diary.events[str(folder)] if event[0] == "step"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iterations", "mode"), CASES, ids=[case[0] for case in CASES])
def test_losses_after_a_resume_are_those_without(lake, tmp_path, name, iterations, mode):
    whole = losses_of(lake, tmp_path / "whole", name, iterations, mode)
    assert len({loss for *_, loss in whole}) == 8
    final = torch.load(tmp_path / "whole" / "iter_8.pth", weights_only=False)
    for step in STEPS:
        start = tmp_path / "whole" / f"iter_{step}.pth"
        resumed = losses_of(lake, tmp_path / f"from-{step}", name, iterations, mode, start)
        assert resumed == whole[step:], f"resumed after iteration {step}"
        found = torch.load(tmp_path / f"from-{step}" / "iter_8.pth", weights_only=False)
        for key, tensor in final["state_dict"].items():
            assert torch.equal(tensor, found["state_dict"][key]), key
        for number, values in final["optimizer"]["state"].items():
            for key, value in values.items():
                assert torch.equal(value, found["optimizer"]["state"][number][key]), key
        shutil.rmtree(tmp_path / f"from-{step}")
