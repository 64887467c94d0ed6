"""Reference scores, and the same data as this package takes it."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deeplake_mmdet.evaluation.engine import Matching
from deeplake_mmdet.evaluation.engine_pycocotools import ReferenceMatching
from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.rle import compress, rle_areas


class IgnoringEval(COCOeval):
    """COCOeval in which annotations flagged ``difficult`` are ignored and are no crowds.

    pycocotools overwrites ``ignore`` by ``iscrowd``; everything after that tells the two apart.
    """

    def _prepare(self):
        super()._prepare()
        for group in self._gts.values():
            for annotation in group:
                annotation["ignore"] = annotation["ignore"] or annotation.get("difficult", 0)


def coco_eval(
    truth, results, kind="bbox", limits=(100, 300, 1000), by_class=True, thresholds=None, evaluator=COCOeval
):
    """COCOeval as MMDetection's CocoMetric sets it up, before it rounds."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        results = copy.deepcopy(results)
        if kind == "segm":
            for entry in results:
                entry.pop("bbox")
        found = coco.loadRes(results) if results else COCO()
        evaluation = evaluator(coco, found, kind)
        evaluation.params.catIds = [category["id"] for category in truth["categories"]]
        evaluation.params.imgIds = [image["id"] for image in truth["images"]]
        evaluation.params.maxDets = list(limits)
        evaluation.params.useCats = int(by_class)
        if thresholds is not None:
            evaluation.params.iouThrs = np.array(thresholds)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def as_instances(truth, results, masks=False):
    """The same as (truth, predictions, number of classes, number of images); classes in the file's order."""
    images = {number: place for place, number in enumerate(sorted(i["id"] for i in truth["images"]))}
    classes = {number: place for place, number in enumerate(c["id"] for c in truth["categories"])}
    sides = []
    for given in (truth["annotations"], results):
        entries = sorted(given, key=lambda entry: images[entry["image_id"]])
        xywh = np.array([entry["bbox"] for entry in entries], float).reshape(-1, 4)
        areas = np.array([entry.get("area", 0) for entry in entries], float)
        options = {}
        if masks:
            size = truth["images"][0]["height"], truth["images"][0]["width"]
            options["masks"] = [compress(entry["segmentation"], *size) for entry in entries]
            options["sizes"] = np.tile(size, (len(entries), 1))
        if given is results:
            options["scores"] = np.array([entry["score"] for entry in entries])
            areas = rle_areas(options["masks"], options["sizes"]) if masks else xywh[:, 2] * xywh[:, 3]
        sides.append(
            Instances(
                np.array([images[entry["image_id"]] for entry in entries], int),
                np.array([classes[entry["category_id"]] for entry in entries], int),
                xywh,
                areas,
                iscrowd=np.array([entry.get("iscrowd", 0) for entry in entries], bool),
                ignore=np.array([entry.get("difficult", 0) for entry in entries], bool),
                **options,
            )
        )
    return *sides, len(classes), len(images)


def accumulate(truth, predictions, class_count, image_count, settings, engine=Matching):
    """Our curves of a data set that is matched in one go."""
    matching = engine(class_count, settings)
    matching.add(truth, predictions, np.arange(image_count))
    return engine.curves([matching])


def accumulate_pycocotools(*case):
    """The same by the reference engine."""
    return accumulate(*case, engine=ReferenceMatching)
