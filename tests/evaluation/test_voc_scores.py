"""VOC scores against MMDetection's own functions, and a case computed by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from generator import random_data_set
from mmdet.evaluation.functional import eval_map
from mmdet.evaluation.functional.bbox_overlaps import bbox_overlaps
from mmdet.evaluation.functional.recall import _recalls
from references import as_instances

from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.recalls import box_recalls
from deeplake_mmdet.evaluation.voc.scores import average_precision, voc_scores


def corners(objects):
    return np.concatenate([objects.xywh[:, :2], objects.xywh[:, :2] + objects.xywh[:, 2:]], axis=1).astype(
        np.float32
    )


def ordered_scores(predictions):
    """Scores without equal ones, in the order that a stable sort gives: eval_map's own sort is not stable."""
    order = np.argsort(-predictions.scores, kind="stable")
    scores = np.empty(len(order), np.float32)
    scores[order] = np.arange(len(order), 0, -1)
    return scores


class Pool:
    def __init__(self, processes):
        pass

    def starmap(self, function, arguments):
        return [function(*one) for one in arguments]

    def close(self):
        pass


def reference_map(truth, predictions, classes, images, monkeypatch, **options):
    """eval_map without its pool of processes, which would cost a second each time."""
    boxes, scores = corners(predictions), ordered_scores(predictions)
    ignored = truth.ignored()
    found, annotations = [], []
    for image in range(images):
        own = predictions.images == image
        table = np.concatenate([boxes, scores[:, None]], axis=1)
        found.append([table[own & (predictions.labels == label)] for label in range(classes)])
        here = truth.images == image
        annotations.append(
            {
                "bboxes": corners(truth)[here & ~ignored],
                "labels": truth.labels[here & ~ignored],
                "bboxes_ignore": corners(truth)[here & ignored],
                "labels_ignore": truth.labels[here & ignored],
            }
        )
    monkeypatch.setattr(sys.modules["mmdet.evaluation.functional.mean_ap"], "Pool", Pool)
    return eval_map(found, annotations, logger="silent", nproc=1, **options)


@pytest.mark.parametrize("seed", range(200))
def test_average_precision_is_mmdets(seed, monkeypatch):
    case = as_instances(*random_data_set(seed))
    truth, predictions, classes, _ = case
    names = tuple(map(str, range(classes)))
    modes = [(mode, legacy) for mode in ("area", "11points") for legacy in (True, False)]
    for number, (mode, legacy) in enumerate(modes):
        threshold = (0.5, 0.3, 0.75, 0.55)[(seed + number) % 4]
        expected, by_class = reference_map(
            *case, monkeypatch, iou_thr=threshold, eval_mode=mode, use_legacy_coordinate=legacy
        )
        found = voc_scores(truth, predictions, names, threshold, mode=mode, legacy=legacy)
        measured = [score.ap for score in found if score.objects]
        assert (np.mean(measured) if measured else 0) == pytest.approx(expected, abs=2e-6)
        for score, other in zip(found, by_class, strict=True):
            assert (score.objects, score.predictions) == (other["num_gts"], other["num_dets"])
            if score.objects:
                np.testing.assert_allclose(score.recall, other["recall"], rtol=0, atol=1e-12)
                np.testing.assert_allclose(score.precision, other["precision"], rtol=1e-6)


@pytest.mark.parametrize("seed", range(200))
def test_recalls_are_mmdets(seed):
    truth, predictions, _, images = as_instances(*random_data_set(seed))
    legacy = bool(seed % 2)
    limits, thresholds = np.array([1, 10, 300]), np.array([0.3, 0.5, 0.75])
    # eval_recalls cannot run on NumPy 2: it makes one array of matrices of several sizes.
    overlaps = np.empty(images, object)
    for image in range(images):
        own = np.flatnonzero(predictions.images == image)
        own = own[np.argsort(-predictions.confidence()[own], kind="stable")]
        wanted = (truth.images == image) & ~truth.ignored()
        overlaps[image] = bbox_overlaps(
            corners(truth)[wanted], corners(predictions)[own], use_legacy_coordinate=legacy
        )
    found = box_recalls(truth, predictions, limits[::-1].tolist(), thresholds.tolist(), legacy=legacy)[::-1]
    if truth.ignored().all():
        assert np.isnan(found).all()
    else:
        np.testing.assert_allclose(found, _recalls(overlaps, limits, thresholds), rtol=0, atol=1e-12)


def test_a_case_computed_by_hand():
    """Two images, one class; VOC's definition step by step.

    Truth: A and B on image 0, C on image 1, and D there, which is difficult. So there are three objects.

    ===== ===== ===== =========================================== ==== ==== ============ =========
    rank  score image prediction                                  true false recall      precision
    ===== ===== ===== =========================================== ==== ==== ============ =========
    1     0.9   0     on A exactly                                1    0    1/3          1
    2     0.8   0     on A again: taken already                   1    1    1/3          1/2
    3     0.7   1     on D, which is difficult: counts no way     1    1    1/3          1/2
    4     0.6   1     on C exactly                                2    1    2/3          2/3
    5     0.5   1     beside everything                           2    2    2/3          1/2
    ===== ===== ===== =========================================== ==== ==== ============ =========

    B is never found. The highest precision at a recall or above is 1 up to 1/3, 2/3 up to 2/3, then 0.
    Area: 1/3 · 1 + 1/3 · 2/3 = 5/9. Eleven points: recalls 0, .1, .2, .3 have 1; .4, .5, .6 have 2/3; .7 to 1
    have 0: (4 + 2) / 11.
    """
    a, b, c, d = [10, 10, 20, 20], [60, 10, 20, 20], [10, 10, 30, 30], [60, 60, 20, 20]
    truth = Instances(
        np.array([0, 0, 1, 1]),
        np.zeros(4, int),
        np.array([a, b, c, d], float),
        np.ones(4),
        ignore=np.array([0, 0, 0, 1], bool),
    )
    predictions = Instances(
        np.array([0, 0, 1, 1, 1]),
        np.zeros(5, int),
        np.array([a, a, d, c, [0, 90, 5, 5]], float),
        np.ones(5),
        np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
    )
    for mode, expected in (("area", 5 / 9), ("11points", 6 / 11)):
        (score,) = voc_scores(truth, predictions, ("a",), 0.5, mode=mode)
        assert score.ap == pytest.approx(expected, abs=1e-12)
        assert score.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
        assert score.precision.tolist() == pytest.approx([1, 1 / 2, 1 / 2, 2 / 3, 1 / 2])


def test_the_legacy_pixel_decides_at_the_threshold():
    """Boxes 0..9 and 0..4 wide, both 10 high: 10 and 5 pixels with the legacy one (IoU 1/2), else 9 and 4."""
    truth = Instances(np.zeros(1, int), np.zeros(1, int), np.array([[0.0, 0, 9, 9]]), np.ones(1))
    predictions = Instances(
        np.zeros(1, int), np.zeros(1, int), np.array([[0.0, 0, 4, 9]]), np.ones(1), np.ones(1)
    )
    assert [voc_scores(truth, predictions, ("a",), 0.5, legacy=legacy)[0].ap for legacy in (True, False)] == [
        1,
        0,
    ]


def test_no_predictions_score_zero():
    truth = Instances(np.zeros(2, int), np.zeros(2, int), np.tile([1.0, 1, 5, 5], (2, 1)), np.ones(2))
    none = Instances(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    assert voc_scores(truth, none, ("a", "b"), 0.5)[0].ap == 0
    assert box_recalls(truth, none, [10], [0.5]).tolist() == [[0]]
    assert average_precision(np.zeros(0), np.zeros(0), "area") == 0
