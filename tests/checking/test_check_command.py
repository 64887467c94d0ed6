"""``deeplake-mmdet check``: status, tables, JSON, picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_lakes import GOOD, make_lake, photo, sound
from PIL import Image

from deeplake_mmdet.checking.kinds import KINDS
from deeplake_mmdet.cli import main

__all__ = ["make_lake"]  # a fixture

NAMES = ("cat[red]", "dog\n$x_{2}$", "[/bold]", "犬 :smile:")


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def command(*args):
        status = main(["check", *map(str, args)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


@pytest.fixture
def faulty(make_lake, tmp_path):
    rows = [
        *sound(12),
        (photo(20), [(200, 9, 9, 9), (5, 5, 0, 9), *GOOD], (0, 1, 1, 1)),
        (photo(21)[:-300], GOOD, (0, 1)),
        (b"", GOOD, (0, 1)),
        (photo(22), GOOD, (0, 8)),
        (photo(0), GOOD, (1, 1)),
        (photo(23), [(90, 9, 20, 20), GOOD[0], GOOD[0]], (0, 1, 1)),
    ]
    return make_lake(rows, tmp_path / "faulty", classes=NAMES)


def test_status_is_that_of_the_gravest_finding(make_lake, faulty, run):
    clean = make_lake(sound(2))
    warned = make_lake([*sound(2), (photo(0), GOOD, (0, 1))])
    noted = make_lake(sound(2), classes=("a", "b", "unused"))
    assert [run(lake)[0] for lake in (clean, warned, noted, faulty)] == [0, 0, 0, 1]
    assert [run(lake, "--strict")[0] for lake in (clean, warned, noted, faulty)] == [0, 1, 0, 1]


def test_tables_name_everything_as_it_is(faulty, run):
    status, out, _ = run(faulty, "--fix-plan")
    assert status == 1
    for text in ("cat[red]", r"dog\n$x_{2}$", "[/bold]", "犬 :smile:", "box-outside", "image-undecodable"):
        assert text in out
    assert "Found: 5 errors, 3 warnings, 1 note" in out
    assert "nothing has been changed" in out
    assert "WHERE row_number NOT IN (12, 13, 14, 15)" in out


def test_json_is_json_and_all_of_it(faulty, run):
    status, out, _ = run(faulty, "--json", "--fix-plan")
    facts = json.loads(out)
    assert (status, facts["ok"], facts["counts"]) == (1, False, {"errors": 5, "warnings": 3, "notes": 1})
    assert [one["name"] for one in facts["lakes"][0]["classes"]] == list(NAMES)
    found = {one["kind"]: one["example_rows"] for one in facts["findings"]}
    assert found["image-undecodable"] == [13]
    assert facts["fix_plan"][-1]["query"].endswith("NOT IN (12, 13, 14, 15)")
    assert facts["left_out"] is None


@pytest.mark.parametrize("second", [False, True])
def test_the_picture_is_drawn(faulty, make_lake, run, tmp_path, second):
    other = [make_lake([*sound(4, 4), (photo(60), [], ())], tmp_path / "other")] if second else []
    picture = tmp_path / "new" / "check.png"
    status, out, _ = run(faulty, *other, "--show", picture)
    assert status == 1
    assert f"Picture: {picture}" in out.replace("\n", "")
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert min(image.size) > 600
        assert len(image.convert("RGB").getcolors(2**24)) > 100


def test_lakes_without_boxes_or_rows_are_drawn_too(make_lake, run, tmp_path):
    for number, lake in enumerate([make_lake(sound(2), kinds={"boxes": None, "labels": None}), make_lake()]):
        run(lake, "--show", tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").is_file()


def test_options_reach_the_lakes(faulty, run):
    status, out, _ = run(
        faulty, faulty, "--query", "SELECT * LIMIT 6", "--second", "query=SELECT * LIMIT 6 OFFSET 6"
    )
    assert status == 0
    assert out.count("6 rows") == 2


def test_what_cannot_be_opened_is_one_error(run, tmp_path, make_lake):
    status, out, err = run(tmp_path / "nowhere")
    assert (status, out) == (1, "")
    assert err.startswith("deeplake-mmdet: error: There is nothing at this path")
    lake = make_lake(sound(1), tmp_path / "lake")
    status, _, err = run(lake, lake)
    assert status == 1
    assert "same rows of the same lake" in err
    for wrong in (["--verify", "all"], ["--workers", "x"]):
        with pytest.raises(SystemExit) as stop:
            run(lake, *wrong)
        assert stop.value.code == 2


def test_a_query_of_the_second_lake_may_hold_anything(faulty, run):
    status, out, err = run(
        *(faulty, faulty, "--query", "SELECT * LIMIT 3"),
        *("--second", "query=SELECT * WHERE ROW_NUMBER() >= 3 AND ROW_NUMBER() < 6 ORDER BY ROW_NUMBER(), 1"),
    )
    assert (status, out.count("3 rows")) == (0, 2), err
    with pytest.raises(SystemExit) as stop:
        run(faulty, faulty, "--second", "val")
    assert stop.value.code == 2


def test_a_place_for_the_picture_is_looked_for_first(faulty, run, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "check.png"):
        status, out, err = run(faulty, "--show", place)
        assert (status, out) == (1, "")
        assert "No picture can be put there" in err


def test_the_page_tells_of_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "checking.md").read_text()
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    told = {kind.strip(" `"): severity.strip() for kinds, severity in rows for kind in kinds.split(",")}
    assert told == {kind: facts.severity for kind, facts in KINDS.items()}
