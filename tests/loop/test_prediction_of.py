"""What a model returns, as predictions: order, threshold, masks, and what is impossible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as coco

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.loop.predicting.samples import prediction_of

SIZE = (7, 9)


def sample_of(scores, labels, boxes=None, **more):
    count = len(scores)
    boxes = torch.arange(4.0 * count).reshape(count, 4) if boxes is None else boxes
    sample = DetDataSample(metainfo={"ori_shape": SIZE})
    sample.pred_instances = InstanceData(
        bboxes=boxes,
        scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.tensor(labels).long(),
        **more,
    )
    return sample


def read(sample, **options):
    return prediction_of(sample, 3, "a.jpg", **{"classes": 2, "extras": {}, **options})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), max_size=9), st.floats(0, 1))
def test_objects_come_by_score_down_to_the_threshold(scores, threshold):
    found = read(sample_of(scores, [0] * len(scores)), score_thr=threshold)
    kept = np.array([score for score in scores if np.float32(score) >= threshold], np.float32)
    assert np.array_equal(found.scores, np.sort(kept)[::-1])
    rows = (found.boxes[:, 0] / 4).astype(int)
    assert np.array_equal(np.array(scores, np.float32)[rows], found.scores)
    assert (found.boxes.dtype, found.labels.dtype, found.scores.dtype) == (np.float32, np.int64, np.float32)
    assert (found.index, found.name, found.size) == (3, "a.jpg", SIZE)


def test_masks_follow_their_objects():
    dense = torch.zeros(3, *SIZE, dtype=torch.bool)
    for place in range(3):
        dense[place, : place + 1, : place + 2] = True
    sample = sample_of([0.2, 0.9, 0.5], [0, 1, 0], masks=dense, mask_scores=torch.tensor([0.1, 0.8, 0.3]))
    found = read(sample, score_thr=0.3)
    assert [coco.area(dict(one)) for one in found.masks] == [6, 12]
    assert [one["size"] for one in found.masks] == [list(SIZE)] * 2
    assert np.array_equal(coco.decode(dict(found.masks[0])), dense[1].numpy())
    assert found.extras["mask_scores"].tolist() == pytest.approx([0.8, 0.3])
    assert read(sample_of([], [], masks=torch.zeros(0, *SIZE))).masks == []
    assert read(sample_of([0.5], [0])).masks is None


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (sample_of([0.5], [0], torch.full((1, 4), torch.nan)), "not a number"),
        (sample_of([0.5], [2]), "2 classes"),
        (sample_of([0.5], [0], masks=torch.zeros(1, 3, 3)), "mask"),
    ],
)
def test_what_no_model_should_return_is_refused(sample, words):
    with pytest.raises(AnnotationError, match=words):
        read(sample)


def test_a_box_that_overflowed_is_kept_far_away():
    found = read(sample_of([0.5], [0], torch.tensor([[0.0, 0.0, torch.inf, 4.0]])))
    assert np.isfinite(found.boxes).all()
