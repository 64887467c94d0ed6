"""The command ``predict``: its shape, what it prints, and where."""

from __future__ import annotations

import json

import pytest
import torch

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.cli import build_parser, main
from deeplake_mmdet.demo.drawing import CLASS_NAMES


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, untrained_demo):
    """The folder of a run with config and checkpoint, a lake, and two of its images as files."""
    folder = tmp_path_factory.mktemp("run")
    cfg, model, _, (lake,) = untrained_demo(folder, [2], score_thr=0.0001)
    run = folder / "work_dirs"
    run.mkdir()
    cfg.dump(run / "demo.py")
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, run / "epoch_1.pth")
    view = DeepLakeDataset(path=lake, pipeline=[], test_mode=True).view
    (folder / "photos").mkdir()
    for row, data in enumerate(view.images(range(2))):
        (folder / "photos" / f"{row}.jpg").write_bytes(data)
    return folder


def test_one_image_as_json_by_a_checkpoint_alone(run_folder, command_in_copy):
    args = ["predict", "work_dirs/epoch_1.pth", "photos/0.jpg", "--json"]
    done = command_in_copy(*args, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["images"] == 1
    assert facts["objects"] == len(facts["predictions"]) > 0
    assert set(facts["predictions"][0]) == {
        *("image_id", "category_id", "category_name", "file_name", "bbox", "score"),
    }


def test_a_lake_into_a_file(run_folder, command_in_copy, tmp_path):
    out = tmp_path / "found.json"
    args = ["predict", "work_dirs/demo.py", "work_dirs/epoch_1.pth", "lake0", "--out", out, "--score-thr", 0]
    done = command_in_copy(*args, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    count = len(json.loads(out.read_text()))
    assert f"{count} objects in 2 images" in done.stdout
    assert str(out) in done.stdout
    assert any(name in done.stdout for name in CLASS_NAMES)
    again = command_in_copy(*args, cwd=run_folder)
    assert again.returncode == 1
    assert again.stderr.count("error") == 1
    assert "--overwrite" in again.stderr


def test_a_run_that_keeps_nothing_says_so(run_folder, command_in_copy):
    args = ["predict", "work_dirs/epoch_1.pth", "photos", "--batch-size", 2]
    done = command_in_copy(*args, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    assert "Nothing was kept" in done.stdout


@pytest.mark.parametrize(
    ("things", "words"),
    [
        (["epoch.pth"], "INPUT is missing"),
        (["cfg.py", "epoch.pth"], "INPUT is missing"),
        (["cfg.py"], "CHECKPOINT and INPUT are missing"),
        (["epoch.pth", "cfg.py", "photos"], "cfg.py epoch.pth"),
        (["epoch.pth", "photos/*.jpg"], "pattern"),
        (["epoch.pth", "no/photos"], "nothing at this path"),
    ],
)
def test_what_is_missing_is_told_in_one_line(things, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", *things]) == 1
    told = capsys.readouterr().err.strip()
    assert words in told
    assert len(told.splitlines()) == 1


def test_help_fits_a_screen_and_ends_with_an_example(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        build_parser().parse_args(["predict", "--help"])
    told = capsys.readouterr().out.rstrip().splitlines()
    assert len(told) <= 50
    assert "Example: deeplake-mmdet predict" in " ".join(told[-3:])
