"""Predicted boxes that reach to infinity, as heads that are not trained yet may give."""

from __future__ import annotations

import json

import numpy as np
import pytest
from generator import random_data_set
from lakes import evaluate, make_view, rounded_results, samples_of_results
from references import coco_eval

from deeplake_mmdet.evaluation import CocoMetric, VOCMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS

INF = np.inf
ENDLESS = {
    "everywhere": [-INF, -INF, INF, INF],
    "to the right": [10, 20, INF, 60],
    "from the left": [-INF, 20, 50, 60],
    "from a corner on": [10, 20, INF, INF],
}


@pytest.fixture
def warnings(caplog):
    return lambda: [record.message for record in caplog.records if "infinity" in record.message]


@pytest.fixture
def case(tmp_path, request):
    """A lake, results as in COCO's files, and the same as samples: an endless box on each for each class."""
    truth, results = random_data_set(5)
    results = rounded_results(results)
    left, top, right, bottom = request.param
    extra = [
        {
            "image_id": image["id"],
            "category_id": category["id"],
            "bbox": [left, top, right - left, bottom - top],
            "score": 0.96,
        }
        for image in truth["images"]
        for category in truth["categories"]
    ]
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results + extra)
    # Corners cannot be had from (left, top, width, height) where left is infinite.
    for one in samples:
        boxes = one["pred_instances"]["bboxes"]
        boxes[~boxes.isfinite().all(dim=1)] = boxes.new_tensor(request.param)
    return truth, results + extra, view, samples


@pytest.mark.parametrize("case", ENDLESS.values(), ids=ENDLESS, indirect=True)
def test_they_score_as_with_pycocotools(case, warnings):
    truth, results, view, samples = case
    found = evaluate(CocoMetric(metric_items=list(STATISTICS)), samples)
    expected = coco_eval(truth, results).stats
    np.testing.assert_allclose(
        [found[f"coco/bbox_{name}"] for name in STATISTICS], expected, rtol=0, atol=1e-10
    )
    assert len(warnings()) == 1
    images, boxes = len(view.table), len(view.table) * len(view.classes)
    assert f"{boxes} predicted boxes on {images} images" in warnings()[0]


@pytest.mark.parametrize("case", [ENDLESS["everywhere"]], indirect=True)
def test_they_are_false_positives_for_voc(case, warnings):
    *_, samples = case
    found = evaluate(VOCMetric(), samples)["pascal_voc/mAP"]
    for one in samples:
        instances = one["pred_instances"]
        kept = instances["bboxes"].isfinite().all(dim=1)
        one["pred_instances"] = {name: values[kept] for name, values in instances.items()}
    assert 0 <= found < evaluate(VOCMetric(), samples)["pascal_voc/mAP"]
    assert len(warnings()) == 1


@pytest.mark.parametrize("case", [ENDLESS["everywhere"]], indirect=True)
def test_files_of_predictions_have_numbers_for_them(case, tmp_path):
    *_, samples = case
    evaluate(CocoMetric(format_only=True, outfile_prefix=tmp_path / "found"), samples)
    text = (tmp_path / "found.bbox.json").read_text()
    assert "Infinity" not in text
    assert all(np.isfinite(entry["bbox"]).all() for entry in json.loads(text))


def test_usual_boxes_are_not_told_of(tmp_path, warnings):
    truth, results = random_data_set(5)
    view = make_view(tmp_path / "lake", truth)
    evaluate(CocoMetric(), samples_of_results(view, rounded_results(results)))
    assert not warnings()
