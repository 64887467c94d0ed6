"""How samples reach the training loop: their order, fetching ahead, seeds, and the way between processes."""

from __future__ import annotations

from deeplake_mmdet.loading.collate import packed_collate
from deeplake_mmdet.loading.concatenation import ConcatDataset
from deeplake_mmdet.loading.feed import Feed
from deeplake_mmdet.loading.mixing import MultiImageMixDataset
from deeplake_mmdet.loading.process_settings import set_opencv_threads, settings_restored
from deeplake_mmdet.loading.report import LoaderReport, Recorder
from deeplake_mmdet.loading.sampler import Batch, LakeBatchSampler, LakeSampler
from deeplake_mmdet.loading.statistics import StageTimes, Statistics, is_asked_for
from deeplake_mmdet.loading.workers import init_worker
from deeplake_mmdet.loading.wrappers import lakes_under

__all__ = [
    "Batch",
    "ConcatDataset",
    "Feed",
    "LakeBatchSampler",
    "LakeSampler",
    "LoaderReport",
    "MultiImageMixDataset",
    "Recorder",
    "StageTimes",
    "Statistics",
    "init_worker",
    "is_asked_for",
    "lakes_under",
    "packed_collate",
    "set_opencv_threads",
    "settings_restored",
]
