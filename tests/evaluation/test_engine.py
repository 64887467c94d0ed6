"""Both engines against pycocotools' COCOeval, which is fed through COCO's own files and functions."""

from __future__ import annotations

import numpy as np
import pytest
from generator import KINDS, random_data_set
from references import IgnoringEval, as_instances, coco_eval

from deeplake_mmdet.errors import ConfigError, InstallError
from deeplake_mmdet.evaluation import engine_faster
from deeplake_mmdet.evaluation.coco_scores import statistics
from deeplake_mmdet.evaluation.curves import Settings
from deeplake_mmdet.evaluation.engine import accumulate

LIMITS = ((100, 300, 1000), (1, 10, 100), (100, 1, 10))


def scores(case, limits, backend="faster", **options):
    settings = Settings(limits=tuple(sorted(limits)), backend=backend, **options)
    return statistics(accumulate(*case, settings), settings)


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(210))
def test_boxes_and_proposals(seed):
    truth, results = random_data_set(seed)
    case = as_instances(truth, results)
    for limits, by_class in ((LIMITS[0], True), (LIMITS[1 + seed % 2], True), (LIMITS[seed % 3], False)):
        expected = coco_eval(truth, results, limits=limits, by_class=by_class).stats
        agree(scores(case, limits, by_class=by_class), expected)
        if seed < 2 * len(KINDS):
            agree(scores(case, limits, "pycocotools", by_class=by_class), expected)


@pytest.mark.parametrize("seed", range(45))
def test_masks(seed):
    truth, results = random_data_set(seed, masks=True)
    case = as_instances(truth, results, masks=True)
    limits = LIMITS[seed % 3]
    expected = coco_eval(truth, results, "segm", limits).stats
    agree(scores(case, limits, by_mask=True), expected)
    if seed < len(KINDS):
        agree(scores(case, limits, "pycocotools", by_mask=True), expected)


@pytest.mark.parametrize("seed", range(18))
def test_ignored_objects_are_no_crowds(seed):
    truth, results = random_data_set(seed)
    rng = np.random.default_rng(seed)
    for annotation in truth["annotations"]:
        annotation["difficult"] = int(rng.random() < 0.3)
    case = as_instances(truth, results)
    expected = coco_eval(truth, results, evaluator=IgnoringEval).stats
    for backend in ("faster", "pycocotools"):
        agree(scores(case, LIMITS[0], backend), expected)


@pytest.mark.parametrize("thresholds", [[0.5], [0.3, 0.75], [0.5, 0.55, 0.9]])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_other_thresholds(seed, thresholds):
    truth, results = random_data_set(seed)
    expected = coco_eval(truth, results, thresholds=thresholds).stats
    agree(scores(as_instances(truth, results), LIMITS[0], iou_thresholds=np.array(thresholds)), expected)


def test_precision_and_recall_arrays_are_the_references():
    truth, results = random_data_set(2)
    expected = coco_eval(truth, results, limits=(1, 10, 100))
    found = accumulate(*as_instances(truth, results), Settings(limits=(1, 10, 100)))
    order = np.argsort([category["id"] for category in truth["categories"]])  # COCOeval's
    agree(found.precision[:, :, order], expected.eval["precision"])
    agree(found.recall[:, order], expected.eval["recall"])


@pytest.mark.parametrize("by_mask", [False, True])
def test_overlaps_in_several_blocks_give_the_same(monkeypatch, by_mask):
    truth, results = random_data_set(9, masks=by_mask)
    case = as_instances(truth, results, masks=by_mask)
    whole = scores(case, LIMITS[0], by_mask=by_mask)
    monkeypatch.setattr(engine_faster, "_BLOCK", 3)
    monkeypatch.setattr(engine_faster, "_TOGETHER", 2)
    assert scores(case, LIMITS[0], by_mask=by_mask).tolist() == whole.tolist()


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
    with pytest.raises(ConfigError, match=r"nonsense.*faster, pycocotools"):
        accumulate(*as_instances(*random_data_set(0)), Settings(backend="nonsense"))


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faster_coco_eval.faster_eval_api_cpp", None)
    with pytest.raises(InstallError, match="pip install faster-coco-eval"):
        accumulate(*as_instances(*random_data_set(0)), Settings())
