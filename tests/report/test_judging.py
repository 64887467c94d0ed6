"""Pictures mark the same objects and predictions as the scores count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.evaluation.analysis import matches_of
from deeplake_mmdet.evaluation.engine import AREA_RANGES, Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.report.judging import judge


def drawn(seed, count):
    corners = seed.uniform(0, 60, (count, 2))
    return np.concatenate([corners, corners + seed.uniform(5, 50, (count, 2))], axis=1)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_objects_and_predictions_are_judged_as_coco_matches_them(number, objects, predictions, crowds):
    seed = np.random.default_rng(number)
    truth, labels = drawn(seed, objects), seed.integers(0, 2, objects)
    found = drawn(seed, predictions)
    copied = seed.random(predictions) < 0.7 * (objects > 0)
    found[copied] = truth[seed.integers(0, max(objects, 1), copied.sum())] + seed.normal(
        0, 3, (copied.sum(), 4)
    )
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    given_labels, scores = seed.integers(0, 2, predictions), seed.permutation(predictions) / 20 + 0.1
    crowd = (seed.random(objects) < 0.3) & crowds
    ignored = (seed.random(objects) < 0.2) & crowds

    def instances(boxes, classes, **more):
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        images = np.zeros(len(boxes), np.int64)
        return Instances(images, classes, xywh, xywh[:, 2] * xywh[:, 3], **more)

    first = instances(truth, labels, iscrowd=crowd, ignore=ignored)
    second = instances(found, given_labels, scores=scores)
    settings_ = Settings(np.array([0.5]), (2**31 - 1,), False, True, AREA_RANGES[:1])
    expected = matches_of(evaluator(first, second, 2, 1, settings_), 0.5, first, second)
    kinds, judged = judge(truth, labels, found, given_labels, scores, ignored=ignored, crowd=crowd)
    assert [kind == "missed" for kind in kinds] == expected.missed.tolist()
    assert [kind == "ignored" for kind in kinds] == (crowd | ignored).tolist()
    right = (expected.target >= 0).tolist()
    aside = expected.left_out.tolist()
    told = ["ignored" if out else "" if hit else "false" for out, hit in zip(aside, right, strict=True)]
    assert judged == told


@pytest.mark.parametrize("empty", [(), np.zeros((0, 4))])
def test_nothing_is_nothing(empty):
    assert judge(empty, (), empty, (), ()) == ([], [])
    assert judge([[0, 0, 5, 5]], [0], empty, (), ()) == (["missed"], [])
    box = [[0, 0, 5, 5]]
    assert judge(empty, (), box, [0], [0.4], min_score=0.5) == ([], ["ignored"])
    assert judge(box, [0], box, [0], [0.4], min_score=0.4) == ([""], [""])
