"""`DeepLakeDataset`, its data-infos, and the file backend that serves its images."""

from __future__ import annotations

from deeplake_mmdet.dataset.facts import training_facts
from deeplake_mmdet.dataset.filling import Filled, fill_prepared
from deeplake_mmdet.dataset.lake_dataset import DeepLakeDataset, HeadStart

__all__ = ["DeepLakeDataset", "Filled", "HeadStart", "fill_prepared", "training_facts"]
