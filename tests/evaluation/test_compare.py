"""Two files of predictions compared by drawing images anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from generator import random_data_set
from lakes import make_lake
from references import as_instances, coco_eval

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation import compare_predictions
from deeplake_mmdet.evaluation.bootstrap import Matched, draws

LIMITS = (1, 10, 100)


def class_precisions(truth, results, kind="bbox"):
    """By COCOeval, in the file's order; NaN where there is nothing to be found."""
    evaluation = coco_eval(truth, results, kind, LIMITS)
    order = sorted(category["id"] for category in truth["categories"])
    found = {}
    for place, number in enumerate(order):
        values = evaluation.eval["precision"][:, :, place, 0, -1]
        found[number] = values[values > -1].mean() if (values > -1).any() else np.nan
    return [found[category["id"]] for category in truth["categories"]]


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("seed", range(18))
def test_images_that_are_left_out_are_as_if_there_were_none(seed, masks):
    truth, results = random_data_set(seed, masks=masks)
    case = as_instances(truth, results, masks=masks)
    kind = "segm" if masks else "bbox"
    matched = Matched(*case, by_mask=masks)
    whole = matched.precisions(np.ones(case[3]))
    np.testing.assert_allclose(whole, class_precisions(truth, results, kind), rtol=0, atol=1e-12)
    kept = np.random.default_rng(seed).random(case[3]) < 0.6
    ids = {
        number for number, keep in zip(sorted(i["id"] for i in truth["images"]), kept, strict=True) if keep
    }
    part = truth | {
        "images": [image for image in truth["images"] if image["id"] in ids],
        "annotations": [one for one in truth["annotations"] if one["image_id"] in ids],
    }
    if ids and part["annotations"]:
        expected = class_precisions(part, [one for one in results if one["image_id"] in ids], kind)
        np.testing.assert_allclose(matched.precisions(kept.astype(float)), expected, rtol=0, atol=1e-12)


def test_all_images_twice_are_the_same_and_weights_count():
    case = as_instances(*random_data_set(3))
    matched = Matched(*case, by_mask=False)
    once, twice = (matched.precisions(np.full(case[3], weight)) for weight in (1.0, 2.0))
    np.testing.assert_allclose(once, twice, rtol=0, atol=1e-12)
    assert all(weights.sum() == case[3] for weights in draws(case[3], 5, 0))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A lake of 60 images, good predictions of two classes, and the same with one class spoilt."""
    folder = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 120, "height": 120} for i in range(60)],
        "categories": [
            {"id": number, "name": name} for number, name in ((1, "cat"), (2, "dog"), (3, "none"))
        ],
        "annotations": [],
    }
    good = []
    for image in range(60):
        for category in (1, 2):
            box = [float(v) for v in (*rng.integers(0, 60, 2), *rng.integers(20, 50, 2))]
            annotation = {"image_id": image, "category_id": category, "bbox": box}
            more = {"id": len(good) + 1, "area": box[2] * box[3], "iscrowd": 0}
            truth["annotations"].append(annotation | more)
            moved = (np.array(box) * rng.normal(1, 0.06, 4)).tolist()
            good.append(annotation | {"bbox": moved, "score": float(rng.random())})
    spoilt = [
        one | {"score": float(rng.random())} if one["category_id"] == 1 or rng.random() < 0.5 else None
        for one in good
    ]
    files = folder / "good.json", folder / "spoilt.json"
    for file, found in zip(files, (good, [one for one in spoilt if one is not None]), strict=True):
        file.write_text(json.dumps(found))
    return truth, files, make_lake(folder / "lake", truth)


def test_the_class_that_differs_is_named(case):
    truth, (good, spoilt), lake = case
    found = compare_predictions(good, spoilt, lake, resamples=200)
    cat, dog, none = found.classes
    assert (cat.beyond_chance, dog.beyond_chance, none.beyond_chance) == (False, True, False)
    assert dog.low < dog.difference < dog.high < 0 < cat.p
    assert np.isnan([none.first, none.difference, none.p]).all()
    expected = [class_precisions(truth, json.loads(file.read_text())) for file in (good, spoilt)]
    np.testing.assert_allclose([(one.first, one.second) for one in found.classes], np.transpose(expected))
    assert found.overall.difference == pytest.approx(np.nanmean(expected[1]) - np.nanmean(expected[0]))


def test_a_seed_settles_everything(case):
    _, (good, spoilt), lake = case
    first, again, other = (compare_predictions(good, spoilt, lake, resamples=20, seed=s) for s in (1, 1, 2))
    assert first.overall == again.overall != other.overall


def test_a_file_does_not_differ_from_itself(case):
    _, (good, _), lake = case
    found = compare_predictions(good, good, lake, resamples=20)
    assert (found.overall.difference, found.overall.p) == (0, 1)
    assert not any(one.beyond_chance for one in found.classes)


def test_the_command(case, capsys):
    _, (good, spoilt), lake = case
    arguments = ["eval", str(good), str(spoilt), lake, "--resamples", "50"]
    main(arguments)
    shown = capsys.readouterr().out
    assert "1 of 3 classes differ beyond chance" in " ".join(shown.split())
    main([*arguments, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [one["beyond_chance"] for one in found["classes"]] == [False, True, False]
    assert found["classes"][2]["p"] is None
    main(["eval", str(good), lake, "--json", "--intervals", "--resamples", "50"])
    alone = json.loads(capsys.readouterr().out)
    *classes, whole = alone["intervals"]
    assert [one["ap"] for one in classes] == pytest.approx([one["first"] for one in found["classes"]])
    assert whole["ap"] == pytest.approx(found["overall"]["first"])
    assert whole["low"] < whole["ap"] < whole["high"]
    main(["eval", str(good), lake, "--intervals", "--resamples", "50"])
    assert "95 % interval" in capsys.readouterr().out
    assert alone["metrics"]["coco/bbox_mAP"] == pytest.approx(found["overall"]["first"])


@pytest.mark.parametrize("more", [["--metric", "proposal"], ["--analysis", "folder"], ["--resamples", "1"]])
def test_what_cannot_be_compared_is_refused(case, more):
    _, (good, spoilt), lake = case
    with pytest.raises((ConfigError, SystemExit)):
        compare_predictions(good, spoilt, lake, metric="proposal")
    assert main(["eval", str(good), str(spoilt), lake, *more]) not in (0, None)
