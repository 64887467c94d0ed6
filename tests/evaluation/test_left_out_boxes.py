"""Boxes that training leaves out or ignores count in the scores as they do with stock metrics on files."""

from __future__ import annotations

import copy
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from lakes import blank, evaluate, make_view, rounded_results, sample, samples_of_results
from mmdet.evaluation import CocoMetric as StockCocoMetric
from mmdet.evaluation import VOCMetric as StockVOCMetric
from references import coco_eval

from deeplake_mmdet.evaluation import CocoMetric, VOCMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.lake import Source, open_view
from deeplake_mmdet.transfer import import_coco, import_voc

SIDE = 64
# What is added to each image: box and what else is special.
KINDS = {
    "crowd": ([30, 5, 20, 20], {"iscrowd": 1}),
    "ignore": ([30, 5, 20, 20], {"ignore": 1}),
    "tiny": ([40, 40, 0.5, 0.5], {}),
    "outside": ([200, 200, 20, 20], {}),
    "half outside": ([55, 55, 20, 20], {}),
    "area 0": ([30, 5, 20, 20], {"area": 0}),
    "unselected": ([30, 5, 20, 20], {"category_id": 9}),
}
LIMITS = (100, 1, 10)


def outline(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def data_set(kinds, even=False):
    """A COCO file of four images, and results that find all sound boxes, and of the others some twice.

    Even: each image has as many results as any other; stock recall fails on others.
    """
    truth = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": SIDE, "height": SIDE} for n in (11, 12, 13, 14)
        ],
        "categories": [{"id": n, "name": name} for n, name in ((3, "a"), (7, "b"), (9, "c"))],
        "annotations": [],
    }
    results = []
    for place, image in enumerate(truth["images"]):
        boxes = [([4, 6, 22, 18], {"category_id": 3}), ([10, 35, 25, 20], {"category_id": 7})]
        boxes += [KINDS[kind] for kind in kinds]
        for number, (box, more) in enumerate(boxes):
            annotation = {
                "id": len(truth["annotations"]) + 1, "image_id": image["id"], "category_id": 3, "bbox": box,
                "area": box[2] * box[3], "iscrowd": 0, "segmentation": outline(*box), **more,
            }  # fmt: skip
            truth["annotations"].append(annotation)
            found = {"image_id": image["id"], "category_id": 3 if number != 1 else 7}
            for shift in range(1 + (number >= 2 and place < 2 and not even)):
                if number >= 2 and place == 3 and not even:
                    continue
                moved = [box[0] + shift, box[1], box[2], box[3]]
                score = 0.9 - 0.03 * place - 0.08 * number - 0.017 * shift
                results.append({**found, "bbox": moved, "score": score, "segmentation": outline(*moved)})
    return truth, rounded_results(results)


def runs(results):
    """The same with masks as run lengths, as models give them."""
    from pycocotools import mask as coco_mask

    found = copy.deepcopy(results)
    for entry in found:
        entry["segmentation"] = coco_mask.merge(coco_mask.frPyObjects(entry["segmentation"], SIDE, SIDE))
    return found


def both(tmp_path, truth, results, metric):
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    view = make_view(tmp_path / "lake", truth, ("a", "b"))
    return both_of(view, tmp_path, results, metric)


def both_of(view, tmp_path, results, metric):
    samples = samples_of_results(view, runs(results), dense=True)
    for one, image in zip(samples, view.table.img_ids.tolist(), strict=True):
        one["img_id"] = image
    stock = StockCocoMetric(ann_file=str(tmp_path / "truth.json"), metric=metric, proposal_nums=LIMITS)
    stock.dataset_meta = {"classes": view.classes}
    expected = evaluate(stock, samples)
    return evaluate(CocoMetric(metric, proposal_nums=LIMITS), samples), expected


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_coco_metric_equals_stock_on_the_file(tmp_path, kind):
    kinds = KINDS if kind == "all" else [kind]
    truth, results = data_set(kinds)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    view = make_view(tmp_path / "lake", truth, ("a", "b"))
    for metric, given in (
        (["bbox", "segm", "proposal"], results),
        (["proposal_fast"], data_set(kinds, even=True)[1]),
    ):
        found, expected = both_of(view, tmp_path, given, metric)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=0.00051), (metric, name)


@pytest.mark.parametrize("metric", ["bbox", "segm"])
def test_to_the_last_digit_as_well(tmp_path, metric):
    truth, results = data_set(KINDS)
    view = make_view(tmp_path / "lake", truth, ("a", "b"))
    scorer = CocoMetric(metric, metric_items=list(STATISTICS))
    found = evaluate(scorer, samples_of_results(view, runs(results), dense=True))
    selected = {**truth, "categories": truth["categories"][:2]}
    expected = coco_eval(selected, runs(results), metric).stats
    np.testing.assert_allclose(list(found.values()), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "metric", "counts"),
    [
        ("tiny", "bbox", True), ("outside", "bbox", True), ("ignore", "bbox", True),
        ("crowd", "bbox", False), ("unselected", "bbox", False), ("crowd", "proposal", False),
        ("unselected", "proposal", False), ("unselected", "proposal_fast", True),
        ("ignore", "proposal", True), ("ignore", "proposal_fast", False), ("crowd", "proposal_fast", False),
    ],
)  # fmt: skip
def test_what_stands_in_the_denominators(tmp_path, kind, metric, counts):
    """Where nobody finds them, boxes lower a score exactly if they count."""
    truth, results = data_set([kind])
    sound = [one for one in results if one["bbox"][:2] in ([4, 6], [10, 35])]
    found, expected = both(tmp_path, truth, sound, metric)
    name = {"proposal": "coco/AR@1000", "proposal_fast": "coco/AR@100"}.get(metric, "coco/bbox_mAP")
    assert (found[name] < 0.99) == (expected[name] < 0.99) == counts


def test_what_an_import_refuses_or_changes_counts_as_its_summary_says(tmp_path):
    truth, results = data_set([])
    box = {"image_id": 11, "category_id": 3, "iscrowd": 0, "area": 0}
    truth["annotations"].append({**box, "id": 90, "bbox": [30, 30, 0, 0], "segmentation": []})
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for image in truth["images"]:
        (tmp_path / image["file_name"]).write_bytes(blank(SIDE, SIDE))
    summary = import_coco(tmp_path / "truth.json", tmp_path / "lake", images=tmp_path, progress=False)
    assert summary.refused_boxes == 1
    view = open_view(Source(str(tmp_path / "lake")))
    samples = samples_of_results(view, results)
    assert evaluate(CocoMetric(), samples)["coco/bbox_mAP"] == 1
    assert coco_eval(truth, results).stats[0] < 1  # the file's box without width cannot be found


def test_only_images_that_were_evaluated_count(tmp_path):
    truth, results = data_set([])
    view = make_view(tmp_path / "lake", truth, ("a", "b"))
    samples = samples_of_results(view, results)
    assert evaluate(CocoMetric(), samples[:2])["coco/bbox_mAP"] == 1


VOC_KINDS = {
    "difficult": ([31, 6, 51, 26], 1, "a"),
    "tiny": ([41, 41, 42, 42], 0, "a"),
    "outside": ([201, 201, 221, 221], 0, "a"),
    "half outside": ([51, 51, 81, 81], 0, "a"),
    "unselected": ([31, 6, 51, 26], 0, "c"),
}


def write_voc(root, kinds):
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for image in range(4):
        (root / f"JPEGImages/{image}.jpg").write_bytes(blank(SIDE, SIDE))
        top = ElementTree.Element("annotation")
        size = ElementTree.SubElement(top, "size")
        for name, value in (("width", SIDE), ("height", SIDE), ("depth", 3)):
            ElementTree.SubElement(size, name).text = str(value)
        boxes = [([5, 7, 27, 25], 0, "a"), ([11, 36, 36, 56], 0, "b"), *(VOC_KINDS[kind] for kind in kinds)]
        for box, difficult, label in boxes:
            entry = ElementTree.SubElement(top, "object")
            ElementTree.SubElement(entry, "name").text = label
            ElementTree.SubElement(entry, "difficult").text = str(difficult)
            corners = ElementTree.SubElement(entry, "bndbox")
            for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
                ElementTree.SubElement(corners, name).text = str(value)
        ElementTree.ElementTree(top).write(root / f"Annotations/{image}.xml")
    (root / "ImageSets/Main/val.txt").write_text("".join(f"{image}\n" for image in range(4)))


def voc_predictions(kinds, image, even):
    boxes = [([4, 6, 26, 24], 0, 0.9), ([10, 35, 35, 55], 1, 0.8)]
    for number, kind in enumerate(kinds if image < 3 or even else ()):
        box, _, _ = VOC_KINDS[kind]
        boxes += [([value - 1 for value in box], 0, 0.7 - 0.1 * number - 0.01 * image)]
        if image == 0 and not even:
            boxes.append((list(box), 0, 0.685 - 0.1 * number))
    corners, labels, scores = zip(*boxes, strict=True)
    return np.array(corners, np.float32), np.array(scores, np.float32), np.array(labels)


@pytest.mark.parametrize("kind", [*VOC_KINDS, "all"])
@pytest.mark.parametrize("metric", ["mAP", "recall"])
def test_voc_metric_equals_stock_on_the_files(tmp_path, kind, metric):
    from mmdet.datasets import VOCDataset, XMLDataset
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    kinds = list(VOC_KINDS) if kind == "all" else [kind]
    write_voc(tmp_path / "voc", kinds)
    pipeline = [
        {"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "PackDetInputs"},
    ]  # fmt: skip
    assert issubclass(VOCDataset, XMLDataset)
    files = XMLDataset(
        ann_file="ImageSets/Main/val.txt", data_root=str(tmp_path / "voc"), data_prefix={"sub_data_root": ""},
        metainfo={"classes": ("a", "b")}, pipeline=pipeline, test_mode=True,
    )  # fmt: skip
    import_voc(tmp_path / "voc", tmp_path / "lake", split="val", progress=False)
    view = open_view(Source(str(tmp_path / "lake")), classes=("a", "b"))
    samples = []
    for image in range(4):
        own = files[image]["data_samples"]
        one = sample(view, image, *voc_predictions(kinds, image, metric == "recall"))
        for name in ("gt_instances", "ignored_instances"):
            boxes = getattr(own, name)
            one[name] = {"bboxes": torch.as_tensor(boxes.bboxes.tensor), "labels": boxes.labels}
        samples.append(one)
    options = {"metric": metric, "iou_thrs": [0.5, 0.75]}
    stock = StockVOCMetric(**options)
    stock.dataset_meta = {"classes": view.classes}
    if metric == "recall":  # stock takes the predictions of the first class alone
        for one in samples:
            one["pred_instances"]["labels"] = torch.zeros_like(one["pred_instances"]["labels"])
    expected = evaluate(stock, samples)
    found = evaluate(VOCMetric(**options), samples)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.00051), name
