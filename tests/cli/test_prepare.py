"""``prepare``, and what other commands say of prepared images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplake_mmdet.cli import main
from deeplake_mmdet.lake import ImageRecord, LakeWriter

CONFIG = """
default_scope = "mmdet"
train_dataloader = dict(
    batch_size=2, num_workers=1, sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="deeplake_mmdet.DeepLakeDataset", path={lake!r}, on_error="skip",
        pipeline=[
            dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True),
            dict(type="Resize", scale=(32, 32), keep_ratio=True), dict(type="PackDetInputs"),
        ],
    ),
)
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config on ten images, of which the fourth is cut in its middle."""
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    with LakeWriter(str(tmp_path / "lake"), class_names=["a"], box_format="ltwh", image_format="png") as lake:
        for row in range(10):
            image = cv2.imencode(".png", draw.integers(0, 255, (40, 50, 3), np.uint8))[1].tobytes()
            boxes, labels = np.array([[1.0, 1, 5, 5]]), np.zeros(1, np.int64)
            image = image[:2000] if row == 3 else image
            lake.append(ImageRecord(image, 50, 40, f"{row}.png", boxes, labels))
    path = tmp_path / "config.py"
    path.write_text(CONFIG.format(lake=str(tmp_path / "lake")))
    return path


def test_shards_together_make_all_images_and_name_those_that_fail(config, capsys):
    assert main(["prepare", str(config), "--prepared", "1GB", "--shard", "0/2"]) == 0
    assert "5 images prepared, 0 were there, of 5" in capsys.readouterr().out
    assert main(["prepare", str(config), "--prepared", "1GB"]) == 1
    told = capsys.readouterr().out
    assert "4 images prepared, 5 were there, of 10" in told
    assert "row 3:" in told
    assert main(["bench", str(config), "--prepared", "1GB", "--batches", "4"]) == 0
    assert "prepared: " in capsys.readouterr().out
    assert main(["cache", "show"]) == 0
    assert "images resized to 32x32, ratio kept" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    capsys.readouterr()
    main(["cache", "show"])
    assert "prepared images: 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "No dataset prepares images"),
        (["--prepared", "much"], "'prepared' is 'much'"),
        (["--prepared", "1GB", "--shard", "2/2"], "There is no shard 2/2"),
    ],
)
def test_bad_arguments_are_refused(config, capsys, arguments, told):
    assert main(["prepare", str(config), *arguments]) == 1
    assert told in capsys.readouterr().err


def test_a_folder_of_somebody_else_is_named_and_not_used(config, tmp_path, caplog):
    (tmp_path / "aside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "aside")
    folder = f"train_dataloader.dataset.prepared.folder={tmp_path / 'link'}"
    size = "train_dataloader.dataset.prepared.size=1GB"
    assert main(["prepare", str(config), "--cfg-options", folder, size]) == 1
    assert "link or no folder" in caplog.text
    assert not list((tmp_path / "aside").iterdir())
