"""How samples reach the training loop: their order, fetching ahead, seeds, and the way between processes."""

from __future__ import annotations

from deeplake_mmdet.loading.collate import packed_collate
from deeplake_mmdet.loading.feed import Feed
from deeplake_mmdet.loading.mixing import MultiImageMixDataset
from deeplake_mmdet.loading.sampler import Batch, LakeBatchSampler, LakeSampler
from deeplake_mmdet.loading.statistics import StageTimes, Statistics
from deeplake_mmdet.loading.workers import init_worker

__all__ = [
    "Batch",
    "Feed",
    "LakeBatchSampler",
    "LakeSampler",
    "MultiImageMixDataset",
    "StageTimes",
    "Statistics",
    "init_worker",
    "packed_collate",
]
