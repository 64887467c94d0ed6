"""Rows ranked by a run's predictions, and the views that keep them."""

import itertools
import json

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs_in_lakes import COUNTS, encoded, write_lake, write_predictions

from deeplake_mmdet import DeepLakeDataset, mine
from deeplake_mmdet.errors import (
    ColumnError,
    ConfigError,
    ImportRefusedError,
    SourceFormatError,
    SourceNotFoundError,
)
from deeplake_mmdet.lake import Source, list_versions, resolve, saved_views

ROWS = 12
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Not to be written to but by runs."""
    return write_lake(tmp_path_factory.mktemp("mined") / "lake", range(ROWS))


@pytest.fixture
def own_lake(tmp_path):
    return write_lake(tmp_path / "lake", range(ROWS))


def ordered(values):
    """Row numbers by value, the highest first, of equal ones the lower; those above 0."""
    values = np.asarray(values, float)
    order = np.lexsort((np.arange(len(values)), -values))
    return order[values[order] > 0].tolist()


@pytest.fixture(scope="module")
def drawn(lake):
    """A run with numbers drawn at random, with ties, and rows without truth and without objects."""
    random = np.random.default_rng(3)
    numbers = {name: random.integers(0, 4, ROWS) for name in COUNTS}
    numbers |= {"ap50": random.random(ROWS).round(2), "label_error": random.random(ROWS).round(1)}
    for name in COUNTS:
        numbers[name][4] = -1
    numbers["ap50"][[4, 5]] = -1
    scores = [np.sort(random.random(count).round(3))[::-1] for count in random.integers(0, 5, ROWS)]
    write_predictions(lake, ROWS, "drawn", numbers=numbers, scores=scores)
    return numbers, scores


def hard(numbers):
    tp, fp, missed, ap50 = (np.asarray(numbers[name], float) for name in ("tp", "fp", "missed", "ap50"))
    there = tp >= 0
    return there * (
        (missed + fp) / np.where(there, 1 + tp + missed + fp, 1) + np.where(ap50 >= 0, 1 - ap50, 0)
    )


def uncertain(scores):
    return [sum(4 * s * (1 - s) for s in np.float32(one) if s >= np.float32(0.3)) for one in scores]


@pytest.mark.parametrize(
    ("by", "column"),
    [
        ("missed", "missed"),
        ("false", "fp"),
        ("confused", "confused"),
        ("localisation", "localisation"),
        ("label-errors", "label_error"),
    ],
)
def test_rows_are_ranked_by_a_number_of_the_run(lake, drawn, by, column):
    numbers, _ = drawn
    found = mine(lake, "drawn", by)
    assert found.rows.tolist() == ordered(numbers[column])
    assert np.allclose(found.values, np.asarray(numbers[column])[found.rows])
    assert found.file_names == [f"photo [red] {row}.png" for row in found.rows]
    shown = "pred/disagreement" if by == "label-errors" else "pred/missed"
    assert np.array_equal(found.numbers[shown], np.asarray(numbers.get(shown[5:], [0] * ROWS))[found.rows])


def test_hard_is_the_stated_mix(lake, drawn):
    numbers, _ = drawn
    found = mine(lake, "drawn", "hard")
    assert found.rows.tolist() == ordered(hard(numbers))
    assert np.allclose(found.values, hard(numbers)[found.rows])
    assert 4 not in found.rows


def test_uncertain_is_the_sum_over_scores_that_count(lake, drawn):
    _, scores = drawn
    found = mine(lake, "drawn", "uncertain")
    assert found.rows.tolist() == ordered(uncertain(scores))
    assert np.allclose(found.values, np.array(uncertain(scores))[found.rows], atol=1e-6)


@given(st.lists(st.integers(-1, 3), min_size=ROWS, max_size=ROWS), st.integers(1, ROWS + 3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_rows_come_in_the_order_of_the_lake(lake, counts, top):
    run_id = f"ties-{next(NUMBERS)}"
    write_predictions(lake, ROWS, run_id, numbers={"missed": counts})
    found = mine(lake, run_id, "missed", top=top)
    assert found.rows.tolist() == ordered(counts)[:top]
    short = any("anything to show" in note for note in found.notes)
    assert short == (len(found.rows) < top)


def test_a_run_without_truth_is_ranked_by_its_scores_alone(own_lake):
    write_predictions(own_lake, ROWS, truth=False, scores=[[0.9], [0.5], *[[]] * (ROWS - 2)])
    assert mine(own_lake, "first-0a1b2c3d", "uncertain").rows.tolist() == [1, 0]
    for by in ("missed", "false", "hard", "label-errors"):
        with pytest.raises(ColumnError, match=r"no labels.*pred/") as refusal:
            mine(own_lake, "first-0a1b2c3d", by)
        assert "uncertain" in refusal.value.advice
    with pytest.raises(ColumnError, match=r"no embeddings.*--embed"):
        mine(own_lake, "first-0a1b2c3d", "near", near=[1])


def test_near_goes_by_the_angle_to_the_chosen_rows(own_lake):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((ROWS, 8))
    vectors[7] = 0  # was not predicted
    write_predictions(own_lake, ROWS, embeddings=vectors)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    mean = unit[[2, 5]].mean(0)
    cosines = unit @ mean / np.linalg.norm(mean)
    cosines[[2, 5]] = -1
    found = mine(own_lake, "first-0a1b2c3d", "near", near=[5, 2, 5], top=4)
    assert found.rows.tolist() == ordered(cosines)[:4]
    assert np.allclose(found.values, cosines[found.rows], atol=1e-5)
    mine(own_lake, "first-0a1b2c3d", "near", near=[2], top=3, save="like two")
    again = mine(own_lake, "first-0a1b2c3d", "near", near="like two", top=4)
    chosen = mine(own_lake, "first-0a1b2c3d", "near", near=[2], top=3).rows
    assert again.rows.tolist() == mine(own_lake, "first-0a1b2c3d", "near", near=chosen, top=4).rows.tolist()


@pytest.mark.parametrize("near", [[], [-1], [ROWS], "no such view"])
def test_near_nothing_is_refused(own_lake, near):
    write_predictions(own_lake, ROWS, embeddings=np.eye(ROWS))
    kind = SourceNotFoundError if isinstance(near, str) else ConfigError
    with pytest.raises(kind, match="no such view" if isinstance(near, str) else f"{ROWS} rows"):
        mine(own_lake, "first-0a1b2c3d", "near", near=near)


def test_duplicates_of_images_are_found_by_their_bytes(tmp_path):
    lake = write_lake(tmp_path / "lake", [1, 2, 1, 3, 2, 1])
    write_predictions(lake, 6)
    found = mine(lake, "first-0a1b2c3d", "duplicates")
    assert found.rows.tolist() == [2, 4, 5]
    assert found.values.tolist() == [0, 1, 0]
    assert any("3 duplicates in 2 groups" in note and "bytes" in note for note in found.notes)


def test_duplicates_of_embeddings_are_found_where_others_are_far(own_lake):
    random = np.random.default_rng(1)
    vectors = random.random((ROWS, 16)) + 40
    vectors[9] = vectors[3] + random.normal(0, 1e-3, 16)
    vectors[11] = vectors[9]
    vectors[[6, 7]] = 0  # were not predicted
    write_predictions(own_lake, ROWS, embeddings=vectors)
    found = mine(own_lake, "first-0a1b2c3d", "duplicates")
    assert found.rows.tolist() == [9, 11]
    assert found.values.tolist() == [3, 3]


def test_rows_that_are_all_the_same_are_one_group(own_lake):
    write_predictions(own_lake, ROWS, embeddings=np.ones((ROWS, 4)))
    assert mine(own_lake, "first-0a1b2c3d", "duplicates").rows.tolist() == list(range(1, ROWS))


def test_a_saved_view_is_trained_on_at_once(own_lake):
    before = resolve(Source(own_lake))
    write_predictions(own_lake, ROWS, numbers={"missed": [0, 3, 0, 1, 0, 0, 0, 0, 5, 0, 0, 2]})
    found = mine(own_lake, "first-0a1b2c3d", "missed", top=3, save="missed3")
    assert found.rows.tolist() == [8, 1, 11]
    assert found.saved == "missed3"
    assert resolve(Source(own_lake)) == before
    data = DeepLakeDataset(path=own_lake, view="missed3", pipeline=[], test_mode=True)
    assert data.view.file_names(range(len(data))) == [f"photo [red] {row}.png" for row in (1, 8, 11)]
    assert data.view.roles.gt_bboxes == "boxes"
    part = DeepLakeDataset(
        path=own_lake, view="missed3", query="SELECT * LIMIT 1 OFFSET 1", pipeline=[], test_mode=True
    )
    assert part.view.file_names([0]) == ["photo [red] 8.png"]
    with pytest.raises(ConfigError, match="contradicts"):
        DeepLakeDataset(path=own_lake, view="missed3", commit=before.version, pipeline=[], test_mode=True)
    [view] = saved_views(before)
    told = json.loads(view.message)
    assert (told["kind"], told["run"], told["by"], told["top"]) == ("view", "first-0a1b2c3d", "missed", 3)
    assert told["base"]["version"] == before.version
    assert told["of"]["checkpoint_hash"] == "00112233aabbccdd"


def test_a_view_of_its_name_is_replaced_only_if_asked(own_lake):
    write_predictions(own_lake, ROWS, numbers={"missed": range(ROWS), "fp": range(ROWS, 0, -1)})
    mine(own_lake, "first-0a1b2c3d", "missed", top=2, save="mine")
    with pytest.raises(ImportRefusedError, match=r"view 'mine' already.*--overwrite"):
        mine(own_lake, "first-0a1b2c3d", "false", top=4, save="mine")
    mine(own_lake, "first-0a1b2c3d", "false", top=4, save="mine", overwrite=True)
    data = DeepLakeDataset(path=own_lake, view="mine", pipeline=[], test_mode=True)
    assert data.view.file_names(range(len(data))) == [f"photo [red] {row}.png" for row in range(4)]
    assert [name.split("-")[0] for name in list_versions(resolve(Source(own_lake))).branches] == [
        "main",
        "runs/first",
        "views/mine",
    ]
    with pytest.raises(ImportRefusedError, match="branch 'main'"):
        mine(own_lake, "first-0a1b2c3d", "false", save="main")


@pytest.mark.parametrize("name", ["", " mine", "a/b", "a@b", 'a"b', "a'b", "a\nb", "a\x1b[31m", "x" * 300])
def test_names_that_nothing_can_hold_are_refused(lake, drawn, name):
    with pytest.raises(ConfigError, match="cannot have this name"):
        mine(lake, "drawn", "missed", save=name)


def test_a_large_view_leaves_all_other_views_and_branches(tmp_path):
    """Deep Lake loses them where its own record of a view is beyond 32 KiB."""
    rows = 20_000
    with_marks = write_lake(tmp_path / "lake", [0])
    import deeplake

    lake = deeplake.open(with_marks)
    one = {column.name: lake[column.name][0] for column in lake.schema.columns if column.name != "images"}
    image = encoded_image(lake)
    cells = {name: [cell] * (rows - 1) for name, cell in one.items()}
    cells["file_name"] = [f"{row}.png" for row in range(1, rows)]
    lake.append({"images": [image] * (rows - 1), **cells})
    lake.commit("many")
    del lake
    write_predictions(with_marks, rows, "small", numbers={"missed": [1] * rows})
    mine(with_marks, "small", "missed", top=3, save="three")
    found = mine(with_marks, "small", "missed", top=rows - 1, save="most")
    assert found.file_names[1:] == [f"{row}.png" for row in range(1, rows - 1)]
    names = [view.name for view in saved_views(resolve(Source(with_marks)))]
    assert names == ["most", "three"]
    assert mine(with_marks, "small", "missed", top=1).rows.tolist() == [0]
    assert len(DeepLakeDataset(path=with_marks, view="most", pipeline=[], test_mode=True)) == rows - 1
    assert len(DeepLakeDataset(path=with_marks, view="three", pipeline=[], test_mode=True)) == 3


def encoded_image(lake):
    return lake["images"].get_bytes(0)


def test_a_lake_that_moved_on_is_mined_at_the_version_predicted_on(own_lake):
    import deeplake

    write_predictions(own_lake, ROWS, numbers={"missed": [0, 2, *[0] * (ROWS - 2)]})
    old = resolve(Source(own_lake)).version
    opened = deeplake.open(own_lake)
    opened.delete(0)
    opened.commit("without the first")
    found = mine(own_lake, "first-0a1b2c3d", "missed", save="pinned")
    assert found.base.version == old
    assert any("moved on" in note and old in note for note in found.notes)
    data = DeepLakeDataset(path=own_lake, view="pinned", pipeline=[], test_mode=True)
    assert data.view.file_names([0]) == ["photo [red] 1.png"]


def test_a_run_on_a_branch_and_a_query_has_the_rows_of_that_branch(own_lake):
    import deeplake

    opened = deeplake.open(own_lake)
    branch = opened.branch("dev").open()
    branch.delete(0)
    branch.commit("without the first")
    told = {"base": {"branch": "dev", "version": branch.version, "query": "SELECT * WHERE width > 3"}}
    write_predictions(own_lake, ROWS - 1, numbers={"missed": [2, *[0] * (ROWS - 2)]}, told=told, branch="dev")
    found = mine(own_lake, "first-0a1b2c3d", "missed", save="on dev")
    assert (found.base.branch, found.file_names) == ("dev", ["photo [red] 1.png"])
    assert any("SELECT * WHERE width > 3" in note for note in found.notes)
    data = DeepLakeDataset(path=own_lake, view="on dev", pipeline=[], test_mode=True)
    assert data.view.file_names([0]) == ["photo [red] 1.png"]


def test_the_loop_goes_round_again_on_a_view(own_lake):
    """A run on a saved view has its rows marked, and others in the next view."""
    write_predictions(own_lake, ROWS, numbers={"missed": [0, 3, 0, 1, 0, 0, 0, 0, 5, 0, 0, 2]})
    mine(own_lake, "first-0a1b2c3d", "missed", save="one")
    seen = resolve(Source(own_lake, view="one"))
    told = {"base": {"branch": seen.branch, "version": seen.version, "view": "one", "query": seen.queries[0]}}
    counts = [-1, 1, -1, 0, *[-1] * 4, 4, -1, -1, 0]  # of rows that were not predicted: -1
    write_predictions(own_lake, ROWS, "second", numbers={"missed": counts}, told=told, branch=seen.branch)
    found = mine(own_lake, "second", "missed", save="two")
    assert found.rows.tolist() == [8, 1]
    data = DeepLakeDataset(path=own_lake, view="two", pipeline=[], test_mode=True)
    assert data.view.file_names([0, 1]) == ["photo [red] 1.png", "photo [red] 8.png"]
    assert len(DeepLakeDataset(path=own_lake, view="one", pipeline=[], test_mode=True)) == 4


def test_a_lake_in_memory_is_mined_in_its_process():
    lake = write_lake("mem://mined-here", range(4))
    write_predictions(lake, 4, numbers={"missed": [0, 1, 0, 2]})
    assert mine(lake, "first-0a1b2c3d", "missed", save="two").rows.tolist() == [3, 1]
    assert len(DeepLakeDataset(path=lake, view="two", pipeline=[], test_mode=True)) == 2


def test_images_without_labels_are_drawn_and_compared(tmp_path):
    import deeplake

    lake = deeplake.create(str(tmp_path / "lake"))
    lake.add_column("images", deeplake.types.Image(sample_compression="png"))
    lake.append({"images": [encoded(shade) for shade in (1, 2, 1)]})
    lake.commit("images")
    del lake
    path = str(tmp_path / "lake")
    write_predictions(path, 3, truth=False, scores=[[], [0.5], []])
    found = mine(path, "first-0a1b2c3d", "uncertain", show=tmp_path / "a.png")
    assert (found.rows.tolist(), found.file_names) == ([1], None)
    assert cv2.imread(str(found.picture)) is not None
    assert mine(path, "first-0a1b2c3d", "duplicates").rows.tolist() == [2]


def test_what_cannot_be_mined_is_told(lake, drawn, tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"no run 'drwan'.*drawn"):
        mine(lake, "drwan", "missed")
    with pytest.raises(ConfigError, match=r"no ranking 'miss'.*missed"):
        mine(lake, "drawn", "miss")
    for top in (0, -3, True, 1.5):
        with pytest.raises(ConfigError, match="number of rows"):
            mine(lake, "drawn", "missed", top=top)
    with pytest.raises(ConfigError, match="takes no rows to be near to"):
        mine(lake, "drawn", "missed", near=[1])
    with pytest.raises(ConfigError, match="needs rows"):
        mine(lake, "drawn", "near")
    with pytest.raises(SourceNotFoundError, match="nothing at this path"):
        mine(tmp_path / "none", "drawn", "missed")


def test_nothing_to_show_is_not_saved(own_lake):
    write_predictions(own_lake, ROWS)
    assert len(mine(own_lake, "first-0a1b2c3d", "missed").rows) == 0
    with pytest.raises(ConfigError, match="no row to save"):
        mine(own_lake, "first-0a1b2c3d", "missed", save="nothing")


def test_an_old_lake_is_refused(tmp_path):
    import zipfile
    from pathlib import Path

    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "v3_lake.zip") as archive:
        archive.extractall(tmp_path / "v3")
    with pytest.raises(SourceFormatError, match=r"old format \(v3\)"):
        mine(tmp_path / "v3", "any", "missed")


def test_the_picture_shows_truth_and_predictions(own_lake, tmp_path):
    scores = [[], [0.9, 0.1], *[[]] * (ROWS - 2)]
    write_predictions(own_lake, ROWS, numbers={"missed": [1, 2, *[0] * (ROWS - 2)]}, scores=scores)
    found = mine(own_lake, "first-0a1b2c3d", "missed", show=tmp_path / "out" / "shown.png")
    picture = cv2.imread(str(found.picture))
    assert picture is not None
    assert (picture[:, : picture.shape[1] // 2] != picture[:, picture.shape[1] // 2 :][:, ::-1]).any()
    with pytest.raises(ConfigError, match="cannot be written"):
        mine(own_lake, "first-0a1b2c3d", "missed", show=own_lake)
