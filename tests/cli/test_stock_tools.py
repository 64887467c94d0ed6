"""MMDetection's own tools on a lake, in real processes, by ``deeplake-mmdet run``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deeplake_mmdet.config.bases import installed_configs


def run(*args, cwd, module=("-m", "deeplake_mmdet.cli", "run")):
    return subprocess.run(
        [sys.executable, *module, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def made(untrained_demo, tmp_path_factory):
    """A folder with a lake, a config and weights; the config and the weights by their names."""
    folder = tmp_path_factory.mktemp("tools")
    cfg, _, weights, _ = untrained_demo(folder, (4,), score_thr=0.0)
    cfg.dump(folder / "config.py")
    return folder, "config.py", weights.name


@pytest.mark.slow
def test_browse_dataset_needs_no_copy_of_the_tools(made):
    folder, config, _ = made
    done = run(
        "tools/analysis_tools/browse_dataset.py", config, *("--output-dir", "seen", "--not-show"), cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((folder / "seen").glob("*.jpg"))) == 4


@pytest.mark.slow
def test_predictions_of_test_make_a_confusion_matrix(made):
    folder, config, weights = made
    done = run("tools/test.py", config, weights, "--out", "found.pkl", cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "coco/bbox_mAP" in done.stdout + done.stderr
    done = run("tools/analysis_tools/confusion_matrix.py", config, "found.pkl", "matrix", cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "matrix" / "confusion_matrix.png").stat().st_size > 1000


def test_a_tool_of_ones_own_comes_before_the_installed_one(tmp_path):
    own = tmp_path / "tools" / "test.py"
    own.parent.mkdir()
    own.write_text("import sys\nprint('own', sys.argv)\n")
    done = run("tools/test.py", "a", cwd=tmp_path)
    assert done.stdout.strip() == "own ['tools/test.py', 'a']"


@pytest.mark.parametrize("name", ["tools/none.py", "tools", "tool/test.py", "test.py"])
def test_there_is_no_such_tool(tmp_path, name):
    done = run(name, cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no such script" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_installed_tool_is_python_s_own_file(tmp_path):
    # Its usage, its name in it and its exit status are those of "python tools/misc/print_config.py".
    configs = installed_configs()
    assert configs is not None
    name = "tools/misc/print_config.py"
    plain = run(Path(configs).parent / name, cwd=tmp_path, module=())
    ours = run(name, cwd=tmp_path)
    assert (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr) == (2, plain.stderr)
