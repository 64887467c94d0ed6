"""A model that writes down which rows it was trained on, so that nothing a resume does stays hidden."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, METRICS, MODELS, TRANSFORMS
from torch.utils.data import get_worker_info

ROOM = 4096


@MODELS.register_module()
class RowRecorder(BaseModel):
    """Keeps the rows of all samples it has seen, in turn; its loss draws from every generator."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.register_buffer("rows", torch.full((ROOM,), -1))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        if mode != "loss":
            return data_samples
        own = [int(Path(sample.img_path).stem) for sample in data_samples]
        seen = [row for rows in all_gather_object(own) for row in rows]
        start = int(self.count)
        self.rows[start : start + len(seen)] = torch.tensor(seen)
        self.count += len(seen)
        drawn = torch.rand(1) + float(np.random.rand()) + random.random()
        return {"loss": (self.weight * inputs.mean() / 255 - drawn).pow(2).sum()}


@METRICS.register_module()
class ImageCount(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(1 for _ in data_samples)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"images": float(len(results))}


@HOOKS.register_module()
class Diary(Hook):
    """Tells what happened when: a list of (event, epoch, iteration, more) for each work dir."""

    events: dict[str, list[tuple[Any, ...]]] = {}  # noqa: RUF012
    priority = "LOWEST"

    def _note(self, runner: Any, event: str, *more: Any) -> None:
        self.events.setdefault(runner.work_dir, []).append((event, runner.epoch, runner.iter, *more))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._note(runner, "step", batch_idx, outputs["loss"].item(), len(runner.train_dataloader))

    def before_train_epoch(self, runner):
        self._note(runner, "begin epoch")

    def after_train_epoch(self, runner):
        self._note(runner, "end epoch")

    def after_val_epoch(self, runner, metrics=None):
        self._note(runner, "validated", metrics["images"])


@HOOKS.register_module()
class Trouble(Hook):
    """Stops a run at an iteration: by an error, or by a signal to itself."""

    priority = "LOWEST"

    def __init__(self, at: int, how: str = "error") -> None:
        self.at, self.how = at, how

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at and get_rank() == 0:
            if self.how == "error":
                raise Stopped
            os.kill(os.getpid(), getattr(signal, self.how))


@HOOKS.register_module()
class FailingSave(Hook):
    """A disk that is full when a checkpoint of some iteration is to be written."""

    priority = "LOWEST"

    def __init__(self, at: int) -> None:
        self.at = at

    def before_save_checkpoint(self, runner, checkpoint):
        if checkpoint["meta"]["iter"] == self.at:
            raise OSError(28, "No space left on device")


@TRANSFORMS.register_module()
class KillWorker:
    """The system's memory killer: ends the worker process that makes a sample of some row."""

    def __init__(self, row: int) -> None:
        self.row = row

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        if int(Path(results["img_path"]).stem) == self.row and get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return results


@TRANSFORMS.register_module()
class Hang:
    """A worker that gets stuck where it makes a sample of some row."""

    def __init__(self, row: int) -> None:
        self.row = row

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        if int(Path(results["img_path"]).stem) == self.row and get_worker_info() is not None:
            time.sleep(600)
        return results


class Stopped(Exception):
    pass


PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "scale": (64, 48), "keep_ratio": False},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]


def recording_config(
    lake: str,
    work_dir: str | Path,
    *,
    iterations: bool = False,
    mode: str = "threads",
    workers: int = 2,
    **more: Any,
) -> Config:
    """A run of three passes (epoch loop), or of as many iterations (iteration loop, 9)."""
    dataset = {
        "type": "deeplake_mmdet.DeepLakeDataset", "path": str(lake), "pipeline": PIPELINE,
        "filter_cfg": {"filter_empty_gt": False},
    }  # fmt: skip
    loader = {
        "batch_size": 4,
        "num_workers": workers,
        "sampler": {"type": "InfiniteSampler" if iterations else "DefaultSampler", "shuffle": True},
        "dataset": dataset,
    }
    val = {
        "batch_size": 4,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {**dataset, "test_mode": True},
    }
    cfg = Config(
        {
            "default_scope": "mmdet",
            "work_dir": str(work_dir),
            "experiment_name": f"{work_dir}".replace("/", "_") + f"-{random.getrandbits(32)}",
            "custom_imports": {"imports": ["counting"]},
            "model": {"type": "RowRecorder", "data_preprocessor": {"type": "DetDataPreprocessor"}},
            "train_dataloader": loader,
            "val_dataloader": val,
            "val_evaluator": {"type": "ImageCount"},
            "val_cfg": {},
            "fast_loader": mode,
            "train_cfg": {"by_epoch": False, "max_iters": 9, "val_interval": 4}
            if iterations
            else {"by_epoch": True, "max_epochs": 3},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
            "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 6}],
            "default_hooks": {
                "logger": {"type": "LoggerHook", "interval": 50},
                "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1},
            },
            "custom_hooks": [{"type": "Diary"}],
            "randomness": {"seed": 3},
            "log_level": "WARNING",
        }
    )
    if iterations:
        cfg.log_processor = {"by_epoch": False}
    cfg.merge_from_dict(more)
    return cfg


def rows_of(checkpoint: str | Path) -> list[int]:
    """The rows that went into a checkpoint's weights, in turn."""
    weights = torch.load(checkpoint, weights_only=False)["state_dict"]
    return weights["rows"][: int(weights["count"])].tolist()


def passes(rows: list[int], length: int) -> list[list[int]]:
    return [sorted(rows[start : start + length]) for start in range(0, len(rows), length)]
