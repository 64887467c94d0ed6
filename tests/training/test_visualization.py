"""Pictures of test runs: one for each image, with the truth where it belongs."""

from __future__ import annotations

import copy
import json

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
    # The lakes are numbered in the order of their keys, the files after the seed that drew them.
    first = next(name for name in found if name.startswith("lake0."))[len("lake0.")]
    seeds = (first, "1" if first == "0" else "0")
    assert sorted(found) == [
        f"lake{lake}.{seeds[lake]}-{row:05d}.jpg" for lake in range(2) for row in range(3)
    ]
    for row in range(3):
        pair = (found[f"lake{lake}.{seeds[lake]}-{row:05d}.jpg"] for lake in range(2))
        assert not np.array_equal(*pair)


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


def renamed(folder, path, names):
    """A copy of a lake whose images have other names; None for none at all."""
    import deeplake

    deeplake.copy(path, str(folder / "lake"))
    lake = deeplake.open(str(folder / "lake"))
    if names is None:
        lake.rename_column("file_name", "remark")
    else:
        lake["file_name"][0 : len(names)] = names
    lake.commit("other names")
    return str(folder / "lake")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b.PNG", "c"], ["a.jpg", "b.jpg", "c.jpg"]),
        (["left/a.jpg", "right/a.jpg", "right_a.jpg"], ["left_a.jpg", "right_a.jpg", "right_a.row2.jpg"]),
        (["../../a.jpg", "/etc/b.jpg", "\\c\x1b[1m:.jpg"], ["a.jpg", "c_1m.jpg", "etc_b.jpg"]),
        (None, [f"{row:08d}.jpg" for row in range(3)]),
    ],
)
def test_pictures_are_named_after_their_files(ready, tmp_path, names, expected):
    cfg, checkpoint = copy.deepcopy(ready[0]), ready[1]
    cfg.test_dataloader.dataset = cfg.test_dataloader.dataset.datasets[0]
    cfg.test_dataloader.dataset.path = renamed(tmp_path, cfg.test_dataloader.dataset.path, names)
    file = tmp_path / "found.json"
    assert sorted(pictures(cfg, checkpoint, tmp_path / "run", out=file)) == expected
    written = {entry["image_id"]: entry.get("file_name") for entry in json.loads(file.read_text())}
    assert written == {row: (names or [None] * 3)[row] for row in written}


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
    assert sorted(pictures(cfg, checkpoint, tmp_path)) == [f"0-{row:05d}.jpg" for row in range(3)]


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
