"""TIDE's error kinds, confusion, thresholds, losses and their files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from generator import random_data_set
from lakes import evaluate, make_view, samples_of_results
from references import as_instances, coco_eval

from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.evaluation.analysis import KINDS, analyse
from deeplake_mmdet.evaluation.engine import Settings, evaluator
from deeplake_mmdet.evaluation.instances import Instances


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("seed", range(18))
def test_base_precision_and_errors_are_cocos_at_half(seed, masks):
    truth, results = random_data_set(seed, masks=masks)
    wanted, found, classes, images = as_instances(truth, results, masks=masks)
    done = analyse(wanted, found, tuple(map(str, range(classes))), images, by_mask=masks)
    evaluation = coco_eval(truth, results, "segm" if masks else "bbox", limits=(1, 10, 1000))
    expected = evaluation.stats[1]
    assert done.ap == pytest.approx(expected, abs=1e-10) or (np.isnan(done.ap) and expected == -1)
    false = 0
    for one in evaluation.evalImgs:
        if one is not None and one["aRng"] == [0, 1e10]:
            false += int(((one["dtMatches"][0] == 0) & ~one["dtIgnore"][0].astype(bool)).sum())
    assert sum(done.counts[kind] for kind in KINDS if kind != "missed") == false


def instances(rows, scores=None):
    """Rows of (image, label, x, y, width, height[, ignored])."""
    table = np.array(rows, float).reshape(-1, len(rows[0]) if len(rows) else 6)
    flags = table[:, 6].astype(bool) if table.shape[1] > 6 else None
    areas = table[:, 4] * table[:, 5]
    given = None if scores is None else np.array(scores)
    return Instances(
        table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:6], areas, given, ignore=flags
    )


TRUTH = instances([(0, 0, 0, 0, 10, 10), (0, 1, 50, 0, 10, 10), (0, 0, 0, 50, 10, 10), (1, 1, 0, 0, 20, 20)])
FOUND = instances(
    [
        (0, 0, 0, 0, 10, 10),  # found
        (0, 0, 0, 0, 10, 9),  # duplicate
        (0, 0, 50, 0, 10, 10),  # classification
        (0, 0, 0, 57, 10, 10),  # localisation: IoU 3/17
        (0, 0, 50, 7, 10, 10),  # both
        (0, 1, 80, 80, 10, 10),  # background
    ],
    [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
)


def test_each_kind_of_error_is_told_apart_and_priced():
    """Base: class 0 finds one of two objects, first of its list: precision 1 at recalls 0 to 0.5, 51 of 101
    points; class 1 finds none of two. AP = (51/101 + 0) / 2.

    Localisation put right: class 0 has its second object at rank 4 of 5 predictions (found, duplicate,
    classification, this one): recall 1 at precision 2/4 for the other 50 points. Classification put right:
    class 1 finds one of two objects with its first prediction: 51 points. Duplicate, both or background taken
    away: nothing changes, for no object is found after them. Missed: the object on image 1, so class 1 would
    have one object, still not found.
    """
    done = analyse(TRUTH, FOUND, ("a", "b"), 2)
    base = 51 / 101 / 2
    assert done.ap == pytest.approx(base)
    assert done.counts == dict.fromkeys(KINDS, 1)
    costs = {"localisation": 50 / 101 * 2 / 4 / 2, "classification": 51 / 101 / 2}
    for kind in KINDS:
        assert done.costs[kind] == pytest.approx(costs.get(kind, 0)), kind


def confusion(truth, found, classes, images, score):
    names = tuple(map(str, range(classes)))
    return analyse(truth, found, names, images, score=score).confusion


def test_confusion_counts_each_object_and_prediction_once():
    # True 'a': one found, one lost; true 'b': one taken for 'a', one lost; duplicate, localisation and both
    # are on background, and the sixth prediction is below the score.
    assert confusion(TRUTH, FOUND, 2, 2, 0.45).tolist() == [[1, 0, 1], [1, 0, 1], [3, 0, 0]]


def test_the_better_score_has_the_object_in_the_confusion():
    truth = instances([(0, 0, 0, 0, 10, 10)])
    found = instances([(0, 0, 0, 0, 10, 10), (0, 1, 0, 0, 10, 8)], [0.5, 0.9])
    assert confusion(truth, found, 2, 1, 0.3).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_predictions_on_ignored_objects_are_not_confused():
    truth = instances([(0, 0, 0, 0, 10, 10, 1)])
    found = instances([(0, 0, 0, 0, 10, 10)], [0.9])
    assert not confusion(truth, found, 1, 1, 0.3).any()


@pytest.mark.parametrize("seed", range(18))
def test_without_ignored_objects_the_confusion_is_hotcocos(seed):
    wanted, found, classes, images = as_instances(*random_data_set(seed))
    counted = wanted.take(~wanted.ignored())
    evaluation = evaluator(counted, found, classes, images, Settings(limits=(100_000,)))
    expected = evaluation.confusion_matrix(iou_thr=0.5, min_score=0.3)["matrix"].astype(int)
    assert confusion(counted, found, classes, images, 0.3).tolist() == expected.tolist()


def test_the_best_threshold_has_the_highest_f1():
    done = analyse(TRUTH, FOUND, ("a", "b"), 2)
    first, second = done.thresholds
    assert (first.score, first.f1, first.precision, first.recall) == pytest.approx((0.9, 2 / 3, 1, 0.5))
    assert second.f1 == 0
    assert np.isnan(analyse(TRUTH, FOUND, ("a", "b", "c"), 2).thresholds[2].score)


@pytest.mark.parametrize("seed", range(9))
def test_losses_of_all_images_add_up_to_what_is_lost(seed):
    truth, results = random_data_set(seed)
    wanted, found, classes, images = as_instances(truth, results)
    losses = analyse(wanted, found, tuple(map(str, range(classes))), images).losses
    cells = [
        one
        for one in coco_eval(truth, results, limits=(1, 10, 1000)).evalImgs
        if one is not None and one["aRng"] == [0, 1e10]
    ]
    precision = []
    for category in {one["category_id"] for one in cells}:
        own = [one for one in cells if one["category_id"] == category]
        objects = sum(int((~np.array(one["gtIgnore"], bool)).sum()) for one in own)
        if not objects:
            continue
        part = [~one["dtIgnore"][0].astype(bool) for one in own]
        hits = np.concatenate([one["dtMatches"][0][keep] > 0 for one, keep in zip(own, part, strict=True)])
        scores = np.concatenate(
            [np.array(one["dtScores"])[keep] for one, keep in zip(own, part, strict=True)]
        )
        hits = hits[np.argsort(-scores, kind="stable")]
        at = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        precision.append(at[hits].sum() / objects)
    assert losses.sum() == pytest.approx(1 - np.mean(precision) if precision else 0)
    assert (losses >= 0).all()


def test_the_costliest_image_comes_first():
    done = analyse(TRUTH, FOUND, ("a", "b"), 2)
    # Class a loses 1/2 on image 0, class b 1/2 on each; both classes weigh one half.
    assert done.losses.tolist() == pytest.approx([0.5, 0.25])


def test_files_hold_everything_and_keep_other_metrics(tmp_path):
    truth, results = random_data_set(0, masks=True)
    view = make_view(tmp_path / "lake", truth)
    metric = CocoMetric(["bbox", "segm"], analysis=tmp_path / "run")
    found = evaluate(metric, samples_of_results(view, results, dense=False))
    assert found == evaluate(CocoMetric(["bbox", "segm"]), samples_of_results(view, results, dense=False))
    content = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(content) == {"bbox", "segm"}
    for kind, entry in content.items():
        assert set(entry["errors"]) == set(KINDS)
        assert [one["name"] for one in entry["classes"]] == list(view.classes)
        assert len(entry["confusion"]["counts"]) == len(view.classes) + 1
        assert {row["image_id"] for row in entry["rows"]} <= set(view.table.img_ids.tolist())
        assert [row["loss"] for row in entry["rows"]] == sorted(
            (r["loss"] for r in entry["rows"]), reverse=True
        )
        with np.load(tmp_path / "run" / "metrics.npz") as arrays:
            precision = arrays[f"{kind}/precision"][:, :, :, 0, 0]
            assert precision[precision > -1].mean() == pytest.approx(found[f"coco/{kind}_mAP"])
            assert arrays[f"{kind}/losses"].shape == (len(view.table),)


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth, results = random_data_set(0)
    view = make_view(tmp_path / "lake", truth)
    evaluate(CocoMetric(), samples_of_results(view, results))
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_nothing_found_and_nothing_to_find_are_analysed():
    none = instances(np.zeros((0, 6)), [])
    done = analyse(TRUTH, none, ("a", "b"), 2)
    assert done.counts["missed"] == 4
    assert done.losses.sum() == pytest.approx(1)
    assert np.isnan(analyse(instances(np.zeros((0, 6))), FOUND, ("a", "b"), 2).ap)
