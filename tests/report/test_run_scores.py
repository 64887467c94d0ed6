"""What is drawn of an evaluation, against the metric, hotcoco and plain counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_parts import guesses, open_lake, photographs, predicted

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.evaluation.engine import AREA_RANGES, Settings, evaluator
from deeplake_mmdet.report.run_scores import score_run
from deeplake_mmdet.transfer import import_coco

NAMES = ("cat", "dog", "cow", "never there")


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    import json

    folder = tmp_path_factory.mktemp("scores")
    truth = photographs(folder / "images", 40, NAMES[:3])
    truth["categories"].append({"id": 4, "name": NAMES[3]})
    (folder / "truth.json").write_text(json.dumps(truth))
    import_coco(folder / "truth.json", folder / "lake", images=folder / "images")
    return open_lake(folder / "lake")


@pytest.fixture(scope="module")
def found(view):
    return guesses(view)


@pytest.fixture(scope="module")
def scores(view, found):
    return score_run(predicted(view, found), [view])


def test_ap_is_the_metrics(view, found, scores):
    metric = CocoMetric(metric="bbox", classwise=True)
    metric.results.extend(found)
    told = metric.evaluate(len(found))
    assert scores.map == pytest.approx(told["coco/bbox_mAP"], abs=6e-4)  # the metric rounds
    assert [one.name for one in scores.by_class] == list(NAMES)
    for ours, theirs in zip(scores.by_class, metric.class_scores, strict=True):
        assert ours.objects == theirs.objects
        assert (ours.ap, ours.ap50) == pytest.approx((theirs.ap, theirs.ap50), nan_ok=True)
    ap50 = scores.precision.mean(axis=0)
    assert ap50 == pytest.approx([one.ap50 for one in scores.by_class], nan_ok=True)
    assert np.isnan(ap50[3])


@pytest.mark.parametrize("step", [0, 37, 80, 100])
def test_counts_from_a_score_are_those_of_matching_these_alone(scores, step):
    certain = scores.predictions.take(scores.predictions.scores >= step / 100)
    settings = Settings(np.array([0.5]), (1000,), area_ranges=AREA_RANGES[:1])
    images = len(scores.images.objects)
    told = evaluator(scores.truth, certain, len(NAMES), images, settings).image_diagnostics(0.5, 2.0)
    status = np.array([told["dt_status"].get(number + 1, "") for number in range(len(certain))])
    for label in range(len(NAMES)):
        own = status[certain.labels == label]
        assert scores.right[step, label] == np.count_nonzero(own == "tp")
        assert scores.wrong[step, label] == np.count_nonzero(own == "fp")


def test_the_stated_score_has_the_highest_f1(scores):
    right, wrong = scores.right.sum(axis=1), scores.wrong.sum(axis=1)
    f1 = 2 * right / (right + wrong + scores.objects.sum())
    assert scores.score == f1.argmax() / 100
    assert 0.2 < scores.score < 0.8


def test_calibration_is_hotcocos(scores):
    plain = replace(scores.truth, iscrowd=None, ignore=None)  # of which it counts what COCO does not
    settings = Settings(np.array([0.5]), (1000,), area_ranges=AREA_RANGES[:1])
    images = len(scores.images.objects)
    told = evaluator(plain, scores.predictions, len(NAMES), images, settings).calibration(10, 0.5)
    from deeplake_mmdet.evaluation.analysis import analyse
    from deeplake_mmdet.report.run_scores import _calibration

    ours = _calibration(scores.predictions, analyse(plain, scores.predictions, NAMES, images))
    assert ours.error == pytest.approx(told["ece"])
    assert ours.counts.tolist() == [one["count"] for one in told["bins"]]
    some = ours.counts > 0
    assert ours.accuracy[some] == pytest.approx(np.array([one["avg_accuracy"] for one in told["bins"]])[some])


def test_what_images_are_like_adds_up(scores):
    step = round(scores.score * 100)
    images = scores.images
    assert images.objects.sum() == scores.objects.sum()
    assert images.found.sum() == scores.right[step].sum()
    assert images.wrong.sum() == scores.wrong[step].sum()
    assert (images.found + images.missed).tolist() == images.objects.tolist()
    assert images.lowest_iou.min() >= 0.5
    assert np.count_nonzero(images.suspicion) == len(set(scores.suspects.images.tolist()))
    assert scores.suspects.suspicions.tolist() == sorted(scores.suspects.suspicions, reverse=True)
    assert (scores.truth.images[scores.suspects.truths] == scores.suspects.images)[
        scores.suspects.truths >= 0
    ].all()


def test_images_without_objects_or_predictions_count(view, found):
    some = [replace(one, boxes=one.boxes[:0], scores=one.scores[:0], labels=one.labels[:0]) for one in found]
    scores = score_run(predicted(view, some), [view])
    assert scores.map == 0
    assert scores.images.missed.tolist() == scores.images.objects.tolist()
    assert np.isnan(scores.calibration.error)
    assert len(scores.suspects) == 0
    nothing = score_run(predicted(view, []), [])
    assert np.isnan(nothing.map)
    assert nothing.class_names == ()


def test_rows_out_of_order_find_their_truth(view, found):
    part = predicted(view, found[::-1][:7])
    scores = score_run(part, [view])
    counts = [int((~view.table.iscrowd[view.table.span(row)]).sum()) for row in part.rows.tolist()]
    assert scores.images.objects.tolist() == counts


def test_lakes_of_other_classes_and_far_too_many_are_refused(view, found):
    one = predicted(view, found)
    with pytest.raises(ConfigError, match="other classes"):
        score_run(replace(one, class_names=("x", *NAMES[1:])), [view])
    with pytest.raises(ConfigError, match="2000"):
        score_run(replace(one, class_names=tuple(map(str, range(5000)))), [view])


def test_masks_are_scored_as_the_metric_scores_them(view):
    found = guesses(view, masks=True)
    metric = CocoMetric(metric="segm", classwise=True)
    metric.results.extend(found)
    told = metric.evaluate(len(found))
    ours = score_run(predicted(view, found), [view], by_mask=True)
    assert ours.map == pytest.approx(told["coco/segm_mAP"], abs=6e-4)
    assert 0 < ours.map < score_run(predicted(view, found), [view]).map  # triangles in place of rectangles
    with pytest.raises(ConfigError, match="no masks"):
        score_run(predicted(view, guesses(view)), [view], by_mask=True)
