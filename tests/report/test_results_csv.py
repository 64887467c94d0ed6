"""``results.csv`` grows row by row, and a resumed run goes on in it."""

from __future__ import annotations

import csv

import pytest

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.report import ResultsTable, read_results


def test_columns_that_come_later_are_empty_before(tmp_path):
    table = ResultsTable(tmp_path / "results.csv")
    table.add({"epoch": 1, "iteration": 10, "elapsed": 2.5, "loss": 1.25})
    table.add({"epoch": 2, "iteration": 20, "elapsed": 5, "loss": float("nan")})
    table.add({"epoch": 2, "iteration": 20, "coco/bbox_mAP": 0.125})
    with table.path.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "iteration", "elapsed", "loss", "coco/bbox_mAP"]
    assert [row["iteration"] for row in rows] == ["10", "20"]
    assert rows[0]["coco/bbox_mAP"] == ""
    assert rows[1]["coco/bbox_mAP"] == "0.125"
    assert read_results(table.path)[0] == {"epoch": 1, "iteration": 10, "elapsed": 2.5, "loss": 1.25}
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    ("start", "kept"), [(0, []), (9, []), (10, [10]), (25, [10, 20]), (99, [10, 20, 30])]
)
def test_rows_that_did_not_lead_to_the_resumed_iteration_are_left_out(tmp_path, start, kept):
    first = ResultsTable(tmp_path / "results.csv")
    for number in (1, 2, 3):
        first.add({"epoch": number, "iteration": 10 * number, "elapsed": number})
    again = ResultsTable(tmp_path / "results.csv", start)
    assert [row["iteration"] for row in again.rows] == kept
    assert again.elapsed == (kept[-1] / 10 if kept else 0)
    again.add({"epoch": 9, "iteration": 100})
    assert [row["iteration"] for row in read_results(first.path)] == [*kept, 100]


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "epoch,iteration\n1,x\n", "iteration\n1,2\n", "\0", "\xff"]
)
def test_another_file_of_that_name_is_put_aside(tmp_path, text, caplog):
    path = tmp_path / "results.csv"
    path.write_bytes(text.encode("latin-1"))
    if text:
        with pytest.raises(SourceFormatError, match=r"results\.csv"):
            read_results(path)
    table = ResultsTable(path, 5)
    assert table.rows == []
    if text:
        assert (tmp_path / "results.csv.old").read_bytes() == text.encode("latin-1")
        assert "results.csv.old" in caplog.text
    table.add({"epoch": 1, "iteration": 10})
    assert len(read_results(path)) == 1


def test_no_file_is_named(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"results\.csv"):
        read_results(tmp_path / "results.csv")
