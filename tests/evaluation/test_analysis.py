"""Matching, TIDE's error kinds, confusion, thresholds, losses and their files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from generator import random_data_set
from lakes import evaluate, make_view, samples_of_results
from references import as_instances, coco_eval

from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.evaluation.analysis import analyse, confusion, image_losses
from deeplake_mmdet.evaluation.errors_by_kind import KINDS
from deeplake_mmdet.evaluation.instances import Instances, pair_blocks, pair_up
from deeplake_mmdet.evaluation.matching import match, overlaps_of


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("seed", range(27))
def test_matches_are_cocoevals(seed, masks):
    truth, results = random_data_set(seed, masks=masks)
    evaluation = coco_eval(truth, results, "segm" if masks else "bbox", (1000, 1000, 1000))
    wanted, found, *_ = as_instances(truth, results, masks=masks)
    matches = match(wanted, found, overlaps_of(wanted, found, by_mask=masks), 0.5)
    true = left_out = 0
    for one in evaluation.evalImgs:
        if one is not None and one["aRng"] == [0, 1e10]:
            hit = one["dtMatches"][0] > 0
            true += int((hit & ~one["dtIgnore"][0].astype(bool)).sum())
            left_out += int((hit & one["dtIgnore"][0].astype(bool)).sum())
    assert (int(matches.true.sum()), int(matches.left_out.sum())) == (true, left_out)


@pytest.mark.parametrize("seed", range(18))
def test_base_precision_is_cocos_at_half(seed):
    truth, results = random_data_set(seed)
    wanted, found, classes, images = as_instances(truth, results)
    done = analyse(wanted, found, tuple(map(str, range(classes))), images)
    expected = coco_eval(truth, results, limits=(1, 10, 1000)).stats[1]
    assert done.errors.ap == pytest.approx(expected, abs=1e-10) or (
        np.isnan(done.errors.ap) and expected == -1
    )
    assert all(cost >= -0.05 for cost in done.errors.costs.values()) or np.isnan(done.errors.ap)
    false = len(found) - int((done.errors.kinds < 0).sum())
    assert sum(done.errors.counts[kind] for kind in KINDS[:-1]) == false


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
    assert done.errors.ap == pytest.approx(base)
    assert done.errors.counts == dict.fromkeys(KINDS, 1)
    kinds = ["duplicate", "classification", "localisation", "both", "background"]
    assert [KINDS[kind] for kind in done.errors.kinds[1:]] == kinds
    assert done.errors.missed.tolist() == [False, False, False, True]
    costs = {"localisation": 50 / 101 * 2 / 4 / 2, "classification": 51 / 101 / 2}
    for kind in KINDS:
        assert done.errors.costs[kind] == pytest.approx(costs.get(kind, 0)), kind


def test_confusion_counts_each_object_and_prediction_once():
    overlaps = overlaps_of(TRUTH, FOUND)
    matrix = confusion(TRUTH, FOUND, overlaps, 2, 0.5, 0.45)
    # True 'a': one found, one lost; true 'b': one taken for 'a', one lost; duplicate, localisation and both
    # are on background, and the sixth prediction is below the score.
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 1], [3, 0, 0]]


def test_predictions_on_ignored_objects_are_not_confused():
    truth = instances([(0, 0, 0, 0, 10, 10, 1)])
    found = instances([(0, 0, 0, 0, 10, 10)], [0.9])
    assert not confusion(truth, found, overlaps_of(truth, found), 1, 0.5, 0.3).any()


def test_the_best_threshold_has_the_highest_f1():
    done = analyse(TRUTH, FOUND, ("a", "b"), 2)
    first, second = done.thresholds
    assert (first.score, first.f1, first.precision, first.recall) == pytest.approx((0.9, 2 / 3, 1, 0.5))
    assert second.f1 == 0
    assert np.isnan(analyse(TRUTH, FOUND, ("a", "b", "c"), 2).thresholds[2].score)


@pytest.mark.parametrize("seed", range(9))
def test_losses_of_all_images_add_up_to_what_is_lost(seed):
    wanted, found, classes, images = as_instances(*random_data_set(seed))
    matches = match(wanted, found, overlaps_of(wanted, found), 0.5)
    losses = image_losses(wanted, found, matches, classes, images)
    part = ~matches.left_out
    precision = []
    for label in np.unique(wanted.labels[~wanted.ignored()]):
        own = np.flatnonzero(part & (found.labels == label))
        hits = matches.true[own[np.argsort(-found.confidence()[own], kind="stable")]]
        at = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        precision.append(at[hits].sum() / np.count_nonzero(wanted.labels[~wanted.ignored()] == label))
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


def test_pairs_come_in_blocks():
    first, second = np.array([2, 0, 2, 1, 5]), np.array([0, 0, 1, 2, 2, 2])
    whole = pair_up(first, second)
    for most in (1, 2, 4, 100):
        blocks = list(pair_blocks(first, second, most))
        assert np.concatenate([block.first for block in blocks]).tolist() == whole.first.tolist()
        assert np.concatenate([block.second for block in blocks]).tolist() == whole.second.tolist()
        assert max(len(block.first) for block in blocks) <= most + 3
    assert list(pair_blocks(first[:0], second)) == []


def test_nothing_found_and_nothing_to_find_are_analysed():
    none = instances(np.zeros((0, 6)), [])
    done = analyse(TRUTH, none, ("a", "b"), 2)
    assert done.errors.counts["missed"] == 4
    assert done.losses.sum() == pytest.approx(1)
    assert np.isnan(analyse(instances(np.zeros((0, 6))), FOUND, ("a", "b"), 2).errors.ap)
