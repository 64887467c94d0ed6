"""How CocoMetric behaves, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from coco_cases import (
    SIDE,
    blank,
    evaluate,
    make_view,
    random_predictions,
    random_truth,
    reference,
    sample,
    samples_of,
    statistics,
)

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.lake import ImageRecord, LakeWriter, Source, open_view


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    truth = random_truth(3)
    names = [c["name"] for c in truth["categories"]]
    predictions = random_predictions(3, truth, names)
    view = make_view(tmp_path_factory.mktemp("lakes") / "lake", truth)
    return truth, names, predictions, view


def test_a_sample_that_comes_twice_is_scored_once(case):
    _, _, predictions, view = case
    samples = samples_of(view, predictions)
    assert evaluate([*samples, *samples[:4], samples[0]]) == evaluate(samples)


def test_the_order_of_samples_does_not_matter(case):
    _, _, predictions, view = case
    samples = samples_of(view, predictions)
    shuffled = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))]
    assert evaluate(shuffled) == evaluate(samples)


def test_only_images_that_were_evaluated_count(case):
    truth, names, predictions, view = case
    half = {**truth, "images": truth["images"][:6]}
    half["annotations"] = [
        a for a in truth["annotations"] if a["image_id"] in {i["id"] for i in half["images"]}
    ]
    found = evaluate(samples_of(view, predictions)[:6])
    np.testing.assert_allclose(
        statistics(found), reference(half, predictions[:6], names).stats, rtol=0, atol=1e-10
    )


def test_perfect_predictions_score_one_and_none_score_zero(tmp_path):
    truth = random_truth(11)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    view = make_view(tmp_path / "lake", truth)
    perfect = [
        (view.table.xyxy(row), np.ones(len(view.table.xyxy(row))), view.labels[view.table.span(row)])
        for row in range(len(view.table))
    ]
    found = evaluate(samples_of(view, perfect), classwise=True)
    assert found["coco/bbox_mAP"] == found["coco/bbox_mAP_75"] == pytest.approx(1)
    assert found["coco/class 0_precision"] == pytest.approx(1)
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    found = evaluate(samples_of(view, [nothing] * len(perfect)))
    assert found["coco/bbox_mAP"] == found["coco/bbox_AR@100"] == 0


def test_images_without_any_truth_cannot_be_measured(tmp_path):
    truth = random_truth(4, images=3)
    truth["annotations"] = []
    view = make_view(tmp_path / "lake", truth)
    one = (np.array([[1, 2, 30, 40]], np.float32), np.array([0.5], np.float32), np.array([1]))
    found = evaluate(samples_of(view, [one] * 3), classwise=True)
    assert set(statistics(found)) == {-1}
    assert np.isnan(found["coco/class 1_precision"])


def test_several_lakes_are_scored_together(tmp_path):
    parts = [random_truth(seed, images=6) for seed in (20, 21)]
    for image in (*parts[1]["images"], *parts[1]["annotations"]):
        for key in ("id", "image_id"):
            if key in image:
                image[key] += 1000
    whole = {**parts[0], "images": parts[0]["images"] + parts[1]["images"]}
    whole["annotations"] = parts[0]["annotations"] + parts[1]["annotations"]
    names = [c["name"] for c in whole["categories"]]
    predictions = random_predictions(20, whole, names)
    # All scores differ: the order of lakes, which decides between equal ones, goes by their keys.
    order = iter(np.random.default_rng(9).permutation(1000) / 1000)
    for _, scores, _ in predictions:
        scores[:] = [next(order) for _ in scores]
    views = [make_view(tmp_path / f"lake{number}", part) for number, part in enumerate(parts)]
    samples = samples_of(views[0], predictions[:6]) + samples_of(views[1], predictions[6:])
    found = evaluate(samples)
    np.testing.assert_allclose(
        statistics(found), reference(whole, predictions, names).stats, rtol=0, atol=1e-10
    )


def test_lakes_with_different_classes_are_not_scored_together(tmp_path, case):
    _, _, predictions, view = case
    other = make_view(tmp_path / "lake", random_truth(3), ["class 1"])
    none = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    with pytest.raises(ConfigError, match=r"different classes.*class 1.*metainfo"):
        evaluate([*samples_of(view, predictions), sample(other, 0, *none)])


def test_difficult_boxes_count_neither_way(tmp_path):
    boxes = np.array([[10, 10, 40, 40], [100, 100, 50, 50]], float)
    options = {"class_names": ["a"], "box_format": "ltwh", "image_format": "jpeg"}
    with LakeWriter(str(tmp_path / "lake"), optional_columns=("difficults",), **options) as lake:
        lake.append(
            ImageRecord(blank(), SIDE, SIDE, "a.jpg", boxes, np.zeros(2, int), difficults=np.array([0, 1]))
        )
    view = open_view(Source(str(tmp_path / "lake")))
    corners, labels = view.table.xyxy(0), np.zeros(2, int)
    assert evaluate([sample(view, 0, corners, np.ones(2), labels)])["coco/bbox_mAP"] == pytest.approx(1)
    assert evaluate([sample(view, 0, corners[:1], np.ones(1), labels[:1])])["coco/bbox_mAP"] == pytest.approx(
        1
    )


def test_the_six_precisions_are_returned_by_default_under_the_prefix(case):
    _, _, predictions, view = case
    names = {f"bbox_{name}" for name in ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")}
    found = evaluate(samples_of(view, predictions), metric_items=None)
    assert set(found) == {f"coco/{name}" for name in names}
    found = evaluate(samples_of(view, predictions), metric_items=None, prefix="lake")
    assert set(found) == {f"lake/{name}" for name in names}


def test_scores_by_class_are_kept_and_logged(case, caplog):
    truth, names, predictions, view = case
    metric = CocoMetric(classwise=True)
    metric.process(None, samples_of(view, predictions))
    found = metric.evaluate(len(predictions))
    assert [score.name for score in metric.class_scores] == names
    real = [a for a in truth["annotations"] if not a["iscrowd"]]
    ids = [c["id"] for c in truth["categories"]]
    assert [score.objects for score in metric.class_scores] == [
        sum(a["category_id"] == number for a in real) for number in ids
    ]
    assert metric.class_scores[0].ap == found["coco/class 0_precision"]
    assert "Average Precision" in caplog.text
    assert "AP50" in caplog.text
    assert f"bbox_mAP_copypaste: {found['coco/bbox_mAP']:.3f}" in caplog.text


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"metric": "masks"}, "metric"),
        ({"metric": ["bbox", "mAP"]}, "metric"),
        ({"metric": []}, "metric"),
        ({"backend": "slow"}, "backend"),
        ({"format_only": True}, "outfile_prefix"),
        ({"metric_items": ["mAP", "mAP_99"]}, "mAP_99"),
        ({"proposal_nums": (100, 300)}, "proposal_nums"),
        ({"proposal_nums": (0, 300, 1000)}, "proposal_nums"),
    ],
)
def test_bad_arguments_are_refused(options, key):
    with pytest.raises(ConfigError, match=key):
        CocoMetric(**options)


@pytest.mark.parametrize("path", [{}, {"img_path": "images/1.jpg"}, {"img_path": "deeplake://nonsense"}])
def test_samples_that_are_not_from_a_lake_are_refused(path):
    none = {
        "bboxes": torch.zeros(0, 4),
        "scores": torch.zeros(0),
        "labels": torch.zeros(0, dtype=torch.int64),
    }
    with pytest.raises(ConfigError, match=r"img_path|image address"):
        CocoMetric().process(None, [{**path, "pred_instances": none}])


def test_nothing_to_score_is_told():
    with pytest.raises(ConfigError, match="nothing to score"):
        CocoMetric().evaluate(0)


def test_it_is_built_by_its_name():
    from mmengine.registry import METRICS

    assert isinstance(METRICS.build({"type": "deeplake_mmdet.CocoMetric"}), CocoMetric)
