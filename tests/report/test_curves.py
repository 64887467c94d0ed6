"""Training curves are read from MMEngine's logs, also those of resumed runs."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from deeplake_mmdet.errors import SourceNotFoundError
from deeplake_mmdet.report import training_curve
from deeplake_mmdet.report.curves import read_history


def write_log(folder, timestamp, first_epoch, last_epoch, *, loss=4.0, tail=""):
    """Ten steps an epoch, logged every five; validation after each epoch, its step being the epoch."""
    rows = []
    for epoch in range(first_epoch, last_epoch + 1):
        for step in (10 * epoch - 5, 10 * epoch):
            rows.append({"lr": 1e-3, "loss": loss / step, "epoch": epoch, "iter": step, "step": step})
        rows.append({"coco/bbox_mAP": 0.1 * epoch, "coco/bbox_mAP_50": 0.15 * epoch, "step": epoch})
    path = folder / timestamp / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n" + tail)


def test_validation_lands_on_the_last_step_of_its_epoch(tmp_path):
    write_log(tmp_path, "20260101_000000", 1, 3)
    history = read_history(tmp_path)
    assert sorted(history.loss) == [5, 10, 15, 20, 25, 30]
    assert history.scores["mAP"] == pytest.approx({10: 0.1, 20: 0.2, 30: 0.3})
    assert history.scores["mAP50"] == pytest.approx({10: 0.15, 20: 0.3, 30: 0.45})
    assert history.epochs == {1: 10, 2: 20, 3: 30}


def test_runs_counted_in_steps(tmp_path):
    path = tmp_path / "20260101_000000" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    rows = [{"loss": 2.0, "step": 50}, {"loss": 1.0, "step": 100}, {"coco/bbox_mAP": 0.5, "step": 100}]
    path.write_text("\n".join(map(json.dumps, rows)))
    history = read_history(tmp_path)
    assert history.loss == {50: 2.0, 100: 1.0}
    assert history.scores["mAP"] == {100: 0.5}
    assert training_curve(tmp_path, tmp_path / "curve.png").is_file()


@pytest.mark.parametrize(
    ("logged", "name"),
    [("coco/segm_mAP", "mask mAP"), ("pascal_voc/mAP", "VOC mAP"), ("coco/bbox_mAP", "mAP")],
)
def test_masks_and_voc_have_curves_too(tmp_path, logged, name):
    path = tmp_path / "20260101_000000" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps({logged: 0.1 * step, "step": step}) for step in (1, 2)))
    scores = read_history(tmp_path).scores
    assert {key: value for key, value in scores.items() if value} == {name: {1: 0.1, 2: 0.2}}
    assert training_curve(tmp_path, tmp_path / "curve.png").is_file()


def test_a_resumed_run_takes_over_where_it_starts(tmp_path):
    write_log(tmp_path, "20260101_000000", 1, 4, loss=4.0)
    write_log(tmp_path, "20260102_000000", 3, 5, loss=8.0)
    history = read_history(tmp_path)
    assert sorted(history.loss) == list(range(5, 51, 5))
    assert history.loss[20] == pytest.approx(4.0 / 20)
    assert history.loss[25] == pytest.approx(8.0 / 25)
    assert sorted(history.scores["mAP"]) == [10, 20, 30, 40, 50]


def test_what_a_crashed_run_logged_past_its_checkpoint_is_dropped(tmp_path):
    write_log(tmp_path, "20260101_000000", 1, 4)
    write_log(tmp_path, "20260102_000000", 2, 2)
    history = read_history(tmp_path)
    assert max(history.loss) == 20
    assert sorted(history.scores["mAP50"]) == [10, 20]
    assert history.epochs == {1: 10, 2: 20}


def test_a_cut_line_and_odd_values_are_passed_over(tmp_path):
    write_log(tmp_path, "20260101_000000", 1, 2, tail='{"loss": NaN, "step": 21}\n{"loss": 0.1, "st')
    history = read_history(tmp_path)
    assert max(history.loss) == 20
    training_curve(tmp_path, tmp_path / "curve.png")


@pytest.mark.parametrize("text", [None, "", '{"lr": 0.1, "step": 3}\n'])
def test_without_a_log_the_error_says_where_it_was_sought(tmp_path, text):
    if text is not None:
        path = tmp_path / "20260101_000000" / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(SourceNotFoundError, match=r"scalars\.json"):
        training_curve(tmp_path, tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


def test_the_picture(tmp_path):
    write_log(tmp_path, "20260101_000000", 1, 6)
    out = training_curve(tmp_path, tmp_path / "new" / "curve.png")
    picture = cv2.imread(str(out))
    assert picture.shape == (550, 990, 3)
    for blue_green_red in ((0xB2, 0x72, 0x00), (0x00, 0x5E, 0xD5), (0x73, 0x9E, 0x00)):
        assert np.all(picture == blue_green_red, axis=2).sum() > 100
