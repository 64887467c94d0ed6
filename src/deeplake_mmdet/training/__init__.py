"""Training and testing runs."""

from __future__ import annotations

from deeplake_mmdet.training.bench import bench
from deeplake_mmdet.training.building import build_detector
from deeplake_mmdet.training.checkpoints import CheckpointHook
from deeplake_mmdet.training.class_check import ClassCheckHook
from deeplake_mmdet.training.detector import test_detector, train_detector
from deeplake_mmdet.training.loops import EpochTrainLoop, IterTrainLoop
from deeplake_mmdet.training.policy_schedulers import PolicyLR, PolicyMomentum
from deeplake_mmdet.training.progress import ProgressHook
from deeplake_mmdet.training.result import Run
from deeplake_mmdet.training.run import test, train
from deeplake_mmdet.training.run_state import RunStateHook
from deeplake_mmdet.training.statistics_hook import StatisticsHook
from deeplake_mmdet.training.visualization import LakeVisualizationHook
from deeplake_mmdet.training.weights_hook import CheckpointCheckHook

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
    "test",
    "test_detector",
    "train",
    "train_detector",
]
