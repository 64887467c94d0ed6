import contextlib
import io
import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import CocoMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.lake import ImageRecord, LakeWriter, Source, open_view

SIDE = 200  # of the images; boxes of all three of COCO's sizes fit
STANDARD = (100, 300, 1000)


def blank(side=SIDE):
    out = io.BytesIO()
    Image.new("L", (side, side)).convert("RGB").save(out, "jpeg")
    return out.getvalue()


def random_boxes(rng, count):
    sizes = rng.choice([5.0, 20.0, 60.0, 130.0], (count, 1)) * rng.uniform(0.5, 1.4, (count, 2))
    return np.concatenate([rng.uniform(0, SIDE - 10, (count, 2)), np.minimum(sizes, 190)], axis=1).round(3)


def random_truth(seed, images=12, classes=3):
    """A COCO data set with crowds, images without boxes, areas of its own and unordered image ids."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(5 * images)[:images].tolist()
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": SIDE, "height": SIDE} for i in ids],
        "categories": [{"id": 3 * k + 1, "name": f"class {k}"} for k in range(classes)],
        "annotations": [],
    }
    for image in ids:
        for box in random_boxes(rng, rng.choice([0, 1, 3, 8])).tolist():
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image,
                    "category_id": int(3 * rng.integers(classes) + 1),
                    "bbox": box,
                    "area": round(box[2] * box[3] * rng.uniform(0.4, 1), 2),
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    return truth


def random_predictions(seed, truth, names):
    """Per image (boxes, scores, labels); near the truth and elsewhere, with many equal scores."""
    rng = np.random.default_rng(seed + 1000)
    indices = {c["id"]: names.index(c["name"]) for c in truth["categories"] if c["name"] in names}
    found = []
    for image in truth["images"]:
        boxes, labels = [], []
        for annotation in truth["annotations"]:
            if annotation["image_id"] == image["id"] and annotation["category_id"] in indices:
                for _ in range(rng.integers(3)):
                    boxes.append(np.array(annotation["bbox"]) * rng.normal(1, 0.05, 4))
                    labels.append(indices[annotation["category_id"]])
        noise = random_boxes(rng, rng.choice([0, 2, 5]))
        boxes = np.array([*boxes, *noise], np.float32).reshape(-1, 4)
        labels = np.array([*labels, *rng.integers(0, len(names), len(noise))], np.int64)
        if rng.random() < 0.2:
            boxes, labels = boxes[:0], labels[:0]
        boxes[:, 2:] += boxes[:, :2]
        found.append((boxes, rng.choice([0.1, 0.25, 0.5, 0.9, 0.95], len(labels)).astype(np.float32), labels))
    return found


def make_view(path, truth, classes=None):
    """The truth as a lake, its images in the order of the file."""
    indices = {category["id"]: number for number, category in enumerate(truth["categories"])}
    options = {"box_format": "ltwh", "image_format": "jpeg"}
    options["optional_columns"] = ("areas", "iscrowds", "image_id")
    image = blank()
    with LakeWriter(str(path), class_names=[c["name"] for c in truth["categories"]], **options) as lake:
        for entry in truth["images"]:
            own = [a for a in truth["annotations"] if a["image_id"] == entry["id"]]
            lake.append(
                ImageRecord(
                    image,
                    entry["width"],
                    entry["height"],
                    entry["file_name"],
                    boxes=np.array([a["bbox"] for a in own], np.float64).reshape(-1, 4),
                    labels=np.array([indices[a["category_id"]] for a in own], int),
                    image_id=entry["id"],
                    areas=np.array([a["area"] for a in own], np.float64),
                    iscrowds=np.array([a["iscrowd"] for a in own], int),
                )
            )
    return open_view(Source(str(path)), classes=classes)


def sample(view, row, boxes, scores, labels):
    arrays = {"bboxes": boxes, "scores": scores, "labels": labels}
    instances = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return {"img_path": view.uri(row), "pred_instances": instances, "ori_shape": (SIDE, SIDE)}


def samples_of(view, predictions):
    return [sample(view, row, *arrays) for row, arrays in enumerate(predictions)]


def evaluate(samples, **options):
    metric = CocoMetric(**({"metric_items": list(STATISTICS)} | options))
    for start in range(0, len(samples), 3):
        metric.process(None, samples[start : start + 3])
    return metric.evaluate(len(samples))


def statistics(found):
    return np.array([found[f"coco/bbox_{name}"] for name in STATISTICS])


def reference(truth, predictions, names, proposal_nums=STANDARD, iou_thrs=None):
    """COCOeval, set up as mmdet's CocoMetric sets it up, before it rounds."""
    ids = {category["name"]: category["id"] for category in truth["categories"]}
    results = [
        {
            "image_id": image["id"],
            "category_id": ids[names[label]],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image, (boxes, scores, labels) in zip(truth["images"], predictions, strict=True)
        for (x1, y1, x2, y2), score, label in zip(
            boxes.tolist(), scores.tolist(), labels.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.catIds = [ids[name] for name in names]
        evaluation.params.imgIds = [image["id"] for image in truth["images"]]
        evaluation.params.maxDets = list(proposal_nums)
        if iou_thrs is not None:
            evaluation.params.iouThrs = np.array(iou_thrs)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


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
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, logger.name):
        found = metric.evaluate(len(predictions))
    logger.removeHandler(caplog.handler)
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
