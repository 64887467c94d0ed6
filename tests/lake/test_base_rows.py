"""Views whose rows are read out of their whole lake: the cells are those that Deep Lake's own view gives."""

from __future__ import annotations

import logging
from itertools import chain
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest
from deeplake import types
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deeplake_mmdet.lake import Source, open_view, open_view_of
from deeplake_mmdet.lake.images.cell_reader import StoredCells
from deeplake_mmdet.lake.images.selected_cells import SelectedCells
from deeplake_mmdet.lake.row_blocks import blocks_between, blocks_of_chunks

from .lakes_in_parts import jpeg

ROWS = 40
FEW = 6  # different values of what is ordered by


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows in four files, with masks, names and a score of few different values; a branch with more rows."""
    path = tmp_path_factory.mktemp("base") / "lake"
    schema: dict[str, Any] = {
        "images": types.Image(sample_compression="jpeg"),
        "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
        "masks": types.BinaryMask(sample_compression="lz4"),
        "score": "float32",
        "file_name": "text",
    }
    written = deeplake.create(str(path), schema=schema)
    written["labels"].metadata["class_names"] = ["a", "b"]

    def append(lake: Any, rows: range) -> None:
        random = np.random.default_rng(rows.start)
        counts = random.integers(0, 4, len(rows)).tolist()
        lake.append(
            {
                "images": [jpeg(row) for row in rows],
                "boxes": [random.uniform(1, 5, (count, 4)) for count in counts],
                "labels": [random.integers(0, 2, count).astype(np.uint32) for count in counts],
                "masks": [random.integers(0, 2, (12, 16, count)).astype(bool) for count in counts],
                "score": random.integers(0, FEW, len(rows)).astype(np.float32),
                "file_name": [f"{row}.jpg" for row in rows],
            }
        )
        lake.commit()

    for start in range(0, ROWS, 10):
        append(written, range(start, start + 10))
    written.branch("side")
    append(written.branches["side"].open(), range(ROWS, ROWS + 10))
    return path


@st.composite
def queries(draw: st.DrawFn) -> str:
    where = st.sampled_from(
        [
            "",
            f"WHERE score > {draw(st.integers(0, FEW))}",
            f"WHERE ANY(labels == {draw(st.integers(0, 1))})",
            "WHERE ROW_NUMBER() % 3 == 1",
            f"WHERE score == {draw(st.integers(0, FEW))} OR file_name == '7.jpg'",
        ]
    )
    order = st.sampled_from(["", "ORDER BY score", "ORDER BY score DESC", "ORDER BY ROW_NUMBER() DESC"])
    limit = st.sampled_from(["", f"LIMIT {draw(st.integers(1, ROWS))} OFFSET {draw(st.integers(0, 9))}"])
    rest = f"{draw(where)} {draw(order)} {draw(limit)}"
    listed = ",".join(map(str, draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=20))))
    forms = [
        f"SELECT * {rest}",
        f"SELECT images, boxes, labels, masks, file_name, score {rest}",
        f"SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE n IN ({listed}) {draw(order)}",
        f"SELECT * FROM (SELECT * {rest}) {draw(order)}",
    ]
    return draw(st.sampled_from(forms))


def assert_same(view: Any, theirs: Any) -> None:
    count = len(theirs)
    expected = [bytes(theirs["images"].get_bytes(row)) for row in range(count)]
    assert view.cell_reader().get_bytes(range(count)) == expected
    assert view.cell_reader().get_bytes([*range(0, count, 2), 0]) == [*expected[::2], expected[0]]
    assert view.file_names(range(count)) == list(theirs["file_name"][:])
    masks = view.mask_cells(range(count))
    for row in range(count):
        boxes = np.asarray(theirs["boxes"][row]).reshape(-1, 4)
        assert np.array_equal(view.table.boxes[view.table.span(row)], boxes)
        assert view.table.labels[view.table.span(row)].tolist() == np.ravel(theirs["labels"][row]).tolist()
        assert np.array_equal(masks[row], theirs["masks"][row])


@settings(max_examples=60, deadline=None)
@given(query=queries())
def test_every_cell_of_a_view_is_deep_lakes(lake: Path, query: str) -> None:
    theirs = deeplake.open_read_only(str(lake)).query(query)
    assume(len(theirs))
    view = open_view(Source(str(lake), query=query))
    assert view.table.base_rows is not None
    assert isinstance(view.cell_reader(), SelectedCells)
    assert_same(view, theirs)


@pytest.mark.parametrize(
    "query", ["SELECT * WHERE score > 2 ORDER BY score", "SELECT * ORDER BY RANDOM() LIMIT 9"]
)
def test_branches_saved_views_and_random_orders(lake: Path, query: str) -> None:
    opened = deeplake.open(str(lake))
    side = opened.branches["side"].open()
    of_branch = open_view(Source(str(lake), branch="side", query=query))
    if "RANDOM" not in query:
        assert_same(of_branch, side.query(query))
        side.query(query).tag("kept")
        assert_same(open_view(Source(str(lake), view="kept")), side.query(query))
        assert_same(open_view_of(opened.query(query)), opened.query(query))
    assert of_branch.table.base_rows is not None
    whole = open_view(of_branch.source.base)
    assert len(whole.table) == ROWS + 10
    rows = of_branch.table.base_rows.tolist()
    assert of_branch.fetch(range(len(rows))) == whole.fetch(rows)
    for place, row in enumerate(rows):
        ours, theirs = of_branch.table, whole.table
        assert np.array_equal(ours.boxes[ours.span(place)], theirs.boxes[theirs.span(row)])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT *, score + 1 AS more WHERE score > 1",
        "SELECT * WHERE score == 1 UNION (SELECT * WHERE score == 2)",
        "SELECT * FROM (SELECT *, ROW_NUMBER() AS iscrowds) WHERE score > 1",
    ],
)
def test_what_cannot_be_told_by_number_is_read_as_before(
    lake: Path, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = {"img_id": "iscrowds"} if "iscrowds" in query else None
    with caplog.at_level(logging.INFO, "deeplake_mmdet"):
        view = open_view(Source(str(lake), query=query), tensors=tensors)
    assert caplog.text.count("row by row") == 1
    assert view.table.base_rows is None
    assert isinstance(view.cell_reader(), StoredCells)
    assert_same(view, deeplake.open_read_only(str(lake)).query(query))


def test_a_view_whose_cells_are_others_is_read_as_before(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Deep Lake numbered rows otherwise some day."""
    from deeplake_mmdet.lake.source import base_rows

    query = "SELECT * WHERE score < 3 ORDER BY score LIMIT 7"
    true = base_rows.rows_selected
    monkeypatch.setattr(base_rows, "rows_selected", lambda *args: np.roll(true(*args), 1))
    view = open_view(Source(str(lake), query=query))
    assert view.table.base_rows is None
    assert_same(view, deeplake.open_read_only(str(lake)).query(query))


@settings(max_examples=100, deadline=None)
@given(
    bounds=st.sets(st.integers(1, 29), max_size=6).map(lambda inner: [0, *sorted(inner), 30]),
    rows=st.lists(st.integers(0, 29), min_size=1, max_size=40),
)
def test_blocks_are_the_chunks_that_rows_lie_in(bounds: list[int], rows: list[int]) -> None:
    for base_rows in (rows, sorted(rows)):
        chunks = np.searchsorted(bounds, base_rows, side="right") - 1
        blocks = blocks_of_chunks(np.array(bounds), np.array(base_rows))
        assert len(blocks) == len(set(chunks.tolist()))
        held = [list(map(int, blocks.rows_of(block))) for block in range(len(blocks))]
        assert sorted(chain(*held)) == list(range(len(rows)))
        for block, mine in enumerate(held):
            assert mine == sorted(mine)
            assert blocks.of(np.array(mine)).tolist() == [block] * len(mine)
            assert len(set(chunks[mine].tolist())) == 1


def test_blocks_of_a_whole_lake_are_stretches_of_rows() -> None:
    blocks = blocks_between(np.array([0, 3, 7]))
    assert [list(blocks.rows_of(block)) for block in range(len(blocks))] == [[0, 1, 2], [3, 4, 5, 6]]
    assert blocks.of([0, 2, 3, 6]).tolist() == [0, 0, 1, 1]
