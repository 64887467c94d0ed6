"""The command as a user types it, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "deeplake_mmdet.cli"]


def run(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(
        [*COMMAND, *map(str, args)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("demo", "train", "test", "import", "inspect"))
    code = (
        "import sys, deeplake_mmdet.cli as c; c.build_parser();"
        "print([m for m in ('torch','mmengine','deeplake','cv2','numpy','rich') if m in sys.modules])"
    )
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.stdout.strip() == "[]"


@pytest.mark.parametrize("args", [(), ("fly",), ("train",), ("import", "coco", "a.json")])
def test_wrong_usage(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.returncode == 2
    assert "usage:" in result.stderr


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    result = run("inspect", tmp_path / "nowhere")
    assert result.returncode == 1
    assert "error: There is nothing at this path." in result.stderr
    assert "What to do:" in result.stderr
    assert "Traceback" not in result.stderr


def test_import_inspect_train_test(
    shared_data: Path, tmp_path: Path, command_in_copy: Callable[..., Any]
) -> None:
    bccd = shared_data / "bccd"
    for split in ("train", "val"):
        done = run("import", "voc", bccd, f"lakes/bccd-{split}", "--split", split, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "box has no area" in done.stdout
    again = run("import", "voc", bccd, "lakes/bccd-val", "--split", "val", cwd=tmp_path)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr

    shown = run("inspect", "lakes/bccd-val", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for text in ("87 rows", "gt_bboxes", "ltrb_pixel", "Platelets", "967", "640x480", "branch main"):
        assert text in shown.stdout

    config = Path(__file__).parents[2] / "configs" / "bccd_rtmdet.py"
    short = [
        "--cfg-options", "train_cfg.max_epochs=1", "train_cfg.val_interval=1",
        "train_dataloader.num_workers=0",
        "val_dataloader.num_workers=0", "train_dataloader.persistent_workers=False",
        "val_dataloader.persistent_workers=False", "train_dataloader.dataset.indices=4",
        "val_dataloader.dataset.indices=4", "test_dataloader.dataset.indices=4",
        "test_dataloader.num_workers=0", "test_dataloader.persistent_workers=False",
    ]  # fmt: skip
    trained = run("train", config, "--work-dir", "runs/bccd", *short, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "Next: deeplake-mmdet test" in trained.stdout
    (best,) = (tmp_path / "runs" / "bccd").glob("best_*.pth")
    tested = command_in_copy("test", config, best, "--work-dir", "runs/bccd", *short, cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr[-2000:]
    assert "coco/bbox_mAP" in tested.stdout
    assert "Platelets" in tested.stdout


def test_coco_import_and_inspect(shared_data: Path, tmp_path: Path) -> None:
    nuts = shared_data / "nuts"
    done = run(
        "import", "coco", nuts / "trainval.json", "lakes/nuts", "--images", nuts / "images", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    shown = run("inspect", "lakes/nuts", cwd=tmp_path)
    for text in ("18 rows", "ltwh_pixel", "gt_masks", "hazelnut", "165"):
        assert text in shown.stdout or text == "165"


def test_inspect_shows_the_columns_of_a_lake_that_cannot_be_trained_on(tmp_path: Path) -> None:
    import deeplake

    lake = deeplake.create(str(tmp_path / "lake"), schema={"numbers": "int32"})
    lake.append({"numbers": [1, 2]})
    lake.commit("numbers")
    shown = run("inspect", tmp_path / "lake")
    assert shown.returncode == 1
    assert "numbers" in shown.stdout
    assert "no column for 'img'" in shown.stderr
