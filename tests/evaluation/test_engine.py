"""Both engines against pycocotools' COCOeval, which is fed through COCO's own files and functions."""

from __future__ import annotations

import json
import os
import pickle
import sys

import numpy as np
import pytest
from generator import KINDS, random_data_set
from hypothesis import HealthCheck, given, settings
from lakes import evaluate, make_view, samples_of_results
from odd_data import odd_data_sets
from references import IgnoringEval, accumulate, accumulate_pycocotools, as_instances, coco_eval

from deeplake_mmdet.errors import ConfigError, InstallError, ProcessError
from deeplake_mmdet.evaluation import CocoMetric, engine
from deeplake_mmdet.evaluation.coco_scores import statistics
from deeplake_mmdet.evaluation.engine import Matching, Settings

LIMITS = ((100, 300, 1000), (1, 10, 100), (100, 1, 10))


def scores(case, limits, count=accumulate, **options):
    chosen = Settings(limits=tuple(sorted(limits)), **options)
    return np.array(list(statistics(count(*case, chosen), chosen).values()))


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def equal(found, evaluation, truth):
    """To the last bit, classes in COCOeval's order; of proposals there is one."""
    order = np.argsort([category["id"] for category in truth["categories"]])
    order = order if evaluation.eval["counts"][2] > 1 else [0]
    for name, values in found.items():
        values = values[:, order] if name == "recall" else values[:, :, order]
        np.testing.assert_array_equal(values, evaluation.eval[name], name)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(odd_data_sets(masks=False))
def test_boxes_are_equal_to_the_last_bit(case):
    check_bits(*case, by_mask=False)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(odd_data_sets(masks=True))
def test_masks_are_equal_to_the_last_bit(case):
    check_bits(*case, by_mask=True)


def check_bits(truth, results, limits, thresholds, by_class, by_mask):
    kind = "segm" if by_mask else "bbox"
    expected = coco_eval(truth, results, kind, limits, by_class, thresholds, evaluator=IgnoringEval)
    chosen = Settings(
        limits=tuple(sorted(limits)), by_mask=by_mask, by_class=by_class,
        **({} if thresholds is None else {"iou_thresholds": np.array(thresholds)}),
    )  # fmt: skip
    case = as_instances(truth, results, masks=by_mask)
    equal(vars(accumulate(*case, chosen)), expected, truth)
    at_once = engine.evaluator(*case, chosen)
    at_once.accumulate()
    equal({name: at_once.eval[name] for name in ("precision", "recall", "scores")}, expected, truth)
    # The same images in several processes, one image in two of them, in another order.
    parts = []
    for first in (1, 0):
        matching = Matching(case[2], chosen)
        for image in range(first, case[3], 2):
            matching.add(*(one_image(side, image) for side in case[:2]), np.array([image]))
        parts.append(matching)
    parts[1].add(*(one_image(side, case[3] - 1) for side in case[:2]), np.array([case[3] - 1]))
    equal(vars(Matching.curves([parts[0], pickle.loads(pickle.dumps(parts[1]))])), expected, truth)


def one_image(side, image):
    own = side.of_images(image, image + 1)
    return type(own)(**{**vars(own), "images": own.images - image})


@pytest.mark.parametrize("seed", range(210))
def test_boxes_and_proposals(seed):
    truth, results = random_data_set(seed)
    case = as_instances(truth, results)
    for limits, by_class in ((LIMITS[0], True), (LIMITS[1 + seed % 2], True), (LIMITS[seed % 3], False)):
        expected = coco_eval(truth, results, limits=limits, by_class=by_class).stats
        agree(scores(case, limits, by_class=by_class), expected)
        if seed < 2 * len(KINDS):
            agree(scores(case, limits, accumulate_pycocotools, by_class=by_class), expected)


@pytest.mark.parametrize("seed", range(45))
def test_masks(seed):
    truth, results = random_data_set(seed, masks=True)
    case = as_instances(truth, results, masks=True)
    limits = LIMITS[seed % 3]
    expected = coco_eval(truth, results, "segm", limits).stats
    agree(scores(case, limits, by_mask=True), expected)
    if seed < len(KINDS):
        agree(scores(case, limits, accumulate_pycocotools, by_mask=True), expected)


@pytest.mark.parametrize("seed", range(18))
def test_ignored_objects_are_no_crowds(seed):
    truth, results = random_data_set(seed)
    rng = np.random.default_rng(seed)
    for annotation in truth["annotations"]:
        annotation["difficult"] = int(rng.random() < 0.3)
    case = as_instances(truth, results)
    expected = coco_eval(truth, results, evaluator=IgnoringEval).stats
    for count in (accumulate, accumulate_pycocotools):
        agree(scores(case, LIMITS[0], count), expected)


@pytest.mark.parametrize("thresholds", [[0.5], [0.3, 0.75], [0.5, 0.55, 0.9]])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_other_thresholds(seed, thresholds):
    truth, results = random_data_set(seed)
    expected = coco_eval(truth, results, thresholds=thresholds).stats
    agree(scores(as_instances(truth, results), LIMITS[0], iou_thresholds=np.array(thresholds)), expected)


def test_images_in_several_blocks_give_the_same():
    truth, results = random_data_set(9)
    case = as_instances(truth, results)
    many = 700  # more than are matched at a time; the others are empty
    whole = scores((*case[:3], case[3]), LIMITS[0])
    spread = [type(side)(**{**vars(side), "images": side.images * (many // case[3])}) for side in case[:2]]
    assert scores((*spread, case[2], many), LIMITS[0]).tolist() == whole.tolist()


def test_the_generator_covers_what_it_promises():
    sets = [random_data_set(seed) for seed in range(len(KINDS) * 3)]
    truths = [truth for truth, _ in sets]
    annotations = [a for truth in truths for a in truth["annotations"]]
    assert {a["iscrowd"] for a in annotations} == {0, 1}
    assert any(a.get("ignore") for a in annotations)
    assert any(len(truth["categories"]) == 1 for truth in truths)
    assert any(
        {c["id"] for c in t["categories"]} - {a["category_id"] for a in t["annotations"]} for t in truths
    )
    assert any({i["id"] for i in t["images"]} - {a["image_id"] for a in t["annotations"]} for t in truths)
    assert any(not results for _, results in sets)
    assert max(len(results) for _, results in sets) >= 1000  # on one image
    areas = [a["bbox"][2] * a["bbox"][3] for a in annotations]
    assert min(areas) < 0.01
    assert max(areas) > 1e6
    masks = [
        a["segmentation"] for seed in range(30) for a in random_data_set(seed, masks=True)[0]["annotations"]
    ]
    assert {len(mask) for mask in masks if isinstance(mask, list)} == {1, 2}
    assert {type(mask["counts"]) for mask in masks if isinstance(mask, dict)} == {str, list}


def test_the_scores_are_no_trivial_ones():
    truth, results = random_data_set(0)
    assert all(0.02 < value < 0.98 for value in coco_eval(truth, results).stats[[0, 1, 2, 6, 7, 8]])


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match=r"nonsense[\s\S]*hotcoco, pycocotools"):
        CocoMetric(backend="nonsense")


def test_the_former_engine_means_the_new_one():
    assert CocoMetric(backend="faster").backend == CocoMetric().backend == "hotcoco"


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(InstallError, match="pip install hotcoco"):
        accumulate(*as_instances(*random_data_set(0)), Settings())


def test_a_fork_of_a_process_that_has_scored_does_not_wait_for_ever(tmp_path):
    """hotcoco's threads are not in it: pycocotools scores there, and what needs hotcoco is refused."""
    truth, results = random_data_set(0)
    samples = samples_of_results(make_view(tmp_path / "lake", truth), results)
    expected = evaluate(CocoMetric(), samples)
    case = as_instances(truth, results)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        told = []
        try:
            told.append(evaluate(CocoMetric(), samples))
            accumulate(*case, Settings())
        except ProcessError as error:
            told.append(str(error))
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        found, error = json.load(pipe)
    assert found == expected
    assert "spawn" in error
