"""Which datasets of a config are lakes, derived classes included."""

from __future__ import annotations

from typing import Any

import pytest
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.config import Config
from mmengine.registry import DATASETS as ROOT_DATASETS

from deeplake_mmdet import fast_loader
from deeplake_mmdet.config import use_lake_metrics
from deeplake_mmdet.config.kinds import is_lake
from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.registry import DATASETS


@MMDET_DATASETS.register_module(force=True)
class CellsInMmdet(DeepLakeDataset):
    METAINFO = {"classes": ("cell",)}  # noqa: RUF012  # as MMDetection's datasets have it


@ROOT_DATASETS.register_module(force=True)
class CellsInMmengine(CellsInMmdet):
    pass


@DATASETS.register_module(force=True)
class CellsInOurs(CellsInMmdet):
    pass


@MMDET_DATASETS.register_module(force=True)
class OtherCells:
    pass


LAKES = [
    "DeepLakeDataset",
    "deeplake_mmdet.DeepLakeDataset",
    "deeplake_mmdet.dataset.DeepLakeDataset",
    DeepLakeDataset,
    "CellsInMmdet",
    "mmdet.CellsInMmdet",
    "CellsInMmengine",
    "deeplake_mmdet.CellsInOurs",
    CellsInOurs,
    f"{__name__}.CellsInMmdet",
]
OTHERS = ["CocoDataset", "mmdet.OtherCells", OtherCells, "NoSuch", "deeplake_mmdet.CellsInMmdet", 3, None]


@pytest.mark.parametrize("kind", LAKES, ids=str)
def test_lakes_are_known_by_name_class_and_parents(kind: Any) -> None:
    assert is_lake({"type": kind, "path": "lake"})


@pytest.mark.parametrize("kind", OTHERS, ids=str)
def test_others_are_not(kind: Any) -> None:
    assert not is_lake({"type": kind})


@pytest.mark.parametrize("node", [{}, None, "DeepLakeDataset", [{"type": "DeepLakeDataset"}]], ids=str)
def test_what_is_no_config_of_one_dataset_is_no_lake(node: Any) -> None:
    assert not is_lake(node)


def test_loader_and_metric_are_ours_for_derived_classes() -> None:
    loader = {"batch_size": 2, "num_workers": 0, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    loader["dataset"] = {"type": "CellsInMmdet", "path": "lake", "pipeline": []}
    assert fast_loader(loader)["dataset"]["type"] == "deeplake_mmdet.Feed"
    cfg = Config({"val_dataloader": loader, "val_evaluator": {"type": "CocoMetric", "ann_file": "a.json"}})
    use_lake_metrics(cfg)
    assert cfg.val_evaluator.type == "deeplake_mmdet.CocoMetric"
