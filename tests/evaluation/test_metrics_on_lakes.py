"""CocoMetric and VOCMetric on lakes, against pycocotools and MMDetection's own metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from generator import SIDE, random_data_set
from lakes import evaluate, make_view, rounded_results, sample, samples_of_results
from pycocotools.coco import COCO
from references import IgnoringEval, as_instances, coco_eval

from deeplake_mmdet.errors import AnnotationError, ColumnError, ConfigError
from deeplake_mmdet.evaluation import CocoMetric, DumpPredictions, VOCMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.evaluation.recalls import box_recalls

ALL = list(STATISTICS)
NONE = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def values(found, kind):
    return np.array([found[f"coco/{kind}_{name}"] for name in STATISTICS])


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(12))
def test_masks_and_boxes_score_as_with_pycocotools(tmp_path, seed):
    truth, results = random_data_set(seed, masks=True)
    results = rounded_results(results)
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=seed % 2 == 0)
    found = evaluate(CocoMetric(["bbox", "segm"], metric_items=ALL), samples)
    for kind in ("bbox", "segm"):
        agree(values(found, kind), coco_eval(truth, results, kind).stats)


@pytest.mark.parametrize("seed", range(12))
def test_proposals_score_as_with_pycocotools(tmp_path, seed):
    truth, results = random_data_set(seed)
    results = rounded_results(results)
    view = make_view(tmp_path / "lake", truth)
    limits = [(100, 300, 1000), (1, 10, 100)][seed % 2]
    metric = CocoMetric("proposal", proposal_nums=limits, metric_items=ALL)
    found = evaluate(metric, samples_of_results(view, results))
    expected = coco_eval(truth, results, limits=limits, by_class=False).stats
    agree([found[f"coco/{name}"] for name in STATISTICS], expected)
    found = evaluate(CocoMetric("proposal"), samples_of_results(view, results))
    assert list(found) == [f"coco/{name}" for name in STATISTICS if name.startswith("AR")]


def test_difficult_objects_are_ignored_and_flagged_ones_count_as_with_pycocotools(tmp_path):
    truth, results = random_data_set(4)
    results = rounded_results(results)
    rng = np.random.default_rng(0)
    for annotation in truth["annotations"]:
        annotation["difficult"] = int(rng.random() < 0.3)
        annotation["ignore"] = int(rng.random() < 0.3)
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results)
    expected = coco_eval(truth, results, evaluator=IgnoringEval).stats
    agree(values(evaluate(CocoMetric(metric_items=ALL), samples), "bbox"), expected)
    for annotation in truth["annotations"]:
        annotation["difficult"] |= annotation["ignore"]
    expected = coco_eval(truth, results, evaluator=IgnoringEval).stats
    found = evaluate(CocoMetric(metric_items=ALL, use_ignore_flags=True), samples)
    agree(values(found, "bbox"), expected)


@pytest.mark.parametrize("with_masks", [True, False])
def test_areas_come_from_masks_where_the_lake_has_none_else_from_boxes(tmp_path, with_masks):
    from pycocotools import mask as coco_mask

    truth, results = random_data_set(12, masks=True)
    results = rounded_results(results)
    left_out = ("areas",) if with_masks else ("areas", "segmentations")
    view = make_view(tmp_path / "lake", truth, leave_out=left_out)
    coco = COCO()
    coco.imgs = {image["id"]: image for image in truth["images"]}
    for annotation in truth["annotations"]:
        if with_masks:
            annotation["area"] = float(coco_mask.area(coco.annToRLE(annotation)))
        else:
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    found = evaluate(CocoMetric(metric_items=ALL), samples_of_results(view, results))
    agree(values(found, "bbox"), coco_eval(truth, results).stats)


def test_result_keys_are_the_stock_metrics(tmp_path):
    from mmdet.evaluation import CocoMetric as StockMetric

    truth, results = random_data_set(0, masks=True)
    # The stock metric takes COCOeval's classes, which go by id, for the file's.
    truth["categories"].sort(key=lambda category: category["id"])
    results = rounded_results(results)
    view = make_view(tmp_path / "lake", truth)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    options = {"metric": ["bbox", "segm", "proposal"], "classwise": True}
    stock = StockMetric(ann_file=str(tmp_path / "truth.json"), **options)
    stock.dataset_meta = {"classes": view.classes}
    samples = samples_of_results(view, results, dense=True)
    for one, image in zip(samples, view.table.img_ids.tolist(), strict=True):
        one["img_id"] = image
    expected = evaluate(stock, samples)
    found = evaluate(CocoMetric(**options), samples)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.00051, nan_ok=True), name


@pytest.mark.parametrize("options", [{}, {"iou_thrs": [0.5, 0.75], "eval_mode": "area"}])
def test_voc_scores_and_keys_are_the_stock_metrics(tmp_path, options):
    from mmdet.evaluation import VOCMetric as StockMetric

    truth, results = random_data_set(9)
    rng = np.random.default_rng(1)
    for annotation in truth["annotations"]:
        annotation["difficult"], annotation["iscrowd"] = int(rng.random() < 0.2), 0
    results = rounded_results(results)
    view = make_view(tmp_path / "lake", truth, leave_out=("ignores",))
    samples = samples_of_results(view, results)
    for row, one in enumerate(samples):
        span = view.table.span(row)
        boxes = torch.from_numpy(view.table.xyxy(row).astype(np.float32))
        labels, difficult = (
            torch.from_numpy(view.labels[span].copy()),
            np.array(view.table.difficult[span], bool),
        )
        one["gt_instances"] = {"bboxes": boxes[~difficult], "labels": labels[~difficult]}
        one["ignored_instances"] = {"bboxes": boxes[difficult], "labels": labels[difficult]}
    stock = StockMetric(**options)
    stock.dataset_meta = {"classes": view.classes}
    expected = evaluate(stock, samples)
    found = evaluate(VOCMetric(**options), samples)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.00051), name
    assert 0 < found["pascal_voc/mAP"] < 1


def test_voc_recall_keys(tmp_path):
    truth, results = random_data_set(9)
    view = make_view(tmp_path / "lake", truth)
    metric = VOCMetric(metric="recall", iou_thrs=[0.5, 0.75], proposal_nums=(1, 100))
    found = evaluate(metric, samples_of_results(view, results))
    names = ["recall@1@0.5", "recall@1@0.75", "recall@100@0.5", "recall@100@0.75", "AR@1", "AR@100"]
    assert list(found) == [f"pascal_voc/{name}" for name in names]
    assert found["pascal_voc/AR@100"] >= found["pascal_voc/AR@1"] > 0


def test_proposal_fast_leaves_ignored_boxes_out(tmp_path):
    truth, results = random_data_set(29)  # many crowds and boxes flagged ignore
    view = make_view(tmp_path / "lake", truth)
    found = evaluate(
        CocoMetric("proposal_fast", proposal_nums=(1, 10, 100)), samples_of_results(view, results)
    )
    kept = [a for a in truth["annotations"] if not a["iscrowd"] and not a.get("ignore")]
    assert 0 < len(kept) < len(truth["annotations"])
    wanted, predicted, *_ = as_instances({**truth, "annotations": kept}, rounded_results(results))
    expected = box_recalls(wanted, predicted, (1, 10, 100), np.linspace(0.5, 0.95, 10)).mean(axis=1)
    assert found == {f"coco/AR@{n}": value for n, value in zip((1, 10, 100), expected, strict=True)}
    assert found["coco/AR@100"] > 0


def test_exported_files_have_the_lakes_own_ids_and_score_the_same(tmp_path):
    truth, results = random_data_set(0, masks=True)
    results = rounded_results(results)
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=True)
    options = {"outfile_prefix": tmp_path / "out" / "found"}
    assert evaluate(CocoMetric(["bbox", "segm"], format_only=True, **options), samples) == {}
    for kind in ("bbox", "segm"):
        written = json.loads((tmp_path / "out" / f"found.{kind}.json").read_text())
        assert {r["image_id"] for r in written} == {r["image_id"] for r in results}
        assert {r["category_id"] for r in written} == {r["category_id"] for r in results}
        agree(coco_eval(truth, written, kind).stats, coco_eval(truth, results, kind).stats)


def test_lakes_with_colliding_ids_get_a_file_each(tmp_path):
    views, samples = [], []
    for number in range(2):
        truth, results = random_data_set(0)
        views.append(make_view(tmp_path / f"lake{number}", truth))
        samples += samples_of_results(views[-1], results)
    metric = CocoMetric(outfile_prefix=tmp_path / "found")
    found = evaluate(metric, samples)
    assert sorted(path.name for path in tmp_path.glob("found*")) == [
        "found.lake0.bbox.json",
        "found.lake1.bbox.json",
    ]
    alone = evaluate(CocoMetric(), samples[: len(samples) // 2])
    assert found["coco/bbox_mAP_50"] == pytest.approx(alone["coco/bbox_mAP_50"], abs=0.2)


@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_predictions_are_dumped(tmp_path, suffix):
    truth, results = random_data_set(0)
    view = make_view(tmp_path / "lake", truth)
    file = tmp_path / "made" / f"found.{suffix}"
    if suffix == "txt":
        with pytest.raises(ConfigError, match=r"\.json or a \.parquet"):
            DumpPredictions(file)
        return
    assert evaluate(DumpPredictions(file), samples_of_results(view, results)) == {}
    assert len(json.loads(file.read_text())) == len(results)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    truth, results = random_data_set(0)
    return make_view(tmp_path_factory.mktemp("lakes") / "plain", truth), results


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    truth, _ = random_data_set(0, masks=True)
    return make_view(tmp_path_factory.mktemp("lakes") / "masked", truth)


BOX = np.array([[1, 2, 30, 40]], np.float32)
ONE, FIRST = np.array([0.5], np.float32), np.array([0])
BAD = {
    "label too high": ((BOX, ONE, np.array([99])), "Labels must be whole numbers below"),
    "negative label": ((BOX, ONE, np.array([-1])), "Labels must be whole numbers below"),
    "fractional label": ((BOX, ONE, np.array([0.5])), "Labels must be whole numbers below"),
    "NaN box": ((BOX * np.nan, ONE, FIRST), "not finite"),
    "negative size": ((BOX[:, [2, 1, 0, 3]], ONE, FIRST), "negative size"),
    "score above one": ((BOX, ONE * 3, FIRST), "between 0 and 1"),
    "negative score": ((BOX, -ONE, FIRST), "between 0 and 1"),
    "NaN score": ((BOX, ONE * np.nan, FIRST), "between 0 and 1"),
    "numbers differ": ((BOX, np.array([0.5, 0.4]), FIRST), "differ in number"),
}


@pytest.mark.parametrize("kind", [CocoMetric, VOCMetric])
@pytest.mark.parametrize("case", BAD)
def test_impossible_predictions_are_refused_at_the_first_batch(plain, kind, case):
    view, _ = plain
    arrays, text = BAD[case]
    with pytest.raises(AnnotationError, match=text) as caught:
        kind().process(None, [sample(view, 0, *NONE), sample(view, 1, *arrays)])
    assert "row 1 of lake" in str(caught.value)


def test_unsorted_scores_are_sorted(plain):
    view, results = plain
    forward, backward = (
        evaluate(CocoMetric(), samples_of_results(view, r)) for r in (results, results[::-1])
    )
    assert forward == pytest.approx(backward)


def test_rows_that_do_not_exist_are_refused(plain):
    view, _ = plain
    with pytest.raises(AnnotationError, match="no such row"):
        CocoMetric().process(
            None, [sample(view, 0, *NONE) | {"img_path": view.uri(0).replace("00000000", "00000999")}]
        )


def test_masks_are_refused_where_the_lake_has_none(plain):
    view, _ = plain
    masks = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    with pytest.raises(ColumnError, match=r"this lake has none.*metric='bbox'"):
        CocoMetric("segm").process(None, [sample(view, 0, BOX, ONE, FIRST, masks=masks)])


def test_masks_are_refused_where_the_model_predicts_none(masked):
    with pytest.raises(ConfigError, match="predicts no masks"):
        CocoMetric("segm").process(None, [sample(masked, 0, BOX, ONE, FIRST)])


@pytest.mark.parametrize(
    "masks",
    [
        torch.zeros(1, SIDE + 1, SIDE),
        torch.zeros(2, SIDE, SIDE),
        [{"size": [SIDE, 7], "counts": b"0"}],
        [{"size": [SIDE, SIDE], "counts": b"0"}] * 2,
    ],
)
def test_masks_of_the_wrong_size_or_number_are_refused(masked, masks):
    with pytest.raises(AnnotationError, match=r"(?i)mask.*row 0 of lake"):
        CocoMetric("segm").process(None, [sample(masked, 0, BOX, ONE, FIRST, masks=masks)])


def test_truth_without_a_mask_is_told(tmp_path):
    truth, results = random_data_set(0, masks=True)
    truth["annotations"][0]["segmentation"] = []
    row = [image["id"] for image in truth["images"]].index(truth["annotations"][0]["image_id"])
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=True)
    with pytest.raises(AnnotationError, match=rf"mask cannot be scored.*row {row}"):
        evaluate(CocoMetric("segm"), samples)
    assert "coco/bbox_mAP" in evaluate(CocoMetric("bbox"), samples)


@pytest.mark.parametrize(
    "mask", [[[1, 2, 3, 1e300, 5, 6]], {"size": [SIDE, SIDE], "counts": "abc"}, [1, 2, 3]]
)
def test_truth_with_a_mask_that_would_crash_is_told(tmp_path, mask):
    truth, results = random_data_set(0, masks=True)
    truth["annotations"][0]["segmentation"] = mask
    row = [image["id"] for image in truth["images"]].index(truth["annotations"][0]["image_id"])
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=True)
    with pytest.raises(AnnotationError, match=rf"mask of object \d+ cannot be used.*row {row}"):
        evaluate(CocoMetric("segm"), samples)


@pytest.mark.parametrize("metric", ["bbox", "segm", "proposal", "proposal_fast"])
def test_nothing_found_scores_zero(masked, metric):
    masks = {"masks": torch.zeros(0, SIDE, SIDE, dtype=torch.bool)}
    found = evaluate(
        CocoMetric(metric), [sample(masked, row, *NONE, **masks) for row in range(len(masked.table))]
    )
    assert set(found.values()) <= {0, -1}
    assert 0 in found.values()
    if metric == "bbox":
        none = [sample(masked, row, *NONE) for row in range(len(masked.table))]
        assert evaluate(VOCMetric(), none)["pascal_voc/mAP"] == 0


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"metric": "recalls"}, "metric"),
        ({"metric": ["mAP", "recall"]}, "metric"),
        ({"eval_mode": "12points"}, "eval_mode"),
        ({"scale_ranges": [(0, 32)]}, "scale_ranges"),
        ({"proposal_nums": (0,)}, "proposal_nums"),
    ],
)
def test_bad_arguments_of_voc_are_refused(options, key):
    with pytest.raises(ConfigError, match=key):
        VOCMetric(**options)
