"""The numbers of a row against COCO's own matching and against loops."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from deeplake_mmdet.evaluation.instances import Instances
from deeplake_mmdet.evaluation.runs.suspects import suspects_of
from deeplake_mmdet.loop.diagnostics import diagnose

CLASSES = 3


def instances(draw, images, *, scored):
    counts = draw.integers(0, 6, images)
    total = int(counts.sum())
    xywh = np.concatenate([draw.integers(0, 30, (total, 2)), draw.integers(4, 24, (total, 2))], 1).astype(
        float
    )
    more = {"scores": draw.permutation(total) / max(total, 1)} if scored else {
        "iscrowd": draw.random(total) < 0.1,
        "ignore": draw.random(total) < 0.1,
    }  # fmt: skip
    return Instances(
        np.repeat(np.arange(images), counts),
        draw.integers(0, CLASSES, total),
        xywh,
        xywh[:, 2:].prod(1),
        **more,
    )


def by_pycocotools(truth, found, images, threshold):
    """Found, wrong and missed at IoU 0.5 for each image, by COCO's reference."""
    annotations = [
        {
            "id": place + 1, "image_id": int(image) + 1, "category_id": int(label) + 1, "bbox": box.tolist(),
            "area": float(box[2] * box[3]), "iscrowd": int(crowd), "ignore": int(crowd or ignored),
        }
        for place, (image, label, box, crowd, ignored) in enumerate(
            zip(truth.images, truth.labels, truth.xywh, truth.iscrowd, truth.ignore, strict=True)
        )
    ]  # fmt: skip
    kept = [place for place in range(len(found)) if found.scores[place] >= threshold]
    results = [
        {
            "image_id": int(found.images[p]) + 1, "category_id": int(found.labels[p]) + 1,
            "bbox": found.xywh[p].tolist(), "score": float(found.scores[p]),
        }
        for p in kept
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n + 1} for n in range(images)],
            "categories": [{"id": n + 1} for n in range(CLASSES)],
            "annotations": annotations,
        }
        coco.createIndex()
        loaded = coco.loadRes(results) if results else COCO()
        if not results:
            loaded.dataset = {**coco.dataset, "annotations": []}
            loaded.createIndex()
        evaluation = COCOeval(coco, loaded, "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [1000]
        for annotation in annotations:  # pycocotools knows crowds alone
            annotation["iscrowd"] = annotation["iscrowd"]
        prepare = evaluation._prepare

        def prepared():
            prepare()
            for group in evaluation._gts.values():
                for one in group:
                    one["ignore"] = int(bool(truth.iscrowd[one["id"] - 1] or truth.ignore[one["id"] - 1]))

        evaluation._prepare = prepared
        evaluation.evaluate()
    counts = np.zeros((3, images), int)
    for each in evaluation.evalImgs:
        if each is None:
            continue
        image = each["image_id"] - 1
        matched, ignored = each["dtMatches"][0] > 0, each["dtIgnore"][0].astype(bool)
        counts[0, image] += int((matched & ~ignored).sum())
        counts[1, image] += int((~matched & ~ignored).sum())
        counts[2, image] += int(((each["gtMatches"][0] == 0) & (np.asarray(each["gtIgnore"]) == 0)).sum())
    return counts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.9]))
def test_counts_are_cocos(seed, threshold):
    draw = np.random.default_rng(seed)
    truth, found = instances(draw, 4, scored=False), instances(draw, 4, scored=True)
    numbers = diagnose(truth, found, CLASSES, 4, threshold)
    expected = by_pycocotools(truth, found, 4, threshold)
    np.testing.assert_array_equal([numbers["tp"], numbers["fp"], numbers["missed"]], expected)
    # One may be both: of another object's class where it lies, and near one of its own.
    assert (np.maximum(numbers["confused"], numbers["localisation"]) <= numbers["fp"]).all()
    assert ((numbers["disagreement"] >= 0) & (numbers["disagreement"] <= 1)).all()


def one_image(truth, found):
    """Of (label, box) and (label, box, score); boxes are left, top, width, height."""
    return (
        Instances(
            np.zeros(len(truth), int), np.array([each[0] for each in truth], int),
            np.array([each[1] for each in truth], float).reshape(-1, 4), np.ones(len(truth)),
        ),
        Instances(
            np.zeros(len(found), int), np.array([each[0] for each in found], int),
            np.array([each[1] for each in found], float).reshape(-1, 4), np.ones(len(found)),
            np.array([each[2] for each in found], float),
        ),
    )  # fmt: skip


A, B, FAR = [0, 0, 10, 10], [5, 0, 10, 10], [50, 50, 10, 10]


def test_numbers_of_a_perfect_image_and_an_empty_one():
    truth, found = one_image([(0, A), (1, FAR)], [(0, A, 0.9), (1, FAR, 0.8)])
    numbers = diagnose(truth, found, CLASSES, 2, 0.3)
    assert numbers["tp"].tolist() == [2, 0]
    assert numbers["missed"].tolist() == numbers["fp"].tolist() == [0, 0]
    assert numbers["ap50"].tolist() == [pytest.approx(1), -1]
    assert numbers["lowest_score"].tolist() == [pytest.approx(0.8), 1]
    assert numbers["disagreement"].tolist() == [pytest.approx(1 - 2 * 1.7 / 3.7), 0]
    assert numbers["label_error"].tolist() == [0, 0]


def test_kinds_of_errors_are_told_apart():
    truth, found = one_image(
        [(0, A), (1, FAR)], [(1, A, 0.9), (1, [55, 50, 10, 10], 0.8), (2, [90, 0, 9, 9], 0.7)]
    )
    numbers = diagnose(truth, found, CLASSES, 1, 0.3)
    assert {name: numbers[name].tolist() for name in ("tp", "fp", "missed", "confused", "localisation")} == {
        "tp": [0], "fp": [3], "missed": [2], "confused": [1], "localisation": [1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([(0, A)], [(0, A, 0.9)], []),
        ([(0, A)], [(1, A, 0.9)], [("class", 0.9 / 0.92, 0, 0)]),
        ([(0, A)], [(1, A, 0.4), (0, A, 0.6)], []),
        ([(0, A)], [(1, A, 0.6), (0, A, 0.4)], [("class", 0.6 / 1.02, 0, 0)]),
        ([(0, A)], [(0, A, 0.9), (1, FAR, 0.7)], [("missing", 0.7 / 1.6, -1, 1)]),
        ([(0, A)], [(0, B, 0.9)], [("place", 0.9, 0, 0)]),
        ([(0, A)], [(0, A, 0.9), (0, B, 0.8)], [("missing", 0.8 / 1.7, -1, 1)]),
        ([], [(1, FAR, 0.7), (1, [52, 50, 10, 10], 0.6)], [("missing", 0.7 / 1.7, -1, 0)]),
        ([], [(1, FAR, 0.2)], []),
        (
            [(0, A), (0, [20, 0, 10, 10]), (1, [40, 0, 10, 10])],
            [(0, A, 0.4), (0, [20, 0, 10, 10], 0.8), (1, [40, 0, 10, 10], 0.1), (1, FAR, 0.6)],
            [("missing", 0.6 / 1.2, -1, 3)],
        ),
    ],
)
def test_suspects(truth, found, expected):
    suspects = suspects_of(*one_image(truth, found), 0.3)
    told = [suspects.at(place) for place in range(len(suspects))]
    assert [(one.kind, one.truth, one.prediction) for one in told] == [(k, t, p) for k, _, t, p in expected]
    assert [one.suspicion for one in told] == [pytest.approx(s) for _, s, _, _ in expected]
