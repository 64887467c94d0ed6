"""Lakes that are opened for their images alone: ``tensors=dict(gt_bboxes=False, gt_labels=False)``."""

import cv2
import numpy as np
import pytest

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake import Source, open_view, own_classes, why_no_truth

ALONE = {"gt_bboxes": False, "gt_labels": False}
CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Three images of different sizes and a column of captions."""
    import deeplake

    path = str(tmp_path_factory.mktemp("bare") / "lake")
    lake = deeplake.create(path)
    lake.add_column("photo", deeplake.types.Image(sample_compression="png"))
    lake.add_column("caption", "text")
    images = [cv2.imencode(".png", np.zeros((4 + n, 9, 3), np.uint8))[1].tobytes() for n in range(3)]
    lake.append({"photo": images, "caption": ["a", "b", "c"]})
    lake.commit()
    return path


def test_a_lake_without_truth_has_sizes_and_no_boxes(bare):
    view = open_view(Source(bare), tensors=ALONE, classes=CLASSES)
    assert view.classes == view.lake_classes == CLASSES
    assert view.table.heights.tolist() == [4, 5, 6]
    assert view.table.widths.tolist() == [9] * 3
    assert view.table.offsets.tolist() == [0] * 4
    assert view.labels.shape == (0,)
    assert view.table.xyxy(1).shape == (0, 4)
    assert view.category_ids is None
    again = open_view(Source(bare), tensors=ALONE, classes=CLASSES)  # out of the cache
    assert again.table.offsets.tolist() == [0] * 4


def test_its_samples_have_images_and_no_objects(bare):
    pipeline = [{"type": "LoadImageFromFile"}, {"type": "mmdet.PackDetInputs"}]
    dataset = DeepLakeDataset(
        path=bare, tensors=ALONE, metainfo={"classes": CLASSES}, pipeline=pipeline, test_mode=True
    )
    assert len(dataset) == 3
    assert [tuple(dataset[n]["inputs"].shape) for n in range(3)] == [(3, 4 + n, 9) for n in range(3)]
    assert dataset.get_data_info(1)["instances"] == []


def test_truth_that_is_there_is_not_looked_at(make_lake, rows):
    lake = make_lake(classes=["a", "b"], **rows())
    view = open_view(Source(lake.url), tensors=ALONE, classes=CLASSES)
    assert view.roles.gt_bboxes is view.roles.gt_labels is view.roles.area is None
    assert len(view.table.boxes) == 0
    assert view.key != open_view(Source(lake.url)).key
    assert own_classes(Source(lake.url), tensors=ALONE, chosen=CLASSES) == CLASSES


def test_names_have_to_be_given(bare):
    with pytest.raises(ConfigError, match="class"):
        open_view(Source(bare), tensors=ALONE)


@pytest.mark.parametrize("role", ["gt_bboxes", "gt_labels", "img"])
def test_one_of_them_alone_cannot_be_switched_off(role, bare):
    with pytest.raises((ConfigError, ColumnError)):
        open_view(Source(bare), tensors={role: False}, classes=CLASSES)


def test_it_is_told_why_a_lake_has_no_truth(bare, make_lake, rows):
    assert "gt_bboxes" in why_no_truth(Source(bare))
    assert why_no_truth(Source(make_lake(classes=["a", "b"], **rows()).url)) == ""
    assert "name its classes" in why_no_truth(Source(make_lake(classes=None, **rows()).url))
