"""What `fast_loader` makes of a dataloader's config, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from mmengine.config import Config

from deeplake_mmdet import fast_loader
from deeplake_mmdet.config import fast_loaders, use_fast_loaders
from deeplake_mmdet.errors import ConfigError

LIGHT = [{"type": "LoadImageFromFile"}, {"type": "mmdet.Resize", "scale": (8, 8)}, {"type": "RandomFlip"}]
HEAVY = [*LIGHT, {"type": "RandomCrop", "crop_size": (8, 8)}]


def loader(path: str = "lake", pipeline: Any = LIGHT, **changes: Any) -> dict[str, Any]:
    dataset = {"type": "deeplake_mmdet.DeepLakeDataset", "path": path, "pipeline": pipeline}
    base = {
        "batch_size": 4,
        "num_workers": 2,
        "persistent_workers": True,
        "dataset": dataset,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_sampler": {"type": "AspectRatioBatchSampler"},
    }
    return {**base, **changes}


@pytest.mark.parametrize(
    ("path", "pipeline", "workers", "threads"),
    [
        ("lake", LIGHT, 2, 0),
        ("lake", HEAVY, 2, 0),
        ("s3://bucket/lake", LIGHT, 0, 2),  # chunks are shared by threads, not by processes
        ("s3://bucket/lake", HEAVY, 0, 2),
    ],
)
def test_auto_picks_what_fits(path: str, pipeline: Any, workers: int, threads: int) -> None:
    made = fast_loader(loader(path, pipeline))
    assert (made["num_workers"], made["dataset"]["threads"]) == (workers, threads)
    assert made["sampler"]["shuffle"] == ("chunk" if "://" in path else "full")
    assert made["batch_sampler"]["group_by_aspect"]
    assert ("persistent_workers" in made) == bool(workers)


@pytest.mark.parametrize("depth", [0, 1])
def test_mixed_images_of_remote_lakes_are_made_in_processes(depth: int) -> None:
    """Their steps draw random numbers, for which threads would wait in line."""
    given = loader("s3://bucket/lake")
    mixing = {
        "type": "MultiImageMixDataset",
        "dataset": given["dataset"],
        "pipeline": [{"type": "Mosaic"}],
    }
    given["dataset"] = {"type": "ConcatDataset", "datasets": [mixing]} if depth else mixing
    made = fast_loader(given)
    assert (made["num_workers"], made["dataset"]["threads"]) == (2, 0)
    asked_for = fast_loader(given, "threads")
    assert (asked_for["num_workers"], asked_for["dataset"]["threads"]) == (0, 2)


def test_the_given_config_is_left_alone() -> None:
    given = loader()
    before = copy.deepcopy(given)
    made = fast_loader(given, "threads")
    assert given == before
    assert fast_loader(made) == made, "a second time changes nothing"


@pytest.mark.parametrize(
    "unlike",
    [
        {"sampler": {"type": "ClassAwareSampler"}},
        {"batch_sampler": {"type": "MultiSourceSampler"}},
        {"dataset": {"type": "CocoDataset", "ann_file": "a.json"}},
    ],
)
def test_loaders_that_have_no_equal_stay(unlike: dict[str, Any]) -> None:
    given = loader(**unlike)
    assert fast_loader(given) == given


@pytest.mark.parametrize(
    ("where", "options", "changes"),
    [
        ("mode", {"mode": "c++"}, {}),
        ("shuffle", {"shuffle": "block"}, {}),
        ("batch_size", {}, {"batch_size": 0}),
        ("batch_size", {}, {"batch_size": 2.0}),
        ("num_workers", {}, {"num_workers": -1}),
    ],
)
def test_bad_values_are_refused_by_name(where: str, options: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=where):
        fast_loader(loader(**changes), **options)


def config(**extra: Any) -> Config:
    def node(**changes: Any) -> dict[str, Any]:
        return loader(**changes)

    return Config(
        {
            "train_dataloader": node(),
            "val_dataloader": node(sampler={"type": "DefaultSampler", "shuffle": False}, batch_sampler=None),
            "val_evaluator": {"type": "deeplake_mmdet.CocoMetric"},
            "test_dataloader": node(sampler={"type": "DefaultSampler", "shuffle": False}),
            "test_evaluator": [{"type": "deeplake_mmdet.CocoMetric"}, {"type": "DumpDetResults"}],
            **extra,
        }
    )


def test_a_config_gets_it_for_every_split() -> None:
    cfg = config(fast_loader="processes")
    before = cfg.to_dict()
    use_fast_loaders(cfg)
    found = fast_loaders(cfg)
    assert cfg.to_dict() == before  # what a run leaves behind is the user's config
    splits = [f"{split}_dataloader" for split in ("train", "val", "test")]
    assert [found[split]["dataset"]["type"] for split in splits] == ["deeplake_mmdet.Feed"] * 3
    assert found["train_dataloader"]["num_workers"] == 2
    # only metrics of this package know what to do if a rank has fewer batches
    assert [found[split]["batch_sampler"]["even"] for split in splits] == [True, False, True]
    assert found["val_dataloader"]["sampler"]["shuffle"] is False


@pytest.mark.parametrize("off", ["off", False])
def test_it_can_be_switched_off(off: Any) -> None:
    cfg = config(fast_loader=off)
    before = cfg.to_dict()
    use_fast_loaders(cfg)
    assert cfg.to_dict() == before
    for key, loader in fast_loaders(cfg).items():
        assert loader.pop("timeout") > 0  # what torch leaves to wait for ever
        assert loader == before[key]


@pytest.mark.parametrize("bad", ["c++", 3, {"mod": "threads"}])
def test_an_unknown_choice_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError):
        use_fast_loaders(config(fast_loader=bad))


@pytest.mark.parametrize(
    ("old", "new"), [("auto", "auto"), ("c++", "threads"), ("CPP", "threads"), ("python", "processes")]
)
def test_the_old_key_becomes_the_new_one(old: str, new: str) -> None:
    from deeplake_mmdet.legacy import convert_config_dict

    legacy = {
        "deeplake_dataloader_type": old,
        "data": {"train": {"type": "CocoDataset", "deeplake_path": "lake", "pipeline": []}},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "runner": {"type": "EpochBasedRunner", "max_epochs": 1},
        "lr_config": {"policy": "fixed"},
    }
    converted, notes = convert_config_dict(legacy)
    assert converted["fast_loader"] == new
    assert any(note.key == "deeplake_dataloader_type" for note in notes)
