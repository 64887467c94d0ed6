"""Annotations read out of whole files are those that Deep Lake gives row by row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest
from deeplake import types
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import AnnotationError
from deeplake_mmdet.lake import Source
from deeplake_mmdet.lake.direct.array_files import read_array_file
from deeplake_mmdet.lake.direct.column_files import SWITCH, column_files
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.table import blocks

KINDS = ["float64", "float32", "int32", "int64", "uint8", "uint16"]


def write(path: Path, parts: list[list[int]], kind: str) -> Any:
    lake = deeplake.create(
        str(path),
        schema={
            "boxes": types.BoundingBox("float32", format="ltwh", bbox_type="pixel"),
            "values": types.Array(kind, 1),
            "one": "int64",
        },
    )
    random = np.random.default_rng(0)
    for counts in parts:
        lake.append(
            {
                "boxes": [random.random((count, 4)).astype(np.float32) * 100 for count in counts],
                "values": [random.integers(0, 200, count).astype(kind) for count in counts],
                "one": list(range(len(counts))),
            }
        )
        lake.commit()
    return lake


def opened(path: Path) -> Any:
    return handle_of(resolve(Source(str(path))))


def whole(found: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = list(found)
    filled = [part.values for part in parts if len(part.values)]
    assert [part.start for part in parts] == np.cumsum([0, *(len(p.counts) for p in parts[:-1])]).tolist()
    return np.concatenate([part.counts for part in parts]), np.concatenate(filled) if filled else np.zeros(0)


@given(
    parts=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=90), min_size=1, max_size=3),
    kind=st.sampled_from(KINDS),
)
@settings(max_examples=40, deadline=None)
def test_whole_files_give_what_rows_give(
    parts: list[list[int]], kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lake") / "lake"
    write(path, parts, kind)
    handle = opened(path)
    for column, width in (("boxes", 4), ("values", 0), ("one", 0)):
        counts, values = whole(blocks.read_blocks(handle, column, width=width))
        expected_counts, expected = whole(blocks.read_rows(handle, column, 0, len(handle), width, False))
        assert np.array_equal(counts, expected_counts)
        assert values.shape == expected.shape
        assert values.dtype == expected.dtype
        assert np.array_equal(values, expected)


def test_rows_of_such_files_are_not_asked_for_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lake", [[3, 0, 7] * 1000], "int32")
    handle = opened(tmp_path / "lake")
    (block,) = blocks.read_blocks(handle, "values")
    assert block.counts.tolist() == [3, 0, 7] * 1000
    assert len(block.values) == 10_000
    # Through Deep Lake so many rows come in more than one block.
    monkeypatch.setenv(SWITCH, "0")
    assert len(list(blocks.read_blocks(handle, "values"))) > 1


@pytest.mark.parametrize("changed", ["a row changed", "a row deleted", "a query", "switched off"])
def test_all_else_goes_through_deep_lake(
    tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = write(tmp_path / "lake", [[3, 0, 7]], "int32")
    source = Source(str(tmp_path / "lake"))
    if changed == "a row changed":
        lake["values"][0] = np.arange(5, dtype=np.int32)
        lake.commit()
    elif changed == "a row deleted":
        lake.delete(0)
        lake.commit()
    elif changed == "a query":
        source = Source(str(tmp_path / "lake"), query="SELECT * ORDER BY one DESC")
    else:
        monkeypatch.setenv(SWITCH, "0")
    handle = handle_of(resolve(source))
    assert column_files(handle, "values") is None
    counts, _ = whole(blocks.read_blocks(handle, "values"))
    expected = {"a row changed": [5, 0, 7], "a row deleted": [0, 7], "a query": [7, 0, 3]}
    assert counts.tolist() == expected.get(changed, [3, 0, 7])


def test_a_width_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[3, 0, 7]], "int32")
    handle = opened(tmp_path / "lake")
    with pytest.raises(AnnotationError, match="5 numbers"):
        list(blocks.read_blocks(handle, "boxes", width=5))


@given(seed=st.integers(0, 10_000), cut=st.booleans())
@settings(max_examples=200, deadline=None)
def test_altered_heads_are_not_believed(
    seed: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "altered"
    if not path.exists():
        write(path, [[3, 0, 7, 1] * 20], "int32")
    handle = opened(path)
    files = column_files(handle, "values")
    assert files is not None
    column = handle["values"]
    counts, values = read_array_file(files, 0, column, 0) or pytest.fail("not believed as it is")
    place = path / os.fsdecode(files.names[0])
    good = place.read_bytes()
    random = np.random.default_rng(seed)
    data = bytearray(good[: int(random.integers(0, len(good)))] if cut else good)
    at = int(random.integers(7, len(good) - 4 * int(counts.sum())))
    if at < len(data):
        data[at] ^= int(random.integers(1, 256))
    try:
        place.write_bytes(bytes(data))
        assert read_array_file(files, 0, column, 0) is None
    finally:
        place.write_bytes(good)
    again = read_array_file(files, 0, column, 0)
    assert again is not None
    assert np.array_equal(again[1], values)
