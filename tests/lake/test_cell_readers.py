"""All readers of encoded cells, and all ways of stacking them, give what Deep Lake gives."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest
from deeplake import types
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import (
    ConfigError,
    DeepLakeMMDetError,
    ImageError,
    SourceNotFoundError,
    StorageError,
)
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, open_view, put_away
from deeplake_mmdet.lake.cache.cached_cells import CachedCells
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.cache.settings import CacheSettings
from deeplake_mmdet.lake.direct.chunk_files import ChunkFiles
from deeplake_mmdet.lake.direct.chunk_objects import ChunkObjects
from deeplake_mmdet.lake.direct.direct import read_directly
from deeplake_mmdet.lake.images.cell_reader import CellReader, StoredCells
from deeplake_mmdet.lake.images.selected_cells import SelectedCells
from deeplake_mmdet.lake.source.pinning import handle_of
from s3 import Proxy, Rule, fault_proxy, s3_endpoint

from .helpers import unpack_v3
from .lakes_in_parts import jpeg

pytestmark = pytest.mark.gives_up

PARTS = (7, 5, 9)  # rows of each chunk
BOUNDS = np.cumsum((0, *PARTS))
ROWS = int(BOUNDS[-1])
EMPTY = (2, 11)
COLUMNS = ("images", "crops", "late")  # the last is younger than the first chunk
KEYS = {"aws_access_key_id": "AKIACANARY", "aws_secret_access_key": "canary-secret"}


def cell(column: str, row: int) -> bytes:
    return b"" if row in EMPTY else jpeg(row + 1000 * COLUMNS.index(column), 8 + row % 4)


def write_lake(path: Path) -> Path:
    kind = types.Image(sample_compression="jpeg")
    boxes = types.BoundingBox("float64", format="ltwh", bbox_type="pixel")
    labels = types.ClassLabel(types.Array("uint32", 1))
    schema = {"images": kind, "crops": kind, "boxes": boxes, "labels": labels}
    lake = deeplake.create(str(path), schema=schema)
    lake["labels"].metadata["class_names"] = ["a"]
    for start, stop in pairwise(BOUNDS.tolist()):
        images = COLUMNS if start else COLUMNS[:2]
        lake.append(
            {
                **{name: [cell(name, row) for row in range(start, stop)] for name in images},
                "boxes": [np.array([[1.0, 1.0, 2.0, 2.0]])] * (stop - start),
                "labels": [np.zeros(1, np.uint32)] * (stop - start),
            }
        )
        if not start:
            lake.add_column("late", kind)
        lake.commit()
    return path


def write_view(path: Path) -> Path:
    """A lake of which the rows with ``keep`` are those of `write_lake`, among as many others."""
    kind = types.Image(sample_compression="jpeg")
    boxes = types.BoundingBox("float64", format="ltwh", bbox_type="pixel")
    labels = types.ClassLabel(types.Array("uint32", 1))
    schema = {"images": kind, "crops": kind, "boxes": boxes, "labels": labels, "keep": "uint8"}
    lake = deeplake.create(str(path), schema=schema)
    lake["labels"].metadata["class_names"] = ["a"]
    for start, stop in pairwise(BOUNDS.tolist()):
        rows = [row for kept in range(start, stop) for row in (kept, None)]
        images = COLUMNS if start else COLUMNS[:2]
        lake.append(
            {
                **{name: [jpeg(9) if row is None else cell(name, row) for row in rows] for name in images},
                "boxes": [np.array([[1.0, 1.0, 2.0, 2.0]])] * len(rows),
                "labels": [np.zeros(1, np.uint32)] * len(rows),
                "keep": [row is not None for row in rows],
            }
        )
        if not start:
            lake.add_column("late", kind)
        lake.commit()
    return path


def write_branch(path: Path) -> Path:
    """A lake whose branch ``side`` has the rows of `write_lake`, the last ones alone; ``main`` goes on."""
    write_lake(path)
    lake = deeplake.open(str(path))
    lake.branch("side", lake.history[len(list(lake.history)) - 2].id)
    last = range(*BOUNDS[-2:].tolist())
    boxes = {"boxes": [np.array([[1.0, 1.0, 2.0, 2.0]])], "labels": [np.zeros(1, np.uint32)]}
    lake.append({**{name: [jpeg(5)] for name in COLUMNS}, **boxes})
    lake.commit()
    side = lake.branches["side"].open()
    side.append(
        {
            **{name: [cell(name, row) for row in last] for name in COLUMNS},
            **{name: cells * len(last) for name, cells in boxes.items()},
        }
    )
    side.commit()
    return path


WRITERS = {"": write_lake, "view": write_view, "branch": write_branch}
CHOICES = {"": {}, "view": {"query": "SELECT * WHERE keep == 1"}, "branch": {"branch": "side"}}


def deep_lakes(path: Path, column: str) -> list[bytes | None]:
    """What Deep Lake itself gives, cell by cell."""
    found: list[bytes | None] = []
    lake = deeplake.open_read_only(str(path))
    for row in range(len(lake)):
        try:
            found.append(bytes(lake[column].get_bytes(row)) or None)
        except RuntimeError:  # of a cell that was never written
            found.append(None)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lake(tmp_path_factory.mktemp("readers") / "lake")


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, list[bytes | None]]:
    found = {column: deep_lakes(folder, column) for column in COLUMNS}
    assert found["images"] == [cell("images", row) or None for row in range(ROWS)]
    assert found["late"][: PARTS[0]] == [None] * PARTS[0]
    return found


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[tuple[str, Proxy]]:
    with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
        for kind in ("view", "branch"):
            upstream.upload(WRITERS[kind](folder.with_name(kind)), f"readers-{kind}")
        yield upstream.upload(folder, "readers"), proxy


@dataclass
class Stack:
    """A reader, and how often it had to ask the network."""

    reader: CellReader
    view: LakeView
    proxy: Proxy | None

    def requests(self) -> int:
        return 0 if self.proxy is None else self.proxy.counts().requests


def open_lake(place: str, folder: Path, bucket: tuple[str, Proxy], **options: Any) -> LakeView:
    options = {"allow_bad_images": True, **options}
    place, _, kind = place.partition(", ")
    if place == "folder":
        found = folder.with_name(kind) if kind else folder
        return open_view(Source(str(found), **CHOICES[kind]), **options)
    url, proxy = bucket
    creds = {**KEYS, "endpoint_url": proxy.url, "aws_region": "us-east-1"}
    source = Source(f"{url}-{kind}" if kind else url, **CHOICES[kind])
    return open_view(source, credentials=CredentialRef(put_away({"creds": creds})), **options)


def over(view: LakeView, column: str, layers: str, cache: Path) -> CellReader:
    """A stack of readers by the names of its layers."""
    base = view.encoded.base
    reader: CellReader = StoredCells(lambda: handle_of(base, view.credentials), column)
    cached = "cache" in layers
    if "direct" in layers:
        lake = handle_of(base, view.credentials)
        reader = read_directly(reader, lake, base, column, lambda: view.credentials, checked=cached)
    if view.table.base_rows is not None:
        bounds = None if "local" in layers else 2 * BOUNDS
        reader = SelectedCells(reader, view.table.base_rows, bounds, str(view.source))
    if cached:
        chunks = ChunkCache(CacheSettings(10**8, cache), view.source, column)
        chunks.open()
        reader = CachedCells(chunks, BOUNDS, reader, scattered="scattered" in layers)
    return reader


LAYERS = ("stored", "direct", "cache", "cache, direct", "cache, direct, scattered")
STACKS = [(place, layers) for place in ("folder", "bucket") for layers in LAYERS]
STACKS += [("folder, view", "direct, local"), ("bucket, view", "direct"), ("bucket, view", "cache, direct")]
STACKS += [("folder, branch", "direct"), ("bucket, branch", "direct"), ("bucket, branch", "cache, direct")]
Make = Callable[..., Stack]


@pytest.fixture(scope="module")
def make(folder: Path, bucket: tuple[str, Proxy], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        bucket[1].rules()

        def make(place: str, layers: str, column: str = "images") -> Stack:
            view = open_lake(place, folder, bucket, tensors={"img": column})
            reader = over(view, column, layers, tmp_path_factory.mktemp("cache"))
            return Stack(reader, view, bucket[1] if place.startswith("bucket") else None)

        yield make


def parametrized(test: Any) -> Any:
    return pytest.mark.parametrize(("place", "layers"), STACKS)(test)


def test_the_direct_layer_is_there(make: Make) -> None:
    for kind in ("", ", branch"):
        assert isinstance(make(f"folder{kind}", "direct").reader, ChunkFiles)
        assert isinstance(make(f"bucket{kind}", "direct").reader, ChunkObjects)
    for place, reader in (("folder", ChunkFiles), ("bucket", ChunkObjects)):
        view = make(f"{place}, view", "direct").view
        assert view.table.base_rows is not None
        assert view.table.base_rows.tolist() == list(range(0, 2 * ROWS, 2))
        assert isinstance(view.cell_reader(), SelectedCells)
        whole = open_view(view.encoded.base, credentials=view.credentials, allow_bad_images=True)
        assert isinstance(whole.cell_reader(), reader)


@parametrized
def test_rows_in_any_order(place: str, layers: str, make: Make, truth: dict[str, list[bytes | None]]) -> None:
    reader = make(place, layers).reader

    @settings(max_examples=25, deadline=None)
    @given(rows=st.lists(st.integers(0, ROWS - 1), max_size=30))
    def check(rows: list[int]) -> None:
        assert reader.get_bytes(rows) == [truth["images"][row] for row in rows]
        assert reader.get_bytes(np.array(rows, np.int64)) == [truth["images"][row] for row in rows]

    check()


@parametrized
@pytest.mark.parametrize("column", COLUMNS)
def test_ranges(
    place: str, layers: str, column: str, make: Make, truth: dict[str, list[bytes | None]]
) -> None:
    reader = make(place, layers, column).reader
    spans = [*pairwise(BOUNDS.tolist()), (0, 12), (7, ROWS), (0, ROWS), (3, 4), (3, 15), (5, 5)]
    for start, stop in spans + spans:
        assert reader.get_bytes(range(start, stop)) == truth[column][start:stop]
    assert reader.get_bytes(range(1, ROWS, 4)) == truth[column][1::4]
    assert reader.get_bytes(range(9, 2, -3)) == [truth[column][row] for row in (9, 6, 3)]


@parametrized
def test_none_of_no_rows_and_no_others(place: str, layers: str, make: Make) -> None:
    reader = make(place, layers).reader
    assert reader.get_bytes([]) == reader.get_bytes(range(4, 4)) == reader.get_bytes(()) == []
    wrong: list[Sequence[int]] = [[-1], [ROWS], [0, ROWS + 5], [3, -ROWS], range(ROWS + 1)]
    for rows in [*wrong, range(-2, 3), np.array([0, ROWS])]:
        with pytest.raises(ConfigError, match=f"has {ROWS} rows"):
            reader.get_bytes(rows)
    assert reader.get_bytes([0]) == [cell("images", 0)]


@parametrized
def test_a_closed_lake_is_opened_again_and_forgotten_rows_are_read_again(
    place: str, layers: str, make: Make, truth: dict[str, list[bytes | None]]
) -> None:
    stack = make(place, layers)
    for _ in range(2):
        assert stack.reader.get_bytes(range(ROWS)) == truth["images"]
        stack.view.close()
        assert stack.reader.get_bytes([5, 2, 5]) == [truth["images"][row] for row in (5, 2, 5)]
        stack.reader.forget([5, 20])
        assert stack.reader.get_bytes([20, 5]) == [truth["images"][20], truth["images"][5]]


@parametrized
def test_threads_share_a_reader(
    place: str, layers: str, make: Make, truth: dict[str, list[bytes | None]]
) -> None:
    reader = make(place, layers).reader

    def look(seed: int) -> bool:
        random = np.random.default_rng(seed)
        for _ in range(10):
            rows = random.integers(0, ROWS, 6).tolist()
            start = int(random.integers(0, ROWS))
            assert reader.get_bytes(rows) == [truth["images"][row] for row in rows]
            assert reader.get_bytes(range(start, ROWS)) == truth["images"][start:]
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(look, range(4)))


@pytest.mark.parametrize("layers", [layers for layers in LAYERS if "cache" in layers])
def test_what_is_in_the_cache_takes_no_request(make: Make, layers: str) -> None:
    stack = make("bucket", layers)
    first = stack.reader.get_bytes(range(ROWS))
    before = stack.requests()
    assert stack.reader.get_bytes(range(ROWS)) == first
    assert stack.reader.get_bytes([3, 20, 3]) == [first[3], first[20], first[3]]
    assert stack.requests() == before
    stack.reader.forget([3])
    assert stack.reader.get_bytes([10, 20]) == [first[10], first[20]]  # of other chunks
    assert stack.requests() == before
    assert stack.reader.get_bytes([3]) == [first[3]]
    assert stack.requests() > before


def test_chunks_for_the_cache_come_directly(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for each, and none of Deep Lake's, once two have been compared."""
    stack = make("bucket", "cache, direct")
    first = stack.reader.get_bytes(range(BOUNDS[2]))
    deep_lake = StoredCells.get_bytes

    def refuse(*_: Any) -> Any:
        raise AssertionError("Deep Lake was asked")

    monkeypatch.setattr(StoredCells, "get_bytes", refuse)
    before = stack.requests()
    last = stack.reader.get_bytes([ROWS - 1, ROWS - 2])
    assert stack.requests() == before + 1
    monkeypatch.setattr(StoredCells, "get_bytes", deep_lake)
    assert [*first, *reversed(last)] == [cell("images", row) or None for row in [*range(12), 19, 20]]


@pytest.mark.parametrize("action", ["status", "reset", "short"])
@pytest.mark.parametrize("layers", LAYERS)
def test_requests_that_fail_are_made_again(
    layers: str, action: str, make: Make, truth: dict[str, list[bytes | None]]
) -> None:
    stack = make("bucket", layers)
    stack.reader.get_bytes([0])
    stack.view.close()
    stack.reader.forget(range(ROWS))
    assert stack.proxy is not None
    stack.proxy.rules(Rule(action, match="GET", status=503, times=2, skip=1))
    assert stack.reader.get_bytes(range(ROWS)) == truth["images"]
    stack.proxy.rules()


@pytest.mark.parametrize("layers", LAYERS)
def test_another_lake_in_the_folder_is_noticed(layers: str, tmp_path: Path) -> None:
    view = open_view(Source(str(write_lake(tmp_path / "lake"))), allow_bad_images=True)
    reader = over(view, "images", layers, tmp_path / "cache")
    first = reader.get_bytes([0, 1])
    (tmp_path / "lake").rename(tmp_path / "old")
    with pytest.raises(SourceNotFoundError, match="no longer at its path"):
        reader.get_bytes([ROWS - 1])
    write_lake(tmp_path / "lake")
    with pytest.raises(SourceNotFoundError, match=r"Another lake|no longer at its path"):
        reader.get_bytes([ROWS - 1])
    if "cache" in layers:  # of the pinned lake
        assert reader.get_bytes([0, 1]) == first


def chunk_of(path: Path, row: int) -> Path:
    told = deeplake.open_read_only(str(path))._datafiles_report["images"].insert_datafiles
    return path / next(file.filename for file in told if file.offset_start <= row < file.offset_end)


@pytest.mark.parametrize("harm", ["cut", "longer", "gone"])
@pytest.mark.parametrize("layers", [layers for layers in LAYERS if "direct" in layers])
def test_a_damaged_file_is_an_error_and_no_image(layers: str, harm: str, tmp_path: Path) -> None:
    view = open_view(Source(str(write_lake(tmp_path / "lake"))), allow_bad_images=True)
    reader = over(view, "images", layers, tmp_path / "cache")
    chunk = chunk_of(tmp_path / "lake", ROWS - 1)
    data = chunk.read_bytes()
    if harm == "gone":
        chunk.unlink()
    else:
        chunk.write_bytes(data[:-40] if harm == "cut" else data + b"40")
    with pytest.raises(DeepLakeMMDetError):
        reader.get_bytes([ROWS - 1])
    assert reader.get_bytes([0, 1]) == [cell("images", 0), cell("images", 1)]  # of another file
    chunk.write_bytes(data)
    assert reader.get_bytes([ROWS - 1]) == [cell("images", ROWS - 1)]


class Unsteady:
    """Gives damaged bytes a number of times, as a bad network does; `forget` is what helps."""

    def __init__(self, bad: int) -> None:
        self.bad = bad
        self.forgotten: list[int] = []

    def get_bytes(self, rows: Sequence[int]) -> list[bytes | None]:
        found: list[bytes | None] = [cell("images", row) or None for row in rows]
        if 4 in rows and self.bad:
            self.bad -= 1
            found[list(rows).index(4)] = cell("images", 4)[: -10 - self.bad]
        return found

    def forget(self, rows: Sequence[int]) -> None:
        self.forgotten.extend(rows)


@pytest.mark.parametrize("bad", [1, 2, 9])
def test_a_damaged_cell_is_not_kept(bad: int, tmp_path: Path, folder: Path) -> None:
    view = open_view(Source(str(folder)), allow_bad_images=True)
    chunks = ChunkCache(CacheSettings(10**8, tmp_path), view.source, "images")
    chunks.open()
    under = Unsteady(bad)
    reader = CachedCells(chunks, BOUNDS, under)
    if bad > 3:
        with pytest.raises(StorageError, match=r"other bytes each time.*rows 4"):
            reader.get_bytes([0])
        assert not list(tmp_path.rglob("*.chunk"))
    else:
        assert reader.get_bytes([0, 4]) == [cell("images", 0), cell("images", 4)]
    assert set(under.forgotten) == {4}


VIEWS = [
    "SELECT * WHERE ROW_NUMBER() % 2 == 1",
    "SELECT * ORDER BY ROW_NUMBER() DESC",
    "SELECT * ORDER BY RANDOM() LIMIT 9",
    "SELECT images, crops, boxes, labels WHERE ROW_NUMBER() > 5",
]


@pytest.mark.parametrize("query", VIEWS)
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("column", COLUMNS[:2])
def test_views_have_orders_of_their_own(
    query: str, cached: bool, column: str, folder: Path, tmp_path: Path
) -> None:
    view = open_view(Source(str(folder), query=query), tensors={"img": column}, allow_bad_images=True)
    deep_lake = handle_of(view.source, view.credentials)
    expected = [bytes(deep_lake[column].get_bytes(row)) or None for row in range(len(view.table))]
    if cached:
        chunks = ChunkCache(CacheSettings(10**8, tmp_path), view.encoded.cached_source, column)
        chunks.open()
        view = view.with_cache(chunks)
    rows = np.random.default_rng(0).permutation(len(expected)).tolist()
    for scattered in (False, True):
        reader = view.cell_reader(scattered=scattered)
        assert isinstance(reader, SelectedCells)
        assert reader.get_bytes(rows) == [expected[row] for row in rows]
        assert reader.get_bytes(range(len(expected))) == expected
    assert isinstance(view.fetch(rows)[0], bytes) == bool(expected[rows[0]])


@pytest.mark.parametrize("cached", [False, True])
def test_older_lakes(cached: bool, tmp_path: Path) -> None:
    view = open_view(Source(unpack_v3(tmp_path)))
    column = view.roles.img
    expected = [bytes(view.handle[column].get_bytes(row)) or None for row in range(len(view.table))]
    if cached:
        chunks = ChunkCache(CacheSettings(10**8, tmp_path / "cache"), view.source, column)
        chunks.open()
        view = view.with_cache(chunks)
    for _ in range(2):
        assert view.cell_reader().get_bytes(range(len(expected))) == expected
        assert view.cell_reader().get_bytes([1, 0, 1]) == [expected[row] for row in (1, 0, 1)]


def send_cells(pipe: Any, view: LakeView) -> None:
    try:
        pipe.send(view.cell_reader().get_bytes([4, 0, 20]))
    except BaseException as error:
        pipe.send(repr(error))


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("way", ["spawn", "forkserver"])
@pytest.mark.parametrize("place", ["folder", "bucket", "folder, view"])
def test_other_processes_read_the_same_and_no_secret_travels(
    place: str, way: str, cached: bool, folder: Path, bucket: tuple[str, Proxy], tmp_path: Path
) -> None:
    view = open_lake(place, folder, bucket)
    if cached:
        chunks = ChunkCache(CacheSettings(10**8, tmp_path), view.encoded.cached_source, "images")
        chunks.open()
        view = view.with_cache(chunks)
    expected = view.cell_reader().get_bytes([4, 0, 20])
    told = pickle.dumps(view) + repr(view.cell_reader()).encode() + repr(view).encode()
    assert b"canary" not in told.lower()
    context = multiprocessing.get_context(way)
    here, there = context.Pipe()
    child = context.Process(target=send_cells, args=(there, view))
    child.start()
    assert here.poll(60)
    assert here.recv() == expected
    child.join(60)


def test_caches_of_earlier_versions_are_read(folder: Path, tmp_path: Path) -> None:
    """An entry as it has been written from the beginning of ``chunks-v1``."""
    view = open_view(Source(str(folder)), allow_bad_images=True)
    facts = {"source": view.source.facts(), "column": "images"}
    plain = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    shelf = tmp_path / "chunks-v1" / hashlib.blake2s(plain.encode(), digest_size=8).hexdigest()
    shelf.mkdir(parents=True, mode=0o700)
    (tmp_path / "chunks-v1").chmod(0o700)
    cells = [b"old %d" % row if row != 2 else b"" for row in range(BOUNDS[1])]
    identity = hashlib.blake2s(
        f"{json.dumps(facts, sort_keys=True)} 0 {BOUNDS[1]}".encode(), digest_size=16
    ).digest()
    index = np.cumsum([len(old) for old in cells], dtype="<u8").tobytes()
    index += np.array([zlib.crc32(old) for old in cells], "<u4").tobytes()
    head = struct.pack(
        "<8s16sQI4x", b"DLMCHNK1", identity, len(cells), zlib.crc32(index, zlib.crc32(identity))
    )
    entry = shelf / f"{0:010d}-{BOUNDS[1]:010d}.chunk"
    entry.write_bytes(head + index + b"".join(cells))
    entry.chmod(0o600)
    reader = over(view, "images", "cache, direct", tmp_path)
    assert reader.get_bytes(range(BOUNDS[1])) == [old or None for old in cells]
    entry.write_bytes(head + index[:-1] + b"\0" + b"".join(cells))  # damaged: it is fetched anew
    assert reader.get_bytes([0, 3]) == [cell("images", 0), cell("images", 3)]
    assert reader.get_bytes([1]) == [cell("images", 1)]


@pytest.mark.parametrize("linked", [False, True])
def test_images_may_be_younger_than_their_lake(linked: bool, tmp_path: Path) -> None:
    """The files of such a lake are told with an empty name for its first rows, of which there is none."""
    kind: Any = types.Image(sample_compression="jpeg")
    (tmp_path / "linked.jpg").write_bytes(jpeg(7))
    images = [str(tmp_path / "linked.jpg")] * 3 if linked else [jpeg(row) for row in range(3)]
    boxes = types.BoundingBox("float64", format="ltwh", bbox_type="pixel")
    schema = {"boxes": boxes, "labels": types.ClassLabel(types.Array("uint32", 1))}
    lake = deeplake.create(str(tmp_path / "lake"), schema=schema)
    lake["labels"].metadata["class_names"] = ["a"]
    cells = {"boxes": [np.array([[1.0, 1.0, 2.0, 2.0]])] * 3, "labels": [np.zeros(1, np.uint32)] * 3}
    lake.append(cells)
    lake.add_column("photos", types.Link(kind) if linked else kind)
    lake.commit()
    lake.append({**cells, "photos": images})
    lake.commit()
    with pytest.raises(ImageError, match=r"3 of 6.*rows 0, 1, 2"):
        open_view(Source(str(tmp_path / "lake")))
    view = open_view(Source(str(tmp_path / "lake")), allow_bad_images=True)
    assert view.table.widths.tolist() == [0, 0, 0, 16, 16, 16]
    found = view.fetch(range(6))
    assert [isinstance(image, ImageError) for image in found] == [True] * 3 + [False] * 3
    assert found[3:] == ([jpeg(7)] * 3 if linked else images)
    assert view.chunk_bounds.tolist() == [0, 6]
