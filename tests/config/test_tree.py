"""The datasets of a config, with their keys and wrappers; which are lakes, derived classes included."""

from __future__ import annotations

from typing import Any

import pytest
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.config import Config
from mmengine.registry import DATASETS as ROOT_DATASETS

from deeplake_mmdet import fast_loader
from deeplake_mmdet.config import use_lake_metrics
from deeplake_mmdet.config.tree import all_datasets, innermost, innermost_of, is_lake, lakes_in
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


LAKE = {"type": "deeplake_mmdet.DeepLakeDataset", "path": "lake", "pipeline": [1]}
FILES = {"type": "CocoDataset", "ann_file": "a.json"}
REPEATED = {"type": "RepeatDataset", "times": 2, "dataset": LAKE, "pipeline": [2]}
TREE = {"type": "deeplake_mmdet.Feed", "dataset": {"type": "ConcatDataset", "datasets": [REPEATED, FILES]}}


def test_each_dataset_has_its_key_and_its_wrappers() -> None:
    found = list(all_datasets(TREE, "top"))
    # A feed has no key of its own: users know of none.
    assert [place.key for place in found] == [
        *("top", "top", "top.datasets[0]", "top.datasets[0].dataset", "top.datasets[1]"),
    ]
    assert found[3].above == (TREE, TREE["dataset"], REPEATED)
    assert found[3].node is LAKE
    assert [place.node for place in innermost(TREE)] == [LAKE, FILES]
    assert found[3].pipelines == (None, None, [2], [1])
    assert lakes_in(TREE) == [LAKE]


@pytest.mark.parametrize("node", [None, 3, "text", [], [None, 3], ()], ids=str)
def test_what_is_no_dataset_holds_none(node: Any) -> None:
    assert list(all_datasets(node)) == []
    assert list(innermost_of({"train_dataloader": {"dataset": node}}, "train")) == []
    assert list(innermost_of({"train_dataloader": node}, "train")) == []


def test_places_are_parts_of_the_config_itself() -> None:
    cfg = Config({"val_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": dict(FILES)}}})
    (place,) = innermost_of(cfg, "val")
    place.node["ann_file"] = "b.json"
    assert place.key == "val_dataloader.dataset.dataset"
    assert cfg.val_dataloader.dataset.dataset.ann_file == "b.json"
    (named,) = innermost_of(cfg, "val", "data.val")
    assert named.key == "data.val.dataset"


def test_an_empty_wrapper_is_a_dataset_that_reads_nothing() -> None:
    assert [place.key for place in innermost({"type": "ConcatDataset", "datasets": []}, "top")] == ["top"]
