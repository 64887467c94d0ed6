"""Training and testing runs."""

from __future__ import annotations

from deeplake_mmdet.training.bench import bench
from deeplake_mmdet.training.building import build_detector
from deeplake_mmdet.training.detector import test_detector, train_detector
from deeplake_mmdet.training.hooks.checkpoint_check import CheckpointCheckHook
from deeplake_mmdet.training.hooks.class_check import ClassCheckHook
from deeplake_mmdet.training.hooks.progress import ProgressHook
from deeplake_mmdet.training.hooks.statistics import StatisticsHook
from deeplake_mmdet.training.hooks.visualization import LakeVisualizationHook
from deeplake_mmdet.training.policy_schedulers import PolicyLR, PolicyMomentum
from deeplake_mmdet.training.prepare_images import prepare
from deeplake_mmdet.training.result import Run
from deeplake_mmdet.training.resume.checkpoints import CheckpointHook
from deeplake_mmdet.training.resume.loops import EpochTrainLoop, IterTrainLoop
from deeplake_mmdet.training.resume.run_state import RunStateHook
from deeplake_mmdet.training.run import test, train

__all__ = [
    "CheckpointCheckHook",
    "CheckpointHook",
    "ClassCheckHook",
    "EpochTrainLoop",
    "IterTrainLoop",
    "LakeVisualizationHook",
    "PolicyLR",
    "PolicyMomentum",
    "ProgressHook",
    "Run",
    "RunStateHook",
    "StatisticsHook",
    "bench",
    "build_detector",
    "prepare",
    "test",
    "test_detector",
    "train",
    "train_detector",
]
