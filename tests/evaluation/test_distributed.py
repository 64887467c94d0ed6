"""Several processes, uneven tails, padding, sub-selections and lakes whose ids collide."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from generator import SIDE, random_boxes, random_data_set
from lakes import evaluate, make_lake, make_view, sample, samples_of_results

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.evaluation import CocoMetric, VOCMetric, gather

IMAGES = 97  # a prime


def truth_of(seed):
    rng = np.random.default_rng(seed)
    images = [
        {
            "id": i, "file_name": f"{i}.jpg", "width": SIDE, "height": SIDE,
            "neg_category_ids": [i % 3 + 1], "not_exhaustive_category_ids": [(i + seed) % 3 + 1],
        }
        for i in range(IMAGES)
    ]  # fmt: skip
    annotations = [
        {
            "id": 0, "image_id": image, "category_id": int(rng.integers(3)) + 1, "bbox": box, "iscrowd": 0,
            "area": box[2] * box[3],
        }
        for image in range(IMAGES)
        for box in np.abs(random_boxes(rng, int(rng.integers(4)))).tolist()
    ]  # fmt: skip
    categories = [{"id": number + 1, "name": f"class {number}"} for number in range(3)]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    lakes = [make_lake(folder / name, truth_of(seed)) for seed, name in enumerate("ab")]
    script, target = Path(__file__).with_name("distributed_run.py"), folder / "scores.json"
    done = subprocess.run(
        [sys.executable, str(script), *lakes, str(target)],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(target.read_text())


@pytest.mark.parametrize("name", ["whole", "indices", "subset", "both"])
def test_scores_depend_neither_on_processes_nor_on_batch_size(scores, name):
    first = scores["1"][name]["1"]
    assert 0.1 < first["coco/bbox_mAP"] < 1
    for world in scores.values():
        for batch in world[name].values():
            assert batch == first
    assert 0.1 < first["lvis/bbox_AP"] < 1
    assert first["lvis/bbox_AP"] != first["coco/bbox_mAP"]


@pytest.mark.parametrize("kind", ["ours", "mmdet's"])
def test_so_do_those_of_data_sets_that_are_scored_apart(scores, kind):
    first = scores["1"]["ours"]["1"]
    whole = scores["1"]["whole"]["1"]
    assert first["a/coco/bbox_mAP"] == whole["coco/bbox_mAP"]
    assert first["a/pascal_voc/mAP"] == whole["pascal_voc/mAP"]
    assert len({first[f"{name}/coco/bbox_mAP"] for name in ("a", "b", "third of a")}) == 3
    for world in scores.values():
        for batch in world[kind].values():
            assert batch == first


def test_the_data_sets_differ(scores):
    found = [scores["1"][name]["1"]["coco/bbox_mAP"] for name in ("whole", "indices", "subset", "both")]
    assert len(set(found)) == 4


def test_a_class_subset_in_another_order_keeps_its_classes_scores(scores):
    whole, subset = (scores["1"][name]["1"] for name in ("whole", "subset"))
    # Of the same predictions other scores come, but not of other truth: both are near one another.
    for name in ("class 2", "class 0"):
        assert subset[f"coco/{name}_precision"] == pytest.approx(whole[f"coco/{name}_precision"], abs=0.15)
    assert "coco/class 1_precision" not in subset


def test_results_of_all_processes_arrive_whatever_their_number(tmp_path, monkeypatch):
    """Three processes with 5, 1 and 2 results, two of them of one image: mmengine would cut off one."""
    view = make_view(tmp_path / "lake", truth_of(0))
    none = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    parts = []
    for rows in ((0, 1, 2, 3, 4), (5,), (6, 0)):
        metric = VOCMetric()
        metric.process(None, [sample(view, row, *none) for row in rows])
        parts.append(metric.results)
    seen = []
    metric = VOCMetric()
    metric.results = parts[0]
    monkeypatch.setattr(gather, "get_world_size", lambda: 3)
    monkeypatch.setattr(gather, "collect_results", lambda *_, **__: parts)
    monkeypatch.setattr(VOCMetric, "compute_metrics", lambda _, found: seen.extend(found) or {})
    metric.evaluate(7)
    assert sorted(found.row for found in seen) == [0, 0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("backend", ["hotcoco", "pycocotools"])
def test_processes_ship_what_came_of_matching_and_no_predictions(tmp_path, backend):
    truth, results = random_data_set(6, masks=True)
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=False)
    options = {"metric": ["bbox", "segm", "proposal"], "classwise": True, "backend": backend}
    shipped = []
    for part in (samples[1::2], samples[::2], []):
        metric = CocoMetric(**options)
        metric.process(None, part)
        shipped.append(pickle.dumps(metric.share(metric.results)))
    assert not any(b"Found" in one for one in shipped)
    joined = CocoMetric(**options)
    scores = joined.combine([pickle.loads(one) for one in shipped])
    whole = CocoMetric(**options)
    expected = evaluate(whole, samples)
    np.testing.assert_equal({f"coco/{name}": value for name, value in scores.items()}, expected)
    np.testing.assert_equal(joined.class_scores, whole.class_scores)


@pytest.mark.parametrize("failing", [0, 1])
def test_what_fails_in_one_process_is_raised_in_all(tmp_path, monkeypatch, failing):
    view = make_view(tmp_path / "lake", truth_of(0))
    metric = CocoMetric()
    metric.process(None, [sample(view, 0, np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))])
    told = []
    error = AnnotationError("a mask that cannot be scored")

    def collected(share, *_, **__):
        return [error, share[0]] if failing == 0 else [share[0], error]

    monkeypatch.setattr(gather, "get_world_size", lambda: 2)
    monkeypatch.setattr(gather, "collect_results", collected)
    monkeypatch.setattr(gather, "broadcast_object_list", told.extend)
    with pytest.raises(AnnotationError, match="cannot be scored"):
        metric.evaluate(1)
    assert told == [error]
