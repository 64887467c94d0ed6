"""Real photographs: nuts (COCO, with masks) and blood cells (Pascal VOC)."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from lakes import evaluate, rounded_results, sample, samples_of_results
from pycocotools import mask as coco_mask
from references import as_instances, coco_eval
from test_voc_scores import reference_map

from deeplake_mmdet.evaluation import CocoMetric, VOCMetric
from deeplake_mmdet.evaluation.coco_scores import STATISTICS
from deeplake_mmdet.lake import Source, open_view


def noisy_results(truth, masks=False):
    """Results near the truth and beside it, some of the wrong class, some scores equal."""
    rng = np.random.default_rng(0)
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    categories = [category["id"] for category in truth["categories"]]
    results = []
    for annotation in truth["annotations"]:
        for _ in range(int(rng.integers(3))):
            box = np.array(annotation["bbox"]) * rng.normal(1, 0.06, 4)
            label = rng.choice(categories) if rng.random() < 0.1 else annotation["category_id"]
            entry = {"image_id": annotation["image_id"], "category_id": int(label), "bbox": box.tolist()}
            entry["score"] = round(float(rng.random()), 2)
            if masks:
                # The object's mask, moved a little.
                polygons = [(np.array(p) + rng.integers(-4, 5)).tolist() for p in annotation["segmentation"]]
                rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *sizes[annotation["image_id"]]))
                entry["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
            results.append(entry)
    return rounded_results(results)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("limits", [(100, 300, 1000), (1, 10, 100)])
def test_nuts(shared_data, nuts_lake, limits):
    truth = json.loads((shared_data / "nuts/trainval.json").read_text())
    results = noisy_results(truth, masks=True)
    view = open_view(Source(str(nuts_lake)))
    options = {"proposal_nums": limits, "metric_items": list(STATISTICS)}
    found = evaluate(CocoMetric(["bbox", "segm"], **options), samples_of_results(view, results, dense=False))
    for kind in ("bbox", "segm"):
        expected = coco_eval(truth, results, kind, limits).stats
        assert expected[0 if 100 in limits else 1] > 0.1
        close([found[f"coco/{kind}_{name}"] for name in STATISTICS], expected)
    found = evaluate(CocoMetric("proposal", **options), samples_of_results(view, results))
    expected = coco_eval(truth, results, limits=limits, by_class=False).stats
    close([found[f"coco/{name}"] for name in STATISTICS], expected)


@pytest.fixture(scope="module")
def cells(shared_data, bccd_lakes):
    """The validation lake, and its annotations as COCO has them, read here from the XML files."""
    view = open_view(Source(str(bccd_lakes["val"])))
    names = (shared_data / "bccd/ImageSets/Main/val.txt").read_text().split()
    truth = {"images": [], "annotations": []}
    truth["categories"] = [{"id": number, "name": name} for number, name in enumerate(view.classes)]
    for row, name in enumerate(names):
        root = ElementTree.parse(shared_data / f"bccd/Annotations/{name}.xml").getroot()
        width, height = (int(root.find(f"size/{key}").text) for key in ("width", "height"))
        truth["images"].append({"id": row, "file_name": name, "width": width, "height": height})
        for node in root.findall("object"):
            corners = [int(node.find(f"bndbox/{key}").text) - 1 for key in ("xmin", "ymin", "xmax", "ymax")]
            x, y, right, bottom = corners
            if right <= x or bottom <= y:
                continue  # a box without area, which the import leaves out and says so
            annotation = {"id": len(truth["annotations"]) + 1, "image_id": row, "iscrowd": 0}
            annotation["category_id"] = view.classes.index(node.find("name").text)
            annotation |= {"bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y)}
            annotation["difficult"] = int(node.find("difficult").text)
            truth["annotations"].append(annotation)
    return view, truth, noisy_results(truth)


def samples_of_cells(view, results):
    samples = []
    for row in range(len(view.table)):
        own = [entry for entry in results if entry["image_id"] == row]
        corners = np.array([entry["bbox"] for entry in own]).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        scores = np.array([entry["score"] for entry in own], np.float32)
        labels = np.array([entry["category_id"] for entry in own], int)
        samples.append(sample(view, row, corners.astype(np.float32), scores, labels))
    return samples


def test_cells_as_coco(cells):
    view, truth, results = cells
    assert len(truth["images"]) == len(view.table) == 87
    assert not any(annotation["difficult"] for annotation in truth["annotations"])
    found = evaluate(CocoMetric(metric_items=list(STATISTICS)), samples_of_cells(view, results))
    close([found[f"coco/bbox_{name}"] for name in STATISTICS], coco_eval(truth, results).stats)


@pytest.mark.parametrize("mode", ["area", "11points"])
@pytest.mark.parametrize("legacy", [True, False])
def test_cells_as_voc(cells, mode, legacy, monkeypatch):
    view, truth, results = cells
    metric = VOCMetric(eval_mode=mode, use_legacy_coordinate=legacy)
    found = evaluate(metric, samples_of_cells(view, results))["pascal_voc/mAP"]
    case = as_instances(truth, results)
    expected, _ = reference_map(*case, monkeypatch, eval_mode=mode, use_legacy_coordinate=legacy)
    assert found == pytest.approx(expected, abs=2e-6)
    assert found > 0.1
