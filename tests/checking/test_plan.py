"""What the fix plan says can be done as it stands, and then the finding is gone."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_lakes import GOOD, kinds_of, make_lake, photo, sound
from mmdet.utils import register_all_modules

from deeplake_mmdet import DeepLakeDataset, check
from deeplake_mmdet.checking.plan import ALL_ERRORS

__all__ = ["make_lake"]  # a fixture


def faulty():
    return [
        *sound(30),
        (photo(50), [(200, 200, 9, 9), GOOD[0]], (0, 1)),
        (photo(51), [(5, 5, 0, 9), GOOD[0]], (0, 1)),
        (photo(52)[:-300], GOOD, (0, 1)),
        (b"", GOOD, (0, 1)),
        (photo(53), GOOD, (0, 9)),
        (photo(54), [[np.inf, 5, 5, 5]], (0,)),
        (photo(55), GOOD, (0,)),
        (photo(56), [GOOD[0], GOOD[0]], (0, 0)),
        (photo(0), GOOD, (0, 1)),
        (photo(57), [(90, 60, 20, 20)], (1,)),
    ]


def look(lake, **options):
    return check(lake, progress=False, **options)


def test_each_query_opens_and_its_finding_is_gone(make_lake, tmp_path):
    lake = make_lake(faulty(), tmp_path / "lake")
    result = look(lake)
    before = kinds_of(result)
    assert len(before) == 10
    plan = [step for step in result.plan() if step.query]
    errors = set().union(*kinds_of(result, "error").values())
    assert {step.kind for step in plan} == {*before, ALL_ERRORS}
    for step in plan:
        again = look(lake, query=step.query)
        gone = errors if step.kind == ALL_ERRORS else before[step.kind]
        assert again.lakes[0].rows == 40 - len(gone)
        assert step.kind not in kinds_of(again)
    assert again.ok  # without all errors
    assert look(lake).to_dict()["findings"] == result.to_dict()["findings"]  # nothing has been changed


def test_a_dataset_takes_the_query_for_all_errors(make_lake, tmp_path):
    register_all_modules(init_default_scope=True)
    lake = make_lake(faulty(), tmp_path / "lake")
    step = look(lake).plan()[-1]
    assert step.kind == ALL_ERRORS
    dataset = DeepLakeDataset(lake, query=step.query, pipeline=[{"type": "LoadImageFromFile"}])
    assert len(dataset) == 33
    assert [dataset[index]["img"].shape for index in (0, 32)] == [(64, 96, 3)] * 2


QUERIES = ["SELECT * WHERE ROW_NUMBER() > 20", "SELECT * ORDER BY ROW_NUMBER() DESC LIMIT 15;"]


@pytest.mark.parametrize("query", QUERIES)
def test_rows_of_a_query_are_left_out_of_its_result(make_lake, tmp_path, query):
    lake = make_lake(faulty(), tmp_path / "lake")
    result = look(lake, query=query)
    again = look(lake, query=result.plan()[-1].query)
    assert again.ok
    assert again.lakes[0].rows == result.lakes[0].rows - 7


def test_rows_of_a_view_and_a_branch(make_lake, tmp_path):
    import deeplake

    lake = make_lake(faulty(), tmp_path / "lake")
    opened = deeplake.open(lake)
    opened.query("SELECT * WHERE ROW_NUMBER() > 25").tag("late")
    opened.branch("dev")
    for chosen, rows in (({"view": "late"}, 14), ({"branch": "dev"}, 40)):
        result = look(lake, **chosen)
        assert result.lakes[0].rows == rows
        again = look(lake, **chosen, query=result.plan()[-1].query)
        assert (again.ok, again.lakes[0].rows) == (True, rows - 7)


def test_rows_of_an_older_lake(tmp_path):
    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "v3_lake.zip") as archive:
        archive.extractall(tmp_path / "lake")
    second = {"query": "SELECT * LIMIT 3"}
    result = check(tmp_path / "lake", tmp_path / "lake", second=second, progress=False)
    (step,) = [step for step in result.plan() if step.kind == "leak-same"]
    assert step.lake == 1
    again = check(tmp_path / "lake", query=step.query, progress=False)
    assert again.lakes[0].rows == 0


def test_random_orders_and_very_many_rows_have_no_query(make_lake):
    lake = make_lake(faulty())
    steps = look(lake, query="SELECT * ORDER BY RANDOM()").plan()
    assert not any(step.query for step in steps)
    assert "order is random" in steps[0].text


def test_a_clean_lake_needs_no_plan(make_lake):
    assert look(make_lake(sound(2))).plan() == []
