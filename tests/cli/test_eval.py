"""``deeplake-mmdet eval`` and its function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

from generator import random_data_set
from lakes import evaluate, make_lake, make_view, samples_of_results
from references import coco_eval

from deeplake_mmdet.cli import main
from deeplake_mmdet.errors import (
    AnnotationError,
    ConfigError,
    DeepLakeMMDetError,
    InstallError,
    SourceNotFoundError,
)
from deeplake_mmdet.evaluation import DumpPredictions, evaluate_predictions
from deeplake_mmdet.evaluation.coco_scores import STATISTICS


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval")
    truth, results = random_data_set(0, masks=True)
    (folder / "results.json").write_text(json.dumps(results))
    return truth, results, folder / "results.json", make_lake(folder / "lake", truth)


def test_scores_are_cocoevals_on_the_same_file(case):
    truth, results, file, lake = case
    found = evaluate_predictions(file, lake, metric=["bbox", "segm"], metric_items=list(STATISTICS))
    for kind in ("bbox", "segm"):
        values = [found.metrics[f"coco/{kind}_{name}"] for name in STATISTICS]
        np.testing.assert_allclose(values, coco_eval(truth, results, kind).stats, rtol=0, atol=1e-10)
    assert [score.name for score in found.class_scores] == [c["name"] for c in truth["categories"]]
    assert evaluate_predictions(results, lake).metrics["coco/bbox_mAP"] == found.metrics["coco/bbox_mAP"]


def test_masks_alone_will_do(case):
    truth, results, _, lake = case
    bare = [{key: value for key, value in entry.items() if key != "bbox"} for entry in results]
    found = evaluate_predictions(bare, lake, metric="segm").metrics["coco/segm_mAP"]
    assert found == pytest.approx(coco_eval(truth, results, "segm").stats[0], abs=1e-10)
    with pytest.raises(AnnotationError, match="entry 0"):
        evaluate_predictions(bare, lake)


def test_voc_and_class_subsets(case):
    truth, _, file, lake = case
    names = [c["name"] for c in truth["categories"]]
    whole = evaluate_predictions(file, lake, classwise=True).metrics
    part = evaluate_predictions(file, lake, classes=[names[1]], classwise=True).metrics
    assert part[f"coco/{names[1]}_precision"] == pytest.approx(
        whole[f"coco/{names[1]}_precision"], nan_ok=True
    )
    assert 0 < evaluate_predictions(file, lake, metric="mAP").metrics["pascal_voc/mAP"] < 1


def test_dumped_predictions_score_as_they_did(case, tmp_path):
    truth, results, _, _ = case
    view = make_view(tmp_path / "lake", truth)
    samples = samples_of_results(view, results, dense=True)
    evaluate(DumpPredictions(tmp_path / "found.json"), samples)
    from deeplake_mmdet.evaluation import CocoMetric

    expected = evaluate(CocoMetric(["bbox", "segm"]), samples)
    found = evaluate_predictions(tmp_path / "found.json", tmp_path / "lake", metric=["bbox", "segm"])
    assert found.metrics == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_no_predictions_score_zero(case):
    assert evaluate_predictions([], case[3]).metrics["coco/bbox_mAP"] == 0


GOOD = {"bbox": [1, 2, 3, 4], "score": 0.5}
BAD = {
    "image": ({"image_id": 10**9}, "no image with the id"),
    "no image": ({"image_id": None}, "image_id must be a whole number"),
    "category": ({"category_id": 10**9}, r"no category with the id.*it has"),
    "score": ({"score": 1.5}, "between 0 and 1"),
    "no score": ({"score": None}, "score must be a number"),
    "NaN": ({"bbox": [1, 2, float("nan"), 4]}, "not finite or of negative size"),
    "negative": ({"bbox": [1, 2, -3, 4]}, "not finite or of negative size"),
    "huge": ({"bbox": [1, 2, 3, 10**400]}, "left, top, width, height"),
    "huge score": ({"score": 10**400}, "score must be a number"),
    "three numbers": ({"bbox": [1, 2, 3]}, "left, top, width, height"),
    "mask": ({"segmentation": {"size": [1, 1], "counts": "0"}}, r"mask cannot be used.*size"),
}


@pytest.mark.parametrize("name", BAD)
def test_impossible_entries_are_named(case, name):
    truth, _, _, lake = case
    good = {**GOOD, "image_id": truth["images"][0]["id"], "category_id": truth["categories"][0]["id"]}
    wrong, text = BAD[name]
    metric = "segm" if name == "mask" else "bbox"
    with pytest.raises(AnnotationError, match=text) as caught:
        evaluate_predictions([*([] if metric == "segm" else [good]), {**good, **wrong}], lake, metric=metric)
    assert "entry" in str(caught.value) or "row" in str(caught.value)


@pytest.mark.parametrize("content", ["{", "{}", "[1]", "[" * 100_000])
def test_files_that_are_no_results_are_refused(case, tmp_path, content):
    (tmp_path / "found.json").write_text(content)
    with pytest.raises(AnnotationError, match=r"not JSON|no list"):
        evaluate_predictions(tmp_path / "found.json", case[3])


def test_missing_things_are_told(case, tmp_path):
    with pytest.raises(SourceNotFoundError, match="no such file"):
        evaluate_predictions(tmp_path / "none.json", case[3])
    with pytest.raises(DeepLakeMMDetError, match="nothing at this path"):
        evaluate_predictions(case[2], tmp_path / "none")
    with pytest.raises(ConfigError, match="Unknown metric"):
        evaluate_predictions(case[2], case[3], metric="iou")


def test_image_ids_that_stand_for_two_rows_are_refused(case, tmp_path):
    truth = {**case[0], "images": [*case[0]["images"], case[0]["images"][0]]}
    with pytest.raises(ConfigError, match="several rows"):
        evaluate_predictions(case[2], make_lake(tmp_path / "lake", truth))


def test_parquet_holds_the_same_or_says_what_is_missing(case, tmp_path):
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(InstallError, match=r"pyarrow.*deeplake-mmdet\[parquet\]"):
            DumpPredictions(tmp_path / "found.parquet")
        return
    truth, results, file, _ = case
    view = make_view(tmp_path / "lake", truth)
    evaluate(DumpPredictions(tmp_path / "found.parquet"), samples_of_results(view, results, dense=True))
    found = evaluate_predictions(
        tmp_path / "found.parquet", tmp_path / "lake", metric=["bbox", "segm"]
    ).metrics
    assert found == pytest.approx(
        evaluate_predictions(file, tmp_path / "lake", metric=["bbox", "segm"]).metrics, abs=1e-5
    )


def test_the_command_prints_scores_and_writes_the_analysis(case, tmp_path):
    truth, _, file, lake = case
    command = [sys.executable, "-m", "deeplake_mmdet.cli", "eval", str(file), lake]
    command += ["--metric", "bbox", "segm", "--analysis", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "coco/segm_mAP" in done.stdout
    assert truth["categories"][0]["name"] in done.stdout
    assert set(json.loads((tmp_path / "run" / "metrics.json").read_text())) == {"bbox", "segm"}


def test_an_analysis_is_replaced_only_when_asked_to(case, tmp_path):
    _, _, predictions, lake = case
    command = ["eval", str(predictions), lake, "--analysis", str(tmp_path / "run")]
    assert main(command) == 0
    file = tmp_path / "run" / "metrics.json"
    file.write_text(file.read_text().replace("0", "1", 1))
    before = file.read_text()
    assert main(command) == 1
    assert file.read_text() == before
    assert main([*command, "--metric", "segm"]) == 0  # another metric is added
    assert main([*command, "--overwrite"]) == 0
    assert file.read_text() != before
