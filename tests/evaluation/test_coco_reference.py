"""COCO scores against pycocotools and MMDetection's own metric."""

from __future__ import annotations

import json

import numpy as np
import pytest
from coco_cases import (
    STANDARD,
    evaluate,
    make_view,
    random_predictions,
    random_truth,
    reference,
    samples_of,
    statistics,
)

from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.lake import Source, open_view


@pytest.mark.parametrize("seed", range(24))
def test_random_data_sets_score_as_with_pycocotools(tmp_path, seed):
    truth = random_truth(seed)
    names = [c["name"] for c in truth["categories"]]
    if seed % 3 == 1:
        names = names[::-1]
    if seed % 3 == 2:
        names = [names[2], names[0]]
    proposal_nums = STANDARD if seed % 2 else (100, 1, 10)
    predictions = random_predictions(seed, truth, names)
    view = make_view(tmp_path / "lake", truth, names)
    expected = reference(truth, predictions, names, proposal_nums)
    found = evaluate(samples_of(view, predictions), proposal_nums=proposal_nums, classwise=True)
    np.testing.assert_allclose(statistics(found), expected.stats, rtol=0, atol=1e-10)
    order = np.argsort([int(name.split()[1]) for name in names])  # COCOeval sorts categories by id
    for place, index in enumerate(order):
        precision = expected.eval["precision"][:, :, place, 0, -1]
        precision = precision[precision > -1]
        ap = found[f"coco/{names[index]}_precision"]
        assert np.isnan(ap) if not precision.size else ap == pytest.approx(precision.mean(), abs=1e-10)


def test_the_random_data_sets_are_no_trivial_ones():
    truth = random_truth(3)
    names = [c["name"] for c in truth["categories"]]
    predictions = random_predictions(3, truth, names)
    assert all(0.1 < value < 0.9 for value in reference(truth, predictions, names).stats)
    assert any(a["iscrowd"] for a in truth["annotations"])
    assert {i["id"] for i in truth["images"]} - {a["image_id"] for a in truth["annotations"]}
    assert any(not len(labels) for _, _, labels in predictions)


def test_other_iou_thresholds_score_as_with_pycocotools(tmp_path):
    truth = random_truth(5)
    names = [c["name"] for c in truth["categories"]]
    predictions = random_predictions(5, truth, names)
    view = make_view(tmp_path / "lake", truth)
    for thresholds in ([0.5, 0.75], [0.3]):
        found = evaluate(samples_of(view, predictions), iou_thrs=thresholds)
        expected = reference(truth, predictions, names, iou_thrs=thresholds).stats
        np.testing.assert_allclose(statistics(found), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("proposal_nums", [STANDARD, (100, 1, 10)])
def test_real_data_scores_as_with_mmdets_own_metric(shared_data, nuts_lake, tmp_path, proposal_nums):
    from mmdet.evaluation import CocoMetric as StockMetric

    file = shared_data / "nuts/trainval.json"
    truth = json.loads(file.read_text())
    # In the file's order: mmdet keeps to it whatever the order of metainfo.classes.
    view = open_view(Source(str(nuts_lake)), classes=("date", "hazelnut"))
    predictions = random_predictions(7, truth, list(view.classes))
    items = list(STATISTICS)
    options = {"metric": "bbox", "classwise": True, "proposal_nums": proposal_nums, "metric_items": items}
    stock = StockMetric(ann_file=str(file), **options)
    stock.dataset_meta = {"classes": view.classes}
    samples = samples_of(view, predictions)
    for image, one in zip(truth["images"], samples, strict=True):
        one["img_id"] = image["id"]
    stock.process({}, samples)
    rounded = stock.evaluate(len(samples))
    found = evaluate(samples, **options)
    expected = reference(truth, predictions, view.classes, proposal_nums).stats
    np.testing.assert_allclose(statistics(found), expected, rtol=0, atol=1e-10)
    assert 0 < found["coco/bbox_mAP"] < 1
    for name, value in rounded.items():
        assert found[name] == pytest.approx(value, abs=0.00051, nan_ok=True), name
    assert {f"coco/{name}_precision" for name in view.classes} <= set(found) & set(rounded)
