"""Pictures that are made of a lake: rows as items, label statistics, and those of an evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.evaluation import gathered_predictions
from deeplake_mmdet.evaluation.samples import Found
from deeplake_mmdet.lake import LakeWriter, Source, open_view
from deeplake_mmdet.lake.writing.writer import ImageRecord
from deeplake_mmdet.report import (
    EVALUATION_PICTURES,
    Predicted,
    draw_evaluation,
    drawn,
    label_picture,
    label_statistics,
    lake_items,
    packed_items,
)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "lake"
    write_demo_lake(path, count=12, seed=0)
    return open_view(Source(str(path)))


def kept(view, scores=(0.9, 0.4), **more):
    results = []
    for row in range(len(view.table)):
        boxes, labels = view.table.xyxy(row), np.asarray(view.labels[view.table.span(row)])
        count = len(labels)
        found = np.concatenate([boxes, boxes + 40])
        results.append(
            Found(view.key, row, found, np.repeat(scores, count), np.concatenate([labels, labels]), **more)
        )
    return gathered_predictions(results, split="val", epoch=1, iteration=3, scores={})[0]


def test_all_pictures_of_an_evaluation_are_drawn(view, tmp_path):
    missing = draw_evaluation(tmp_path / "deep", kept(view), [view], "validation data")
    assert missing == {}
    for name in EVALUATION_PICTURES:
        assert min(cv2.imread(str(tmp_path / "deep" / name)).shape[:2]) > 300


def test_without_any_prediction_all_is_drawn_still(view, tmp_path):
    nothing = [Found(view.key, row, np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for row in range(3)]
    predictions = gathered_predictions(nothing, split="val", epoch=1, iteration=3, scores={})[0]
    assert draw_evaluation(tmp_path, predictions, [view]) == {}
    assert {path.name for path in tmp_path.iterdir()} == set(EVALUATION_PICTURES)


def test_what_cannot_be_drawn_is_told_by_name(view, tmp_path):
    (tmp_path / "confusion.png").mkdir()
    missing = draw_evaluation(tmp_path, kept(view), [view])
    assert list(missing) == ["confusion.png"]
    assert "IsADirectoryError" in missing["confusion.png"]
    assert (tmp_path / "precision_recall.png").is_file()
    assert drawn(lambda: 1 / 0).startswith("ZeroDivisionError")


def test_items_have_the_truth_of_their_rows(view):
    rows = [3, 0]
    items = lake_items(view, rows, [Predicted([[0, 0, 5, 5]], [1], [0.5]), Predicted()])
    for row, item in zip(rows, items, strict=True):
        np.testing.assert_array_equal(item.truth_boxes, view.table.xyxy(row))
        assert item.image.shape[:2] == (view.table.heights[row], view.table.widths[row])
        assert item.caption == view.file_names([row])[0]
    assert items[0].boxes == [[0, 0, 5, 5]]
    assert lake_items(view, []) == []


def test_masks_crowds_and_damaged_images_are_in_the_items(tmp_path):
    good = cv2.imencode(".png", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    columns = ("segmentations", "iscrowds")
    with LakeWriter(
        str(tmp_path / "lake"), class_names=["a", "b"], box_format="ltwh", image_format="png",
        optional_columns=columns,
    ) as lake:  # fmt: skip
        lake.append(
            ImageRecord(
                good, 60, 40, "x.png",
                boxes=np.array([[5.0, 5, 20, 20], [30, 10, 20, 20]]), labels=np.array([0, 1]),
                segmentations=[[[5, 5, 25, 5, 25, 25, 5, 25]], [[30, 10, 50, 10, 50, 30]]],
                iscrowds=np.array([0, 1]),
            )
        )  # fmt: skip
    view = open_view(Source(str(tmp_path / "lake")), classes=["b", "a"])
    [item] = lake_items(view, [0])
    assert item.truth_labels.tolist() == [1, 0]
    assert [type(mask) for mask in item.truth_masks] == [bytes, bytes]
    assert item.ignored.tolist() == item.crowd.tolist() == [False, True]
    [only] = lake_items(open_view(Source(str(tmp_path / "lake")), classes=["b"]), [0])
    assert len(only.truth_masks) == len(only.truth_boxes) == 1


def test_label_statistics_count_what_the_lake_holds(view, tmp_path):
    found = label_statistics([(view, np.arange(len(view.table)))])
    np.testing.assert_array_equal(found.counts, np.bincount(view.labels, minlength=len(CLASS_NAMES)))
    assert found.images == len(view.table)
    assert found.empty == (np.diff(view.table.offsets) == 0).sum()
    boxes = np.concatenate([view.table.xywh(row) for row in range(len(view.table))])
    np.testing.assert_allclose(found.sides, boxes[:, 2:])
    some = label_statistics([(view, np.array([4, 1]))])
    assert some.counts.sum() == sum(np.diff(view.table.offsets)[[4, 1]])
    centres = [
        (view.table.xyxy(row)[:, :2] + view.table.xyxy(row)[:, 2:])
        / (2 * view.table.widths[row], 2 * view.table.heights[row])
        for row in (4, 1)
    ]
    np.testing.assert_allclose(some.shares[:, :2], np.concatenate(centres))
    assert cv2.imread(str(label_picture(found, tmp_path / "labels.png", title="$a$"))) is not None


def test_a_lake_without_boxes_has_a_picture_too(view, tmp_path):
    empty = np.flatnonzero(np.diff(view.table.offsets) == 0)[:0]
    found = label_statistics([(view, empty)])
    assert found.counts.sum() == 0
    assert label_picture(found, tmp_path / "labels.png").is_file()
    assert label_picture(label_statistics([]), tmp_path / "none.png").is_file()


def packed(inputs, boxes, labels, masks=None, ignored=None):
    sample = DetDataSample(metainfo={"img_path": "/a/b/c.jpg"})
    sample.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor(boxes)), labels=torch.tensor(labels)
    )
    if masks is not None:
        sample.gt_instances.masks = masks
    if ignored is not None:
        sample.ignored_instances = InstanceData(bboxes=torch.tensor(ignored), labels=torch.tensor([0]))
    return {"inputs": [inputs], "data_samples": [sample]}


def test_packed_samples_become_items():
    image = torch.randint(0, 255, (3, 20, 30), dtype=torch.uint8)
    masks = BitmapMasks(np.ones((1, 20, 30), np.uint8), 20, 30)
    batch = packed(image, [[1.0, 2, 10, 12]], [1], masks, ignored=[[0.0, 0, 5, 5]])
    [item] = packed_items(batch, 4)
    np.testing.assert_array_equal(item.image, image.numpy().transpose(1, 2, 0))
    assert item.truth_boxes.tolist() == [[1, 2, 10, 12], [0, 0, 5, 5]]
    assert item.truth_labels.tolist() == [1, 0]
    assert item.ignored.tolist() == [False, True]
    assert item.truth_masks[0].all()
    assert item.truth_masks[1] is None
    assert item.caption == "c.jpg"
    before = item.image.copy()
    image.zero_()  # as a loader may, that uses its memory again
    np.testing.assert_array_equal(item.image, before)
    image[0] = 7
    [turned] = packed_items(batch, 4, rgb=True)
    assert turned.image[0, 0].tolist() == [0, 0, 7]


def test_normalised_images_are_spread_over_all_greys():
    [item] = packed_items(
        packed(torch.linspace(-2, 2, 3 * 20 * 30).reshape(3, 20, 30), [[1.0, 2, 3, 4]], [0]), 1
    )
    assert (item.image.min(), item.image.max(), item.image.dtype) == (0, 255, np.uint8)


@pytest.mark.parametrize("batch", [None, [], {"inputs": {"sup": []}, "data_samples": {}}, {"inputs": []}])
def test_batches_of_another_kind_are_refused(batch):
    with pytest.raises(TypeError, match="batches"):
        packed_items(batch, 4)
