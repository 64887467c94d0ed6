"""Samples of configs as their pipelines make them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from shown_lakes import CLASSES, HEIGHT, WIDTH, boxes_of, file_name, write_lake

from deeplake_mmdet.browsing import open_gallery, write_pictures
from deeplake_mmdet.errors import ConfigError, SourceNotFoundError

CONFIG = """
default_scope = 'mmdet'
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
lake = dict(type='deeplake_mmdet.DeepLakeDataset', path={lake!r})
mosaic = [dict(type='Mosaic', img_scale=(64, 64), pad_val=114.0, prob=1.0), dict(type='PackDetInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MultiImageMixDataset', dataset=dict(pipeline=load, **lake), pipeline=mosaic))
val_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=[*load, dict(type='Resize', scale=({wide}, {high})),
        dict(type='RandomFlip', prob=1.),
        dict(type='Normalize', mean=[100., 110, 120], std=[50., 60, 70], to_rgb=True),
        dict(type='PackDetInputs')],
        **lake))
test_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=[load[0], dict(type='PackDetInputs')], test_mode=True, **lake))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("samples") / "lake", rows=12)


@pytest.fixture(scope="module")
def config(lake):
    from pathlib import Path

    file = Path(lake).parent / "config.py"
    file.write_text(CONFIG.format(lake=lake, wide=2 * WIDTH, high=2 * HEIGHT))
    return file


def pixels(picture):
    assert picture.kind == "image/jpeg"
    return cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)


def test_boxes_are_those_of_the_augmented_image_and_its_colours_come_back(config):
    gallery = open_gallery(config, split="val")
    facts = gallery.facts()
    assert (facts["kind"], facts["rows"], facts["can_save"]) == ("config", 12, False)
    assert "LoadImageFromFile → LoadAnnotations → Resize → RandomFlip" in facts["about"][-1]
    found = gallery.page({}, 0, 12)
    assert len(found["items"]) == 12
    for row, item in enumerate(found["items"]):
        assert item["name"] == file_name(row)
        assert (item["width"], item["height"]) == (2 * WIDTH, 2 * HEIGHT)
        boxes, labels = boxes_of(row)
        flipped = np.column_stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]]) * 2
        np.testing.assert_allclose(np.reshape(item["truth"]["boxes"], (-1, 4)), flipped, atol=0.01)
        assert item["truth"]["labels"] == labels.tolist()
    shown = pixels(gallery.picture("3.0", True)).mean(axis=(0, 1))
    np.testing.assert_allclose(shown, [90, 120, 12], atol=8)  # BGR, as `jpeg` makes them
    assert found["classes"][1]["name"] == CLASSES[1]


def test_each_draw_is_another_and_the_same_whenever_it_is_asked_for(config):
    gallery = open_gallery(config)
    first, other = (gallery.page({"draw": str(draw)}, 0, 4) for draw in (0, 1))
    assert first["items"][0]["width"] == 128  # Mosaic's four images of 64
    assert [item["truth"]["boxes"] for item in first["items"]] != [
        item["truth"]["boxes"] for item in other["items"]
    ]
    again = open_gallery(config)
    assert again.page({}, 0, 4)["items"] == first["items"]
    assert again.picture("2.1", False).content == gallery.picture("2.1", False).content
    assert (pixels(gallery.picture("2.0", True)) != pixels(gallery.picture("2.1", True))).any()


def test_a_pipeline_without_annotations_says_so(config):
    found = open_gallery(config, split="test").page({}, 0, 3)
    assert "loads no annotations" in found["note"]
    assert found["items"][0]["truth"]["boxes"] == []


def test_a_pipeline_that_fails_is_a_note_on_its_sample(config, tmp_path):
    options = {
        "val_dataloader.dataset.pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "Normalize", "mean": [1], "std": [0, 1], "to_rgb": True},
        ]
    }
    gallery = open_gallery(config, split="val", cfg_options=options)
    item = gallery.page({}, 0, 1)["items"][0]
    assert "The pipeline fails" in item["note"]
    assert gallery.picture("0.0", False).kind == "image/svg+xml"


@pytest.mark.parametrize("name", ["0.x", "x.0", "99.0", "0.-1", "0.9999999999", "", "1e3.0"])
def test_pictures_that_are_not_there(config, name):
    with pytest.raises(ConfigError, match=r"no such sample|no draw"):
        open_gallery(config).picture(name, False)


def test_wrong_arguments_are_one_error(config, lake):
    with pytest.raises(ConfigError, match="no split"):
        open_gallery(config, split="all")
    with pytest.raises(ConfigError, match="says by itself"):
        open_gallery(config, query="SELECT *")
    with pytest.raises(ConfigError, match="takes no options"):
        open_gallery(lake, cfg_options={"a": 1})
    with pytest.raises(SourceNotFoundError):
        open_gallery(config, cfg_options={"train_dataloader.dataset.dataset.path": "/none"})


def test_pictures_in_a_folder(config, lake, tmp_path):
    done = write_pictures(config, tmp_path / "samples", count=3, split="val")
    assert done == (3, 12, ())
    files = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in files] == ["00000000.jpg", "00000001.jpg", "00000002.jpg"]
    assert cv2.imread(str(files[0])).shape == (2 * HEIGHT, 2 * WIDTH, 3)
    done = write_pictures(lake, tmp_path / "rows", count=100)
    assert done.written == 12
    drawn = cv2.imread(str(tmp_path / "rows" / "00000002.jpg"))
    plain = cv2.imread(str(tmp_path / "rows" / "00000004.jpg"))
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(plain, axis=(0, 1)).max() < 20  # no object
    assert np.ptp(drawn, axis=(0, 1)).max() > 60
    with pytest.raises(ConfigError, match="number of pictures"):
        write_pictures(lake, tmp_path, count=0)
