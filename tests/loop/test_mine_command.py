"""``deeplake-mmdet mine``: what is printed, in which order, and what is told of what fails."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from runs_in_lakes import write_lake, write_predictions

from deeplake_mmdet.cli import main
from deeplake_mmdet.cli.mine import _WAYS
from deeplake_mmdet.loop import WAYS

RUN = "first-0a1b2c3d"


@pytest.fixture
def lake(tmp_path):
    lake = write_lake(tmp_path / "lake", range(6))
    write_predictions(
        lake, 6, RUN, numbers={"missed": [0, 2, 1, 0, 0, 5]}, embeddings=[[i, 1] for i in range(6)]
    )
    return lake


def run(capsys, *args):
    status = main(["mine", *map(str, args)])
    return status, *capsys.readouterr()


def test_the_ways_are_those_of_the_function():
    assert _WAYS == WAYS


def test_rows_are_shown_with_their_names_as_they_are(lake, capsys):
    status, out, _ = run(capsys, lake, "--run", RUN, "--by", "missed", "--top", 5, "--save", "missed")
    assert status == 0
    lines = [line for line in out.splitlines() if "photo" in line]
    assert [f"photo [red] {row}.png" in line for row, line in zip((5, 1, 2), lines, strict=True)] == [
        True
    ] * 3
    assert "3 rows of 5: no more have anything to show" in out
    assert "view missed: 3 rows" in out


def test_json_has_all_rows(lake, capsys):
    status, out, _ = run(capsys, lake, "--run", RUN, "--by", "missed", "--json")
    assert status == 0
    facts = json.loads(out)
    assert [(row["row"], row["value"], row["file_name"]) for row in facts["rows"]] == [
        (5, 5.0, "photo [red] 5.png"),
        (1, 2.0, "photo [red] 1.png"),
        (2, 1.0, "photo [red] 2.png"),
    ]
    assert facts["by"] == "missed"


def test_near_takes_numbers_or_a_view(lake, capsys):
    status, out, _ = run(
        capsys, lake, "--run", RUN, "--by", "near", "--near", "4, 5", "--json", "--save", "like"
    )
    assert status == 0
    assert [row["row"] for row in json.loads(out)["rows"]] == [3, 2, 1, 0]
    status, out, _ = run(capsys, lake, "--run", RUN, "--by", "near", "--near", "like", "--json")
    assert {row["row"] for row in json.loads(out)["rows"]} == {4, 5}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--run", "fisrt", "--by", "missed"), RUN),
        (("--run", RUN, "--by", "near"), "--near"),
        (("--run", RUN, "--by", "missed", "--top", "0"), "number of rows"),
        (("--run", RUN, "--by", "missed", "--save", "a/b"), "cannot have this name"),
        (("--run", RUN, "--by", "confused", "--save", "none"), "no row to save"),
        (("--run", RUN, "--by", "confused", "--show", "none.png"), "no row to show"),
    ],
)
def test_one_line_tells_what_is_wrong(lake, capsys, args, told):
    status, _, err = run(capsys, lake, *args)
    assert status == 1
    assert told in err
    assert len(err.strip().splitlines()) == 1


def set_modes(folder, folders, files):
    for path in (folder, *folder.rglob("*")):
        if path.suffix != ".lock" or path.exists():  # Deep Lake's own come and go
            path.chmod(folders if path.is_dir() else files)


@pytest.fixture
def locked():
    """A lake that this process may read, not write."""
    folder = Path(tempfile.mkdtemp())
    lake = write_lake(folder / "lake", range(4))
    write_predictions(lake, 4, RUN, numbers={"missed": [1, 0, 3, 0]})
    set_modes(folder, 0o555, 0o444)
    root = os.geteuid() == 0  # whom no mode stops
    if root:
        os.seteuid(65534)
    try:
        yield lake
    finally:
        if root:
            os.seteuid(0)
        set_modes(folder, 0o755, 0o644)
        shutil.rmtree(folder)


def test_without_leave_to_write_the_table_is_shown_all_the_same(locked, capsys):
    status, out, err = run(capsys, locked, "--run", RUN, "--by", "missed", "--save", "mine")
    assert status == 1
    assert out.index("photo [red] 2.png") < out.index("photo [red] 0.png")
    assert "view 'mine' cannot be saved" in err
    assert len(err.strip().splitlines()) == 1
