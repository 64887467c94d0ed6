"""What a `DeepLakeDataset` makes of lakes that people made themselves, and what its log says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import deeplake
import numpy as np
import pytest
from deeplake import types
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError

PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ()},
]
PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


@pytest.fixture(scope="module", autouse=True)
def mmdet_scope() -> None:
    register_all_modules(init_default_scope=True)


def encoded(kind: str) -> bytes:
    return cv2.imencode(kind, PIXELS)[1].tobytes()


def made(path: Path, names: Any = None, kinds: dict[str, Any] | None = None, **cells: Any) -> str:
    schema = {
        "images": types.Image(sample_compression="jpeg"),
        "boxes": types.BoundingBox("float32", "ltwh", "pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
        **(kinds or {}),
    }
    lake = deeplake.create(str(path), schema=schema)
    if names is not None:
        lake["labels"].metadata["class_names"] = names
    boxes = np.array([[1, 2, 10, 20], [5, 5, 8, 9]], np.float32)
    defaults = {"images": [encoded(".jpg")], "boxes": [boxes], "labels": [np.array([0, 1], np.uint32)]}
    lake.append({**defaults, **cells})
    lake.commit()
    return str(path)


def test_crowds_under_deep_lakes_own_name_are_ignored_in_training(tmp_path: Path) -> None:
    flags = {"is_crowd": types.Array("bool", 1)}
    path = made(tmp_path / "lake", ["a", "b"], flags, is_crowd=[np.array([False, True])])
    sample = DeepLakeDataset(path, pipeline=PIPELINE)[0]["data_samples"]
    assert sample.gt_instances.labels.tolist() == [0]
    assert sample.ignored_instances.labels.tolist() == [1]


def test_what_is_not_used_is_a_warning_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MMLogger.get_instance("own-lakes")
    path = made(tmp_path / "lake", ["a", "b"], {"is_crowd": "text"}, is_crowd=["no"])
    DeepLakeDataset(path)[0]
    told = capsys.readouterr()
    assert "WARNING" in told.out + told.err
    assert "'is_crowd' is of type text" in told.out + told.err
    DeepLakeDataset(path, tensors={"iscrowd": False})[0]
    told = capsys.readouterr()
    assert "is of type text" not in told.out + told.err


def test_the_line_of_roles_says_what_does_not_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MMLogger.get_instance("own-lakes-roles")
    path = made(tmp_path / "lake", ["a", "b"], {"area": types.Array("float64", 1)}, area=[np.ones(3)])
    dataset = DeepLakeDataset(path)
    assert dataset[0]["instances"][0]["bbox_label"] == 0
    told = "".join(capsys.readouterr())
    assert "area=none (area does not serve)" in told
    assert "Row 0 has 2 boxes but 3 values in 'area'" in told


def test_a_png_among_jpegs_is_a_sample_like_any_other(tmp_path: Path) -> None:
    path = made(tmp_path / "lake", ["a", "b"], images=[encoded(".png")])
    image = DeepLakeDataset(path, pipeline=PIPELINE)[0]["inputs"]
    assert np.array_equal(image.numpy(), PIXELS.transpose(2, 0, 1))


def test_masks_that_cannot_serve_are_named_where_masks_are_asked_for(tmp_path: Path) -> None:
    kind = {"masks": types.SegmentMask(sample_compression="lz4")}
    masks = [np.ones((48, 64), np.uint8)]
    path = made(tmp_path / "lake", ["a", "b"], kind, masks=masks)
    steps = [PIPELINE[0], {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}, PIPELINE[2]]
    with pytest.raises(ConfigError, match="'masks' is of type segmentmask"):
        DeepLakeDataset(path, pipeline=steps).full_init()


def test_metainfo_may_number_the_classes(tmp_path: Path) -> None:
    path = made(tmp_path / "lake", labels=[np.array([3, 1], np.uint32)])
    dataset = DeepLakeDataset(path, metainfo={"classes": {3: "late", 1: "early"}})
    labels = [instance["bbox_label"] for instance in dataset[0]["instances"]]
    assert [dataset.metainfo["classes"][label] for label in labels] == ["late", "early"]


def test_inspect_shows_what_a_lake_without_names_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(tmp_path / "lake", None, {"is_crowd": "bool"}, is_crowd=[True])
    assert main(["inspect", path]) == 1
    shown = capsys.readouterr()
    assert "gt_bboxes" in shown.out
    assert "does not name its classes" in shown.err
    assert main(["inspect", path, "--classes", "early", "late"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "early" in shown
    assert "one value for each image" in shown
