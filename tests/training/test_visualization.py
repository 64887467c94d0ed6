"""Pictures of test runs: one for each image, with the truth where it belongs."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest

import deeplake_mmdet
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import ConfigError


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    """A config, whose data are two lakes of three images, and a checkpoint."""
    cfg, _, checkpoint, lakes = untrained_demo(tmp_path_factory.mktemp("run"), [3, 3])
    first = cfg.test_dataloader.dataset
    first.pipeline.insert(2, {"type": "LoadAnnotations", "with_bbox": True})
    second = copy.deepcopy(first)
    second.path = lakes[1]
    cfg.test_dataloader.dataset = {"type": "ConcatDataset", "datasets": [first, second]}
    return cfg, checkpoint


def pictures(cfg, checkpoint, folder, **options):
    deeplake_mmdet.test(cfg, checkpoint, work_dir=folder, show_dir=folder / "drawn", **options)
    return {file.name: cv2.imread(str(file)) for file in (folder / "drawn").iterdir()}


def test_every_image_of_several_lakes_has_its_picture(ready, tmp_path):
    found = pictures(*ready, tmp_path)
    assert sorted(found) == [f"lake{lake}.{row:08d}.jpg" for lake in range(2) for row in range(3)]
    for row in range(3):
        assert not np.array_equal(found[f"lake0.{row:08d}.jpg"], found[f"lake1.{row:08d}.jpg"])


def test_the_truth_is_drawn_in_its_place_under_test_time_augmentation(ready, tmp_path):
    # The left half of a picture is the truth's.
    usual, augmented = (
        {name: picture[:, : picture.shape[1] // 2].astype(int) for name, picture in found.items()}
        for found in (pictures(*ready, tmp_path / "a"), pictures(*ready, tmp_path / "b", tta=True))
    )
    assert usual.keys() == augmented.keys()
    for name, picture in usual.items():
        # A little more than nothing, for the pictures' JPEG.
        assert np.abs(picture - augmented[name]).mean() < 0.5


def test_pictures_of_one_lake_are_named_after_its_rows(ready, tmp_path):
    cfg, checkpoint = copy.deepcopy(ready[0]), ready[1]
    cfg.test_dataloader.dataset = cfg.test_dataloader.dataset.datasets[0]
    assert sorted(pictures(cfg, checkpoint, tmp_path)) == [f"{row:08d}.jpg" for row in range(3)]


def test_names_are_no_formulas(ready, tmp_path):
    import deeplake

    cfg, checkpoint = copy.deepcopy(ready[0]), ready[1]
    cfg.test_dataloader.dataset = cfg.test_dataloader.dataset.datasets[0]
    deeplake.copy(cfg.test_dataloader.dataset.path, str(tmp_path / "lake"))
    lake = deeplake.open(str(tmp_path / "lake"))
    names = ["$\\frac{$", "$x_{1}^$", *(f"[bold] {number}" for number in range(len(CLASS_NAMES) - 2))]
    lake["labels"].metadata["class_names"] = names
    lake.commit("names that look like formulas")
    cfg.test_dataloader.dataset.update(path=str(tmp_path / "lake"), metainfo={"classes": names})
    cfg.train_dataloader.dataset.metainfo = {"classes": names}  # what the checkpoint's labels mean
    assert sorted(pictures(cfg, checkpoint, tmp_path)) == [f"{row:08d}.jpg" for row in range(3)]


def test_a_hook_of_ones_own_stays(ready, tmp_path):
    from mmdet.engine.hooks import DetVisualizationHook
    from mmengine.registry import HOOKS

    @HOOKS.register_module(force=True)
    class OwnVisualizationHook(DetVisualizationHook):
        pass

    cfg, checkpoint = copy.deepcopy(ready[0]), ready[1]
    cfg.default_hooks.visualization = {"type": "OwnVisualizationHook"}
    assert sorted(pictures(cfg, checkpoint, tmp_path)) == [f"{row:08d}.jpg" for row in range(3)]


@pytest.mark.slow
def test_several_processes_are_refused(ready, tmp_path):
    with pytest.raises(ConfigError, match="drawn by one process alone"):
        pictures(*ready, tmp_path, processes=2)
