"""Predictions return to their lake once, whole, and whatever happens on the way."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import ConfigError, ImportRefusedError, StorageError
from deeplake_mmdet.evaluation.truth import truth_of
from deeplake_mmdet.lake import (
    CredentialRef,
    ImageRecord,
    LakeWriter,
    Source,
    cache_folder,
    open_run,
    open_view,
    run_ids,
)
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve
from deeplake_mmdet.loop import write_back
from deeplake_mmdet.loop.diagnostics import NUMBERS, diagnose
from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.run_facts import RunFacts
from deeplake_mmdet.loop.write_back import WriteBack, check_write_back

CLASSES = ("a", "b", "c")
ROWS = 40


def make(path: Path) -> str:
    draw = np.random.default_rng(0)
    out = io.BytesIO()
    Image.new("RGB", (64, 48)).save(out, "jpeg")
    options = {"class_names": CLASSES, "box_format": "ltwh", "image_format": "jpeg"}
    with LakeWriter(str(path), optional_columns=("iscrowds", "image_id"), **options) as writer:
        for row in range(ROWS):
            count = int(draw.integers(0, 4))
            boxes = np.concatenate([draw.integers(0, 30, (count, 2)), draw.integers(4, 18, (count, 2))], 1)
            more = {"iscrowds": draw.random(count) < 0.2, "image_id": 100 + row}
            writer.append(
                ImageRecord(
                    out.getvalue(),
                    64,
                    48,
                    f"{row}.jpg",
                    boxes.astype(float),
                    draw.integers(0, 3, count),
                    **more,
                )
            )
    return str(path)


@pytest.fixture
def lake(tmp_path):
    return make(tmp_path / "lake")


def facts(run_id="run", **changes):
    thresholds = {"score_thr": 0.3, "iou_thr": 0.5}
    return RunFacts(run_id, {"run_id": run_id, "thresholds": thresholds}, **changes)


def predicted(rows, *, extras=False):
    found = []
    for row in rows:
        draw = np.random.default_rng(1000 + row)
        count = int(draw.integers(0, 5))
        low = draw.integers(0, 30, (count, 2))
        boxes = np.concatenate([low, low + draw.integers(4, 18, (count, 2))], 1).astype(np.float32)
        scores = np.sort(draw.random(count).astype(np.float32))[::-1]
        told = {"loss": row / 8, "embedding": np.full(3, row, np.float32)} if extras else {}
        masks = [{"size": [48, 64], "counts": f"{row}-{n}"} for n in range(count)] if extras else None
        labels = draw.integers(0, 3, count)
        found.append(Prediction(row, f"{row}.jpg", (48, 64), boxes, labels, scores, masks, told))
    return found


def write(lake, run_id="run", *, rows=range(ROWS), source=None, **options):
    sink = WriteBack(open_view(source or Source(lake)), CLASSES, facts(run_id))
    sink.add(predicted(rows, **options))
    sink.finish()
    return sink


def columns_of(lake, run_id="run"):
    run = open_run(lake, run_id)
    handle = handle_of(run.source, run.credentials)
    return {
        name: [np.asarray(handle[name][row]).tolist() for row in range(len(handle))] for name in run.columns
    }


def main_of(lake):
    source = resolve(Source(lake))
    return source, len(handle_of(source)), [column.name for column in handle_of(source).schema.columns]


def test_a_run_is_in_the_lake_as_it_was_predicted(lake):
    before = main_of(lake)
    sink = write(lake, extras=True)
    assert sink.branch == "runs/run"
    assert main_of(lake) == before
    found = columns_of(lake)
    for row, one in enumerate(predicted(range(ROWS), extras=True)):
        assert np.reshape(found["pred/boxes"][row], (-1, 4)).tolist() == one.boxes.tolist()
        assert found["pred/labels"][row] == one.labels.tolist()
        assert found["pred/scores"][row] == one.scores.tolist()
        assert found["pred/embedding"][row] == one.extras["embedding"].tolist()
    run = open_run(lake, "run")
    assert run.metadata["classes"] == list(CLASSES)
    assert run.metadata["rows"] == ROWS
    assert not sink._spool.folder.exists()


def test_numbers_are_those_of_each_row(lake):
    write(lake)
    view, found = open_view(Source(lake)), columns_of(lake)
    for row in range(ROWS):
        (one,) = predicted([row])
        corners = one.boxes.astype(float)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
        truth = truth_of(view, np.array([row]))
        predictions = type(truth)(
            np.zeros(len(boxes), int), one.labels, boxes, np.ones(len(boxes)), one.scores
        )
        for name, value in diagnose(truth, predictions, 3, 1, 0.3).items():
            assert found[f"pred/{name}"][row] == pytest.approx(value.item(), abs=1e-6), name


def test_training_opens_rows_by_what_a_run_found(lake):
    write(lake)
    found = columns_of(lake)
    dataset = DeepLakeDataset(
        path=lake, branch="runs/run", query='SELECT * WHERE "pred/missed" > 0', pipeline=[], test_mode=True
    )
    assert len(dataset) == sum(count > 0 for count in found["pred/missed"]) > 0
    assert dataset.view.roles.gt_bboxes == "boxes"


def test_an_interrupted_run_goes_on_where_it_was(lake, tmp_path):
    first = WriteBack(open_view(Source(lake)), CLASSES, facts())
    first.add(predicted(range(25)))
    first.abandon(KeyboardInterrupt())
    assert run_ids(resolve(Source(lake))) == []
    again = WriteBack(open_view(Source(lake)), CLASSES, facts())
    done = again.done()
    assert [row for row in range(ROWS) if row in done] == list(range(25))
    again.add(predicted(range(25, ROWS)))
    again.finish()
    other = make(tmp_path / "other")
    write(other)
    assert columns_of(lake) == columns_of(other)


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_record_that_is_not_whole_does_not_count(lake, harm):
    first = WriteBack(open_view(Source(lake)), CLASSES, facts())
    first.add(predicted(range(10)))
    first.abandon(KeyboardInterrupt())
    (file,) = first._spool.folder.glob("*.spool")
    data = bytearray(file.read_bytes())
    if harm == "cut":
        del data[-3:]
    else:
        data[-3] ^= 1
    file.write_bytes(data)
    again = WriteBack(open_view(Source(lake)), CLASSES, facts())
    done = again.done()
    assert [row for row in range(ROWS) if row in done] == list(range(9))
    again.abandon(KeyboardInterrupt())


def test_two_commands_do_not_work_on_one_run(lake, monkeypatch):
    monkeypatch.setattr(write_back, "_PATIENCE", 0.1)
    view = open_view(Source(lake))
    first = WriteBack(view, CLASSES, facts())
    with pytest.raises(ConfigError, match="Another process"):
        WriteBack(view, CLASSES, facts())
    WriteBack(view, CLASSES, facts("other")).abandon(KeyboardInterrupt())
    first.abandon(KeyboardInterrupt())


def test_a_run_that_is_there_is_told_before_anything_is_predicted(lake):
    write(lake)
    with pytest.raises(ImportRefusedError, match="--run-id run-2"):
        check_write_back(resolve(Source(lake)), CredentialRef(), facts())


def test_rows_of_a_query_are_found_again_in_the_lake(lake):
    source = Source(lake, query="SELECT * WHERE image_id >= 130 ORDER BY image_id DESC")
    write(lake, rows=range(10), source=source)
    found = columns_of(lake)
    assert len(found["pred/boxes"]) == ROWS
    assert found["pred/tp"][:30] == [-1] * 30
    for place, one in enumerate(predicted(range(10))):
        assert found["pred/scores"][ROWS - 1 - place] == one.scores.tolist()
        assert found["pred/tp"][ROWS - 1 - place] >= 0


def test_images_without_truth_have_no_numbers_but_predictions(tmp_path):
    import deeplake

    out = io.BytesIO()
    Image.new("RGB", (64, 48)).save(out, "jpeg")
    raw = deeplake.create(str(tmp_path / "plain"), schema={"images": deeplake.types.Image("uint8", "jpeg")})
    raw.append({"images": [out.getvalue()] * 3})
    raw.commit()
    lake = str(tmp_path / "plain")
    alone = {"gt_bboxes": False, "gt_labels": False}
    sink = WriteBack(open_view(Source(lake), tensors=alone, classes=CLASSES), CLASSES, facts())
    sink.add(predicted(range(3)))
    sink.finish()
    assert open_run(lake, "run").columns == ("pred/boxes", "pred/labels", "pred/scores", "pred/lowest_score")


def test_a_full_disk_is_told_and_the_run_goes_on(lake, monkeypatch):
    def full(file, data):
        raise OSError(28, "No space left on device")

    sink = WriteBack(open_view(Source(lake)), CLASSES, facts())
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageError, match="No space left"):
            sink.add(predicted(range(3)))
    sink.abandon(KeyboardInterrupt())
    write(lake)
    assert columns_of(lake)["pred/tp"]


def test_a_lake_that_may_not_be_written_gives_a_file(lake, monkeypatch, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import deeplake

    def refused(*args, **options):
        raise RuntimeError("filesystem error: Permission denied")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(deeplake, "open", refused)
    sink = write(lake)
    assert sink.branch is None
    table = parquet.read_table(sink.file)
    assert len(table) == sum(len(one.labels) for one in predicted(range(ROWS)))
    assert not sink._spool.folder.exists()


def _work(lake: str) -> None:
    os.setsid()
    view = open_view(Source(lake))
    sink = WriteBack(view, CLASSES, facts())
    done = sink.done()
    for start in range(0, ROWS, 4):
        sink.add(predicted([row for row in range(start, start + 4) if row not in done]))
        time.sleep(0.004)
    sink.finish()


@pytest.mark.slow
def test_killed_at_any_moment(lake, tmp_path):
    """Main as it was, nothing half-written under ``runs/``, and in the end the same as without a kill."""
    kills = 100 if os.environ.get("DEEPLAKE_MMDET_LONG_TESTS") else 12
    before = main_of(lake)
    other = make(tmp_path / "other")
    write(other)
    expected = columns_of(other)
    draw = random.Random(0)
    context = multiprocessing.get_context("spawn")
    survived = 0
    for number in range(kills):
        lake = make(tmp_path / f"lake{number}") if survived or not number else lake
        before = main_of(lake)
        child = context.Process(target=_work, args=(lake,))
        child.start()
        while child.is_alive() and not list((cache_folder() / "runs").glob("*/*.spool")):
            time.sleep(0.01)  # it imports for seconds
        child.join(draw.uniform(0, 0.4))
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert main_of(lake) == before
        there = run_ids(resolve(Source(lake)))
        survived = bool(there)
        if there:
            assert columns_of(lake) == expected
    if not survived:
        done = context.Process(target=_work, args=(lake,))
        done.start()
        done.join()
    assert columns_of(lake) == expected
    names = list_versions(resolve(Source(lake))).branches
    assert [name for name in names if name.startswith("predicting-")] == []


def test_all_numbers_have_a_column():
    from deeplake_mmdet.lake import RUN_COLUMNS

    assert {f"pred/{name}" for name in NUMBERS} <= set(RUN_COLUMNS)
