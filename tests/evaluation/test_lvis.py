"""LVISMetric against LVIS's own package, on data as odd as they come, and through lakes."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import pickle

import numpy as np
import pytest
from generator import random_data_set
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lakes import blank, evaluate, make_view, rounded_results, samples_of_results
from odd_data import odd_data_sets
from references import as_instances

from deeplake_mmdet import evaluate_predictions, import_coco
from deeplake_mmdet.errors import AnnotationError, ColumnError, ConfigError
from deeplake_mmdet.evaluation import LVISMetric
from deeplake_mmdet.evaluation.coco_scores import LVIS_STATISTICS
from deeplake_mmdet.evaluation.engine import Matching, Settings
from deeplake_mmdet.evaluation.federated import LIMIT, taking_part
from deeplake_mmdet.lake import Source, open_view

ALL = list(LVIS_STATISTICS)
LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


@pytest.fixture(scope="module")
def lvis():
    """The package, which asks NumPy for a name that it no longer has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "float", float, raising=False)
        import lvis

        logging.getLogger("lvis").setLevel(logging.CRITICAL)
        yield lvis


def reference(lvis, truth, results, kind="bbox", thresholds=None):
    """The package's evaluation."""
    wanted = lvis.LVIS.__new__(lvis.LVIS)
    wanted.logger, wanted.dataset = logging.getLogger("lvis"), copy.deepcopy(truth)
    wanted._create_index()
    found = copy.deepcopy(results)
    for entry in found if kind == "segm" else ():
        entry.pop("bbox")
    evaluation = lvis.LVISEval(wanted, lvis.LVISResults(wanted, found), kind)
    if thresholds is not None:
        evaluation.params.iou_thrs = np.array(thresholds)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.run()
    return evaluation


def federated(truth, seed):
    """The data set, with what LVIS says beside boxes; some lists contradict the boxes."""
    rng = np.random.default_rng(seed)
    categories = [category["id"] for category in truth["categories"]]
    for image in truth["images"]:
        image.update({name: [x for x in categories if rng.random() < 0.4] for name in LISTS})
    for category in truth["categories"]:
        category["frequency"] = str(rng.choice(list("rcf")))
    for annotation in truth["annotations"]:
        annotation.pop("iscrowd", None)
        annotation["ignore"] = max(annotation.pop("difficult", 0), annotation.get("ignore", 0))
    return truth


def curves_of(truth, results, kind, thresholds):
    """Ours, classes in the order of their ids."""
    truth["categories"].sort(key=lambda category: category["id"])
    for annotation in truth["annotations"]:
        annotation["difficult"] = annotation["ignore"]
    wanted, found, classes, images = as_instances(truth, results, masks=kind == "segm")
    labels = {category["id"]: place for place, category in enumerate(truth["categories"])}
    ordered = sorted(truth["images"], key=lambda image: image["id"])
    searched = [{name: [labels[x] for x in image[name]] for name in LISTS} for image in ordered]
    chosen = {} if thresholds is None else {"iou_thresholds": np.array(thresholds)}
    matching = Matching(classes, Settings(limits=(LIMIT,), by_mask=kind == "segm", federated=True, **chosen))
    matching.add(*taking_part(wanted, found), np.arange(images), searched)
    return Matching.curves([matching])


def check_bits(lvis, case, seed, kind):
    truth, results, _, thresholds, _ = case
    assume(results)  # the package fails without any
    federated(truth, seed)
    expected = reference(lvis, truth, results, kind, thresholds).eval
    found = curves_of(truth, results, kind, thresholds)
    np.testing.assert_array_equal(found.precision[..., 0], expected["precision"])
    np.testing.assert_array_equal(found.recall[..., 0], expected["recall"])


ODD = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=60, **ODD)
@given(case=odd_data_sets(masks=False), seed=st.integers(0, 2**32 - 1))
def test_boxes_are_equal_to_the_last_bit(lvis, case, seed):
    check_bits(lvis, case, seed, "bbox")


@settings(max_examples=40, **ODD)
@given(case=odd_data_sets(masks=True), seed=st.integers(0, 2**32 - 1))
def test_masks_are_equal_to_the_last_bit(lvis, case, seed):
    check_bits(lvis, case, seed, "segm")


@pytest.mark.parametrize("seed", [5, 14])  # a thousand predictions on an image
def test_only_the_best_predictions_of_an_image_take_part(lvis, seed):
    truth, results = random_data_set(seed)
    check_bits(lvis, (truth, results, None, None, None), seed, "bbox")
    assert max(np.unique([one["image_id"] for one in results], return_counts=True)[1]) > 3 * LIMIT


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A file as LVIS has it, imported; its truth, results of a network, and the lake."""
    folder = tmp_path_factory.mktemp("lvis")
    truth, results = random_data_set(10, masks=True)
    federated(truth, 3)
    truth["annotations"] = [a for a in truth["annotations"] if min(a["bbox"][2:]) > 1]
    (folder / "val2017").mkdir()
    for image in truth["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
        size = image["width"], image["height"]
        (folder / "val2017" / image["coco_url"].rpartition("/")[2]).write_bytes(blank(*size))
    (folder / "lvis.json").write_text(json.dumps(truth))
    import_coco(folder / "lvis.json", folder / "lake", images=folder, progress=False)
    return truth, rounded_results(results), folder / "lake"


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_a_lake_scores_as_the_package_does(lvis, imported, kind):
    truth, results, lake = imported
    samples = samples_of_results(open_view(Source(str(lake))), results, dense=False)
    found = evaluate(LVISMetric(kind, metric_items=ALL), samples)
    expected = reference(lvis, truth, results, kind).results
    assert found == {f"lvis/{kind}_{name}": pytest.approx(expected[name], abs=1e-12) for name in ALL}
    assert 0 < found[f"lvis/{kind}_AP"] < 1
    assert len({found[f"lvis/{kind}_AP{name}"] for name in "rcf"}) == 3


def test_keys_and_scores_are_the_stock_metrics(lvis, imported, tmp_path):
    from mmdet.evaluation.metrics import lvis_metric

    truth, results, lake = imported
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    view = open_view(Source(str(lake)))
    samples = samples_of_results(view, results)
    for one, image in zip(samples, view.table.img_ids.tolist(), strict=True):
        one["img_id"] = image
    with pytest.MonkeyPatch.context() as patch:
        for name in ("lvis", "LVIS", "LVISEval", "LVISResults"):
            patch.setattr(lvis_metric, name, lvis if name == "lvis" else getattr(lvis, name))
        stock = lvis_metric.LVISMetric(ann_file=str(tmp_path / "truth.json"))
        stock.dataset_meta = {"classes": view.classes}
        # It takes the package's classes, which go by id, for the file's.
        ids = {c["name"]: c["id"] for c in truth["categories"]}
        stock.cat_ids = [ids[name] for name in view.classes]
        expected = evaluate(stock, samples)
    found = evaluate(LVISMetric(), samples)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=0.00051)


def test_processes_ship_what_came_of_matching(imported):
    _, results, lake = imported
    samples = samples_of_results(open_view(Source(str(lake))), results, dense=False)
    options = {"metric": ["bbox", "segm"], "classwise": True, "metric_items": ALL}
    shipped = []
    for part in (samples[1::2], samples[::2], []):
        metric = LVISMetric(**options)
        metric.process(None, part)
        shipped.append(pickle.dumps(metric.share(metric.results)))
    joined, whole = LVISMetric(**options), LVISMetric(**options)
    scores = joined.combine([pickle.loads(one) for one in shipped])
    expected = evaluate(whole, samples)
    np.testing.assert_equal({f"lvis/{name}": value for name, value in scores.items()}, expected)
    np.testing.assert_equal(joined.class_scores, whole.class_scores)


def test_some_classes_score_as_if_there_were_no_others(lvis, imported):
    truth, results, lake = imported
    names = [category["name"] for category in truth["categories"]][2:0:-1]
    view = open_view(Source(str(lake)), classes=names)
    found = evaluate(LVISMetric(metric_items=ALL), samples_of_results(view, results))
    kept = {category["id"] for category in truth["categories"] if category["name"] in names}
    part = {**truth, "categories": [c for c in truth["categories"] if c["id"] in kept]}
    part["annotations"] = [a for a in truth["annotations"] if a["category_id"] in kept]
    expected = reference(lvis, part, [r for r in results if r["category_id"] in kept]).results
    assert found == {f"lvis/bbox_{name}": pytest.approx(expected[name], abs=1e-12) for name in ALL}


def test_a_file_of_predictions_scores_the_same(imported):
    _, results, lake = imported
    samples = samples_of_results(open_view(Source(str(lake))), results, dense=False)
    expected = evaluate(LVISMetric(["bbox", "segm"]), samples)
    assert evaluate_predictions(results, lake, metric=["lvis", "bbox", "segm"]).metrics == expected
    boxes = evaluate_predictions(results, lake, metric="lvis")
    assert boxes.metrics == {name: value for name, value in expected.items() if "bbox" in name}
    assert len(boxes.class_scores) == len(open_view(Source(str(lake))).classes)
    for metric in ("lvis", "mAP"):
        with pytest.raises(ConfigError, match="Only CocoMetric has an analysis"):
            evaluate_predictions(results, lake, metric=metric, analysis="folder")


def test_a_lake_that_was_not_searched_is_refused(tmp_path):
    truth, results = random_data_set(4)
    with pytest.raises(ColumnError, match=r"neg_category_ids[\s\S]*import LVIS's own file again"):
        evaluate_predictions(results, make_view(tmp_path / "coco", truth).source.url, metric="lvis")
    samples = samples_of_results(make_view(tmp_path / "unsearched", truth), results)
    with pytest.raises(ColumnError, match="neg_category_ids"):
        LVISMetric().process(None, samples[:1])  # at once, not after an epoch
    federated(truth, 0)
    place = len(truth["images"]) - 1
    truth["images"][place]["neg_category_ids"] = ["no", 1.5]
    view = make_view(tmp_path / "lvis", truth)
    with pytest.raises(AnnotationError, match=rf"\['no', 1.5\][\s\S]*row {place}"):
        evaluate(LVISMetric(), samples_of_results(view, results))


@pytest.mark.parametrize("stated", [True, False])
def test_frequencies_are_told_by_numbers_of_images_where_categories_do_not_say(tmp_path, caplog, stated):
    truth, results = random_data_set(9)
    federated(truth, 0)
    counts = (10, 11, 100, 101, 0)[: len(truth["categories"])]
    first = truth["categories"][0]["id"]
    for category, count in zip(truth["categories"], counts, strict=True):
        del category["frequency"]
        category |= {"image_count": count} if stated else {}
    for annotation in truth["annotations"]:
        annotation["category_id"] = first
    image = truth["images"][0]
    truth["images"] += [{**image, "id": 1000 + n, "file_name": f"{n}.jpg"} for n in range(10)]
    truth["annotations"] += [
        {**truth["annotations"][0], "id": 1000 + n, "image_id": 1000 + n % 10} for n in range(20)
    ]
    folder = tmp_path / "files"
    folder.mkdir()
    for image in truth["images"]:
        (folder / image["file_name"]).write_bytes(blank(image["width"], image["height"]))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    import_coco(tmp_path / "truth.json", tmp_path / "lake", images=folder, progress=False)
    metric = LVISMetric()
    with caplog.at_level("WARNING", "deeplake_mmdet"):
        evaluate(
            metric, samples_of_results(open_view(Source(str(tmp_path / "lake"))), rounded_results(results))
        )
    expected = ["r", "c", "c", "f", "r"] if stated else ["c", *"rrrr"]
    assert metric.frequencies.tolist() == expected[: len(counts)]
    told = [text for text in caplog.messages if "frequency" in text]
    assert len(told) == 1
    assert ("image_count" in told[0]) is stated


def test_what_lvis_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"proposal[\s\S]*bbox, segm"):
        LVISMetric("proposal")
    with pytest.raises(ConfigError, match=r"mAP[\s\S]*APr"):
        LVISMetric(metric_items=["mAP"])
