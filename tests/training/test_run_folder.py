"""A run's folder shows the run: pictures, a table and predictions, whatever becomes of the run."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from counting import Diary, recording_config

import deeplake_mmdet
from deeplake_mmdet import train
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.evaluation import open_recorded, read_run_predictions
from deeplake_mmdet.report import read_results

EVALUATION = {"predictions.png", "confusion.png", "precision_recall.png"}
PICTURES = EVALUATION | {"training_curve.png", "train_batch.png", "labels.png"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("lakes") / "ten"
    write_demo_lake(path, count=10, seed=0)
    return str(path)


def config(lake, folder, epochs=2, **more):
    cfg = demo_config(lake, lake, CLASS_NAMES, str(folder), epochs=epochs, scale=(96, 64), num_workers=0)
    cfg.train_cfg.val_interval = 1
    cfg.pictures = True
    cfg.model.test_cfg.score_thr = 1e-5
    cfg.merge_from_dict(more)
    return cfg


@pytest.fixture(scope="module")
def ready(lake, tmp_path_factory):
    """A run of two epochs, and its test."""
    folder = tmp_path_factory.mktemp("run")
    cfg = config(lake, folder)
    run = train(cfg)
    tested = deeplake_mmdet.test(cfg, run.last_checkpoint)
    return cfg, folder, run, tested


def pictures(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.png")}


def test_after_training_and_test_all_pictures_are_there(ready):
    _, folder, _, _ = ready
    assert pictures(folder) == PICTURES
    assert pictures(folder / "test") == EVALUATION | {"labels.png"}
    for path in folder.rglob("*.png"):
        assert min(cv2.imread(str(path)).shape[:2]) > 150


def test_there_is_a_row_for_each_epoch_and_one_of_the_test(ready):
    _, folder, run, tested = ready
    rows = read_results(folder / "results.csv")
    assert [(row["epoch"], row["iteration"]) for row in rows] == [(1, 3), (2, 6)]
    for row in rows:
        assert row["loss"] == pytest.approx(row["loss_cls"] + row["loss_bbox"] + row["loss_obj"], rel=1e-4)
        assert row["lr"] > 0
        assert row["time"] > 0
        assert "coco/bbox_mAP" in row
    assert rows[-1]["elapsed"] > rows[0]["elapsed"] > 0
    assert rows[-1]["coco/bbox_mAP_50"] == pytest.approx(run.metrics["coco/bbox_mAP_50"], abs=1e-6)
    [row] = read_results(folder / "test" / "results.csv")
    assert (row["epoch"], row["iteration"]) == (2, 6)
    assert row["coco/bbox_mAP_50"] == pytest.approx(tested.metrics["coco/bbox_mAP_50"], abs=1e-6)


def test_predictions_of_the_best_validation_and_of_the_test_are_kept(ready, lake):
    _, folder, _, tested = ready
    best = read_run_predictions(folder / "evaluation" / "val.npz")
    rows = read_results(folder / "results.csv")
    scores = [row["coco/bbox_mAP"] for row in rows]
    assert best.iteration == rows[int(np.argmax(scores))]["iteration"]
    found = read_run_predictions(folder / "evaluation" / "test.npz")
    assert (found.split, found.epoch, found.iteration) == ("test", 2, 6)
    assert found.scores == pytest.approx(
        {name: value for name, value in tested.metrics.items() if name in found.scores}, nan_ok=True
    )
    assert found.class_names == tuple(CLASS_NAMES)
    assert found.rows.tolist() == list(range(10))
    assert len(found.labels) > 10
    assert open_recorded(found.lakes[0]).source.url == lake


def test_a_resumed_run_goes_on_in_the_table(ready, lake, tmp_path):
    whole = read_results(ready[1] / "results.csv")
    all_kept = {"default_hooks.checkpoint.interval": 1, "default_hooks.checkpoint.max_keep_ckpts": -1}
    train(config(lake, tmp_path, epochs=2, **all_kept))
    before = read_results(tmp_path / "results.csv")
    train(config(lake, tmp_path, epochs=2), resume=tmp_path / "epoch_1.pth")
    rows = read_results(tmp_path / "results.csv")
    assert [(row["epoch"], row["iteration"]) for row in rows] == [(1, 3), (2, 6)]
    assert rows[0] == before[0]
    for again, first in zip(rows, whole, strict=True):
        assert again["loss"] == pytest.approx(first["loss"], rel=1e-4)
    assert rows[1]["elapsed"] > rows[0]["elapsed"]


def test_pictures_can_be_switched_off(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_PICTURES", "1")
    train(config(lake, tmp_path, epochs=1, pictures=False))
    assert list(tmp_path.rglob("*.png")) == []
    assert len(read_results(tmp_path / "results.csv")) == 1
    assert (tmp_path / "evaluation" / "val.npz").is_file()


def test_without_a_validation_of_ours_the_rest_is_drawn_and_the_missing_named(
    lake, tmp_path, monkeypatch, caplog
):
    """The losses, which hang on all generators, are the same: drawing draws no random number."""
    monkeypatch.setenv("DEEPLAKE_MMDET_PICTURES", "0")
    plain = tmp_path / "plain"
    train(recording_config(lake, plain))
    monkeypatch.setenv("DEEPLAKE_MMDET_PICTURES", "1")
    shown = tmp_path / "shown"
    with caplog.at_level(logging.INFO, logger="deeplake_mmdet"):
        train(recording_config(lake, shown))
    assert Diary.events.pop(str(plain)) == Diary.events.pop(str(shown))
    assert pictures(shown) == PICTURES - EVALUATION
    [told] = [record.getMessage() for record in caplog.records if "Not drawn" in record.getMessage()]
    assert all(name in told for name in EVALUATION)
    assert "nothing was validated by a metric of this package" in told
    assert [row["images"] for row in read_results(shown / "results.csv")] == [10, 10, 10]


def test_a_run_by_iterations_has_a_row_for_each_validation(lake, tmp_path):
    train(recording_config(lake, tmp_path, iterations=True))
    rows = read_results(tmp_path / "results.csv")
    assert [row["iteration"] for row in rows] == [4, 8, 9]
    assert [row.get("images") for row in rows] == [10, 10, 10]


def test_a_picture_that_fails_ends_nothing_and_is_told_once(lake, tmp_path, caplog):
    for name in ("labels.png", "train_batch.png", "confusion.png"):
        (tmp_path / name).mkdir()
    with caplog.at_level(logging.INFO, logger="deeplake_mmdet"):
        run = train(config(lake, tmp_path, epochs=2))
    assert run.last_checkpoint is not None
    told = [record.getMessage() for record in caplog.records if "Not drawn" in record.getMessage()]
    assert sum("labels.png" in line for line in told) == 1
    assert sum("confusion.png" in line for line in told) == 1
    assert (tmp_path / "predictions.png").is_file()


@pytest.mark.slow
def test_several_processes_keep_the_same_predictions(ready, lake, tmp_path):
    cfg, folder, run, _ = ready
    deeplake_mmdet.test(cfg, run.last_checkpoint, work_dir=tmp_path, processes=2)
    one = read_run_predictions(folder / "evaluation" / "test.npz")
    two = read_run_predictions(tmp_path / "evaluation" / "test.npz")
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.starts, two.starts)
    np.testing.assert_allclose(one.scores_of_boxes, two.scores_of_boxes, atol=1e-6)
    assert np.isclose(one.boxes, two.boxes, atol=1e-2).mean() > 0.99  # equal scores may change places
    assert pictures(tmp_path / "test") == EVALUATION | {"labels.png"}
    assert len(read_results(tmp_path / "test" / "results.csv")) == 1


def test_the_switch_of_a_2x_config_stays():
    from mmengine.config import Config

    data = {"train": {"type": "CocoDataset", "ann_file": "a.json", "pipeline": []}}
    model = {"type": "YOLOV3", "backbone": {"type": "Darknet", "depth": 53}}
    old = {"model": model, "data": data, "optimizer": {"type": "SGD", "lr": 0.1}, "total_epochs": 1}
    converted, _ = deeplake_mmdet.convert_config(Config({**old, "pictures": False}))
    assert converted.pictures is False
