"""Images read straight out of a local lake's files are those that Deep Lake gives."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import deeplake
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake import LakeView, Source, open_view
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.direct.chunk_files import ChunkFiles, chunk_files
from deeplake_mmdet.lake.direct.chunk_layout import read_places
from deeplake_mmdet.lake.direct.column_files import SWITCH
from deeplake_mmdet.lake.images.cell_reader import CellReader, StoredCells
from deeplake_mmdet.lake.images.selected_cells import SelectedCells

from .lakes_in_parts import jpeg, write


def reader_of(path: Path) -> CellReader:
    return open_view(Source(str(path)), allow_bad_images=True).cell_reader()


def cells_of(view: LakeView, rows: list[int]) -> list[bytes]:
    return [bytes(view.handle["images"].get_bytes(row)) for row in rows]


class Noting:
    """Gives cells in Deep Lake's place, and notes the rows that it was asked for."""

    def __init__(self, cells: list[bytes | None]) -> None:
        self.cells = cells
        self.asked: list[int] = []

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        self.asked.extend(rows)
        return [self.cells[row] for row in rows]

    def forget(self, rows: Sequence[int]) -> None: ...


def files_over(view: LakeView, under: CellReader) -> ChunkFiles:
    assert isinstance(view.handle, LakeHandle)
    files = chunk_files(view.handle, "images", under)
    assert files is not None
    return files


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_cells_are_deep_lakes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lake") / "lake"
    sizes = st.tuples(st.integers(0, 5), st.integers(8, 20), st.integers(8, 20))
    parts = data.draw(st.lists(st.lists(sizes, min_size=1, max_size=12), min_size=1, max_size=3))
    write(path, [[jpeg(*size) for size in part] for part in parts])
    view = open_view(Source(str(path)))
    files = view.cell_reader()
    assert isinstance(files, ChunkFiles)
    count = len(view.table)
    rows = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=20))
    assert files.get_bytes(rows) == cells_of(view, rows)
    assert files.get_bytes(range(count)) == cells_of(view, list(range(count)))
    assert files.get_bytes(rows[:1]) == cells_of(view, rows[:1])


def test_deep_lake_is_asked_for_three_images_of_a_file_only(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(seed) for seed in range(50)]])
    view = open_view(Source(str(tmp_path / "lake")))
    noting = Noting([*cells_of(view, list(range(50)))])
    files = files_over(view, noting)
    assert [files.get_bytes([row])[0] for row in range(50)] == noting.cells
    assert noting.asked == [0, 25, 49]


def test_files_of_a_version_are_compared_until_eight_were_right(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(row), jpeg(row + 100)] for row in range(12)])
    view = open_view(Source(str(tmp_path / "lake")))
    noting = Noting([*cells_of(view, list(range(24)))])
    files = files_over(view, noting)
    assert len(files._files.names) == 12
    assert [files.get_bytes([row])[0] for row in range(24)] == noting.cells
    assert noting.asked == list(range(16))


def test_the_view_reads_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lake", [[jpeg(seed) for seed in range(9)]])
    view = open_view(Source(str(tmp_path / "lake")))
    expected = cells_of(view, [4, 2, 8, 4])
    assert view.images([0]) == cells_of(view, [0])

    def no_deep_lake(*_: Any) -> list[Any]:
        raise AssertionError("Deep Lake was asked")

    monkeypatch.setattr(StoredCells, "get_bytes", no_deep_lake)
    assert view.images([4, 2, 8, 4]) == expected
    assert view.fetch_span(2, 9)[2] == expected[0]


def test_empty_cells(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(0), b"", jpeg(1), b""]])
    view = open_view(Source(str(tmp_path / "lake")), allow_bad_images=True)
    expected = [cell or None for cell in cells_of(view, [0, 1, 2, 3])]
    assert view.cell_reader().get_bytes([0, 1, 2, 3]) == expected


def test_changed_and_deleted_rows_are_deep_lakes_business(tmp_path: Path) -> None:
    lake = write(tmp_path / "lake", [[jpeg(seed) for seed in range(9)]])
    first = lake.version
    lake["images"][3] = jpeg(100)
    lake.commit()
    changed = open_view(Source(str(tmp_path / "lake")))
    assert isinstance(changed.cell_reader(), StoredCells)
    assert changed.images([3]) == [jpeg(100)]
    lake.delete(0)
    lake.commit()
    assert isinstance(reader_of(tmp_path / "lake"), StoredCells)
    old = open_view(Source(str(tmp_path / "lake"), commit=first))
    assert old.images([3, 0]) == [jpeg(3), jpeg(0)]


def test_a_query_has_an_order_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(seed) for seed in range(9)]])
    view = open_view(Source(str(tmp_path / "lake"), query="SELECT * ORDER BY ROW_NUMBER() DESC"))
    assert isinstance(view.cell_reader(), SelectedCells)
    assert view.images(range(9)) == [jpeg(seed) for seed in reversed(range(9))]
    assert view.images([7, 0]) == [jpeg(1), jpeg(8)]


def chunk_of(path: Path) -> Path:
    (told,) = deeplake.open_read_only(str(path))._datafiles_report["images"].insert_datafiles
    return path / told.filename


@pytest.mark.parametrize("harm", ["cut", "longer", "other bytes", "gone", "empty"])
def test_a_file_that_is_not_the_lakes_own_is_never_believed(tmp_path: Path, harm: str) -> None:
    write(tmp_path / "lake", [[jpeg(seed) for seed in range(9)]])
    view = open_view(Source(str(tmp_path / "lake")))
    expected = cells_of(view, list(range(9)))
    chunk = chunk_of(tmp_path / "lake")
    noting = Noting([*expected])
    files = files_over(view, noting)
    data = chunk.read_bytes()
    if harm == "gone":
        chunk.unlink()
    else:
        changed = {"cut": data[:-7], "longer": data + b"7", "empty": b""}.get(
            harm, data[:-9] + b"other bytes"[:9]
        )
        chunk.write_bytes(changed)
    if harm == "other bytes":  # Deep Lake is asked
        assert files.get_bytes([1, 8, 3]) == [expected[1], expected[8], expected[3]]
        assert {1, 8, 3} <= set(noting.asked)
        return
    with pytest.raises(StorageError, match="does not exist" if harm == "gone" else "exchanged or damaged"):
        files.get_bytes([1, 8, 3])
    assert not noting.asked


def test_a_file_exchanged_for_another_of_its_size_is_noticed(tmp_path: Path) -> None:
    first, second = [jpeg(0) + bytes(40), jpeg(1)], [jpeg(0), jpeg(1) + bytes(40)]
    for name, images in (("lake", first), ("other", second)):
        write(tmp_path / name, [images])
    view = open_view(Source(str(tmp_path / "lake")))
    assert view.images([0, 1]) == first
    chunk, other = chunk_of(tmp_path / "lake"), chunk_of(tmp_path / "other")
    assert chunk.stat().st_size == other.stat().st_size
    chunk.write_bytes(chunk.read_bytes())  # the very same again
    assert view.images([0, 1]) == first
    chunk.write_bytes(other.read_bytes())
    with pytest.raises(StorageError, match="exchanged or damaged"):
        view.images([0, 1])


@given(noise=st.binary(max_size=200), count=st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_no_file_breaks_the_reading_of_heads(noise: bytes, count: int) -> None:
    _, places = read_places(lambda length, start: noise[start : start + length], len(noise), count)
    assert places is None or int(places[-1]) == len(noise)


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lake", [[jpeg(0)]])
    monkeypatch.setenv(SWITCH, "0")
    assert isinstance(reader_of(tmp_path / "lake"), StoredCells)


def test_a_pickled_view_finds_the_files_itself(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(seed) for seed in range(5)]])
    view = open_view(Source(str(tmp_path / "lake")))
    expected = view.images([3])
    again = pickle.loads(pickle.dumps(view))
    assert again.cell_reader() is not view.cell_reader()
    assert again.images([3]) == expected


def open_files_below(path: Path) -> list[Path]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(descriptor.readlink())
    return [name for name in found if name.is_relative_to(path)]


def test_files_stay_open_until_the_view_is_closed(tmp_path: Path) -> None:
    write(tmp_path / "lake", [[jpeg(row), jpeg(row + 100)] for row in range(12)])
    view = open_view(Source(str(tmp_path / "lake")))
    expected = view.images(range(24))
    assert len(open_files_below(tmp_path)) == 12
    for _ in range(3):
        assert view.images(range(24)) == expected
    assert len(open_files_below(tmp_path)) == 12
    view.close()
    assert open_files_below(tmp_path) == []
    assert view.images(range(24)) == expected


def test_more_files_than_stay_open_in_several_threads(tmp_path: Path) -> None:
    """A descriptor that was closed too early would be given to the next file that another thread opens."""
    write(tmp_path / "lake", [[jpeg(row)] for row in range(60)])
    code = """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))  # a quarter of them may stay open
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from deeplake_mmdet.lake import Source, open_view

        view = open_view(Source(sys.argv[1]))
        expected = [bytes(view.handle["images"].get_bytes(row)) for row in range(60)]
        files = view.cell_reader()

        def look(seed):
            random = np.random.default_rng(seed)
            chosen = [random.integers(0, 60, 5).tolist() for _ in range(300)]
            return all(files.get_bytes(rows) == [expected[row] for row in rows] for rows in chosen)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(look, range(8)))
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "lake")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr[-3000:]
