"""``deeplake-mmdet convert`` as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from deeplake_mmdet.cli import main

EXAMPLE = (Path(__file__).parents[1] / "legacy" / "document_config.py.txt").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("old.py").write_text(EXAMPLE)
    return "old.py"


def test_a_file_is_written_and_the_notes_are_shown(example, capsys):
    assert main(["convert", example, "-o", "new.py", "--report", "report.json", "--diff"]) == 0
    out = capsys.readouterr().out
    for text in (
        "Wrote new.py",
        "Notes: 3 dropped",
        "data.train.deeplake_credentials",
        "deeplake_dataloader_type",
    ):
        assert text in out
    assert "Beside MMDetection's yolo/yolov3_d53_8xb8-ms-416-273e_coco.py" in out
    assert "batch_size" in out.partition("Beside")[2]
    assert "…" not in out.partition("Beside")[0]
    assert Config.fromfile("new.py").train_dataloader.batch_size == 4
    assert json.loads(Path("report.json").read_text())["legacy"] is True


def test_an_existing_file_is_kept(example, capsys):
    Path("new.py").write_text("mine")
    assert main(["convert", example, "-o", "new.py"]) == 1
    assert "add --overwrite" in capsys.readouterr().err
    assert Path("new.py").read_text() == "mine"
    assert main(["convert", example, "-o", "new.py", "--overwrite"]) == 0
    assert Path("new.py").read_text() != "mine"


def test_nothing_to_convert_is_said(example, capsys):
    main(["convert", example, "-o", "new.py"])
    capsys.readouterr()
    assert main(["convert", "new.py", "-o", "again.py", "--diff"]) == 0
    out = capsys.readouterr().out
    assert "Nothing to convert" in out
    assert "no config of this name" in out


def test_stdout_is_the_config_and_nothing_else(example):
    command = [sys.executable, "-m", "deeplake_mmdet.cli", "convert", example]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.startswith("# MMDetection 3.x config")
    assert Config.fromstring(done.stdout, ".py").val_dataloader.batch_size == 1
    assert "Notes:" in done.stderr


def test_a_config_that_does_not_load_is_told_in_one_line(example, capsys):
    Path(example).write_text("data = {'a': 'b}\n")
    assert main(["convert", example]) == 1
    err = capsys.readouterr().err
    assert "old.py, line 1" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("columns", ["40", "80", "99", "100", "160"])
def test_no_note_is_cut_off(example, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    base = "_base_ = '../mmdetection/configs/swin/mask_rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py'\n"
    Path("child.py").write_text(
        base + "runner = dict(max_epochs=20, some_setting_that_nobody_knows='seldom')\n"
    )
    assert main(["convert", "child.py", "-o", "child3.py", "--report", "notes.txt"]) == 0
    shown = "".join(sign for sign in capsys.readouterr().out if sign.isalnum())
    report = Path("notes.txt").read_text()
    for text in ("some_setting_that_nobody_knows", "mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py", "seldom"):
        assert "".join(filter(str.isalnum, text)) in shown or int(columns) >= 100  # broken within a column
        assert text in report
    assert "mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py" in Path("child3.py").read_text()  # in its head


def test_a_base_of_3x_is_in_the_report(example):
    base = "_base_ = '../mmdetection/configs/yolo/yolov3_d53_mstrain-416_273e_coco.py'\n"
    Path("child.py").write_text(base + "optimizer = dict(lr=5e-5)\n")
    assert main(["convert", "child.py", "-o", "child3.py", "--report", "notes.json"]) == 0
    notes = json.loads(Path("notes.json").read_text())["notes"]
    (taken,) = [note for note in notes if "is taken from" in note["what"]]
    assert (taken["key"], taken["severity"]) == ("_base_", "approximated")
    assert any("2.28.2" in note["what"] and "evaluation" in note["what"] for note in notes)
