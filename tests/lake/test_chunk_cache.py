"""The cache of chunks by itself: what it keeps, shares, drops and survives."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import ConfigError, StorageError
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.cache.chunk_folder import ChunkFolder
from deeplake_mmdet.lake.cache.entries import DamagedEntryError, read_cells, write_entry
from deeplake_mmdet.lake.cache.settings import CacheSettings, human_bytes, read_cache_settings
from deeplake_mmdet.lake.source.source import ResolvedSource

CHUNK, CHUNKS = 10, 12
BOUNDS = np.arange(0, CHUNK * CHUNKS + 1, CHUNK)
CELLS = [random.Random(row).randbytes(900 + row) for row in range(CHUNK * CHUNKS)]


class Lake:
    """Gives cells and notes what it was asked for."""

    def __init__(self, delay=0.0):
        self.asked, self.delay = [], delay

    def __call__(self, rows):
        self.asked.append(rows)
        time.sleep(self.delay)
        return [CELLS[row] for row in rows]


def make(folder, size="1MB", name="lake"):
    source = ResolvedSource(f"s3://bucket/{name}", "id", "branch", "version")
    cache = ChunkCache(read_cache_settings({"size": size, "folder": str(folder)}), source, "images")
    cache.open()
    return cache


def entries(folder):
    return sorted(Path(folder).rglob("*.chunk"))


@pytest.mark.parametrize(
    ("given", "size"),
    [("500MB", 5e8), ("20GB", 2e10), ("1.5TB", 1.5e12), ("2 GiB", 2**31), ("7b", 7), (123, 123)],
)
def test_sizes(given, size):
    assert read_cache_settings(given).size == size


@pytest.mark.parametrize(
    "given", ["", "20", "20 XB", "-1GB", 0, -5, True, 1.5, {}, {"size": "1GB", "place": "/x"}, []]
)
def test_bad_sizes_are_refused(given):
    with pytest.raises(ConfigError, match="key 'cache'"):
        read_cache_settings(given)


@pytest.mark.parametrize("folder", ["s3://bucket/x", "", 3])
def test_bad_folders_are_refused(folder):
    with pytest.raises(ConfigError, match="folder"):
        read_cache_settings({"size": "1GB", "folder": folder})


def test_none_and_false_are_no_cache():
    assert read_cache_settings(None) is read_cache_settings(False) is None


@pytest.mark.parametrize(("count", "text"), [(999, "999 bytes"), (2e10, "20 GB"), (1.5e12, "1.5 TB")])
def test_bytes_for_people(count, text):
    assert human_bytes(count) == text


def test_a_chunk_is_fetched_once_and_as_a_whole(tmp_path):
    cache, lake = make(tmp_path), Lake()
    rows = [33, 4, 38, 31]
    assert cache.cells(BOUNDS, rows, lake) == [CELLS[row] for row in rows]
    assert sorted(map(str, lake.asked)) == ["range(0, 10)", "range(30, 40)"]
    assert cache.cells(BOUNDS, [*range(10), *range(30, 40)], lake) == CELLS[:10] + CELLS[30:40]
    assert make(tmp_path).cells(BOUNDS, [5], lake) == [CELLS[5]]  # another process's
    assert len(lake.asked) == 2
    told = cache.statistics()
    assert (told.hits, told.misses, told.chunks, told.evictions) == (20, 4, 2, 0)
    assert told.bytes_fetched == told.bytes_read == sum(map(len, CELLS[:10] + CELLS[30:40]))


def test_cells_without_bytes_and_pickles(tmp_path):
    cache = pickle.loads(pickle.dumps(make(tmp_path)))
    for _ in range(2):
        assert cache.cells(np.array([0, 3]), [0, 1, 2], lambda rows: [None, b"", b"x"]) == [b"", b"", b"x"]


def test_lakes_versions_and_columns_do_not_mix(tmp_path):
    make(tmp_path).cells(BOUNDS, [1], Lake())
    for other in (make(tmp_path, name="other"), _column_of(tmp_path)):
        assert other.cells(BOUNDS, [1], lambda rows: [b"other"] * len(rows)) == [b"other"]
    (tmp_path / "chunks-v1").rename(tmp_path / "chunks-v2")  # of another version of this package
    lake = Lake()
    make(tmp_path).cells(BOUNDS, [1], lake)
    assert len(lake.asked) == 1


def _column_of(folder):
    source = ResolvedSource("s3://bucket/lake", "id", "branch", "version")
    return ChunkCache(CacheSettings(10**6, folder), source, "thumbnails")


def test_nobody_else_may_look_inside(tmp_path):
    make(tmp_path / "new").cells(BOUNDS, [1], Lake())
    root = tmp_path / "new" / "chunks-v1"
    folders = [root, *(path for path in root.iterdir() if path.is_dir())]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}
    assert not any("bucket" in str(path) for path in root.rglob("*"))


def test_the_least_recently_used_gives_way_and_the_limit_is_kept(tmp_path):
    size = 45_000  # four chunks and a bit
    cache, other, lake = make(tmp_path, size), make(tmp_path, size, "other"), Lake()
    for chunk in (0, 1, 2, 3):
        (cache if chunk % 2 else other).cells(BOUNDS, [chunk * CHUNK], lake)
    other.cells(BOUNDS, [0], lake)  # so that chunk 1 is the oldest
    cache.cells(BOUNDS, [40], lake)
    assert sorted(int(path.name[:10]) for path in entries(tmp_path)) == [0, 20, 30, 40]
    assert cache.statistics().evictions == 1
    for chunk in [*range(CHUNKS)] * 3:
        cache.cells(BOUNDS, [chunk * CHUNK], lake)
        assert sum(path.stat().st_size for path in entries(tmp_path)) <= size


def test_a_chunk_larger_than_the_cache_is_not_kept(tmp_path, caplog):
    cache, lake = make(tmp_path, 5000), Lake()
    for _ in range(2):
        assert cache.cells(BOUNDS, [11], lake) == [CELLS[11]]
    assert entries(tmp_path) == []
    assert sum("larger than the whole cache" in record.message for record in caplog.records) == 1


def test_scattered_rows_do_not_drive_out_their_own_lake(tmp_path):
    make(tmp_path, 45_000, "stale").cells(BOUNDS, list(range(40)), Lake())
    cache, lake = make(tmp_path, 45_000), Lake()
    chance = random.Random(0)
    for _ in range(60):
        rows = chance.sample(range(len(CELLS)), 5)
        assert cache.cells(BOUNDS, rows, lake, scattered=True) == [CELLS[row] for row in rows]
    told = cache.statistics()
    assert told.chunks <= 6  # four fill it, and some were on their way when that was seen
    assert told.hits > 60
    assert told.bytes_fetched < 500 * 1000


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.binary(max_size=60), max_size=12), data=st.data())
def test_whatever_is_altered_is_found_or_does_no_harm(tmp_path_factory, cells, data):
    path = tmp_path_factory.mktemp("entry") / "e"
    with path.open("w+b") as file:
        write_entry(file.fileno(), b"i" * 16, cells)
    good = path.read_bytes()
    wanted = data.draw(st.permutations(range(len(cells))))

    def read(identity=b"i" * 16):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return read_cells(descriptor, identity, len(cells), wanted)
        finally:
            os.close(descriptor)

    assert read() == [cells[place] for place in wanted]
    with pytest.raises(DamagedEntryError):
        read(b"j" * 16)
    bad = bytearray(good)
    kind = data.draw(st.sampled_from(["flip", "cut", "zero", "longer"]))
    at = data.draw(st.integers(0, len(good) - 1))
    if kind == "flip":
        bad[at] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del bad[at:]
    elif kind == "zero":
        bad[at:] = bytes(len(bad) - at)
    else:
        bad += b"x"
    path.write_bytes(bad)
    try:
        assert read() == [cells[place] for place in wanted]
    except DamagedEntryError:
        assert bad != good


@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
def test_a_damaged_entry_is_dropped_and_fetched_anew(tmp_path, harm, caplog):
    cache, lake = make(tmp_path), Lake()
    cache.cells(BOUNDS, [2], lake)
    (path,) = entries(tmp_path)
    data = bytearray(path.read_bytes())
    data[-50] ^= 4
    path.write_bytes({"flip": data, "cut": data[:-7], "empty": b""}[harm])
    for _ in range(2):
        assert cache.cells(BOUNDS, range(10), lake) == CELLS[:10]
    assert len(lake.asked) == 2
    assert cache.statistics().damaged == 1
    assert sum("damaged" in record.message for record in caplog.records) == 1


def test_threads_that_want_the_same_chunk_fetch_it_once(tmp_path):
    cache, lake = make(tmp_path), Lake(delay=0.2)
    found = []
    threads = [
        threading.Thread(target=lambda row=row: found.append(cache.cells(BOUNDS, [row], lake)))
        for row in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([cell] for cell in CELLS[:8])
    assert len(lake.asked) == 1
    assert cache.statistics().hits == 7


def test_who_waits_too_long_fetches_by_itself(tmp_path, monkeypatch):
    cache = make(tmp_path)
    lake, inside, free = Lake(), threading.Event(), threading.Event()

    def stuck(rows):
        inside.set()
        free.wait()
        return lake(rows)

    thread = threading.Thread(target=lambda: cache.cells(BOUNDS, [0], stuck))
    thread.start()
    assert inside.wait(30)
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "0.3")
    assert cache.cells(BOUNDS, [1], lake) == [CELLS[1]]
    free.set()
    thread.join()
    assert len(lake.asked) == 2
    assert cache.cells(BOUNDS, [2], lake) == [CELLS[2]]
    assert len(lake.asked) == 2


def test_a_failed_fetch_is_tried_by_the_next(tmp_path):
    cache = make(tmp_path)

    def fail(rows):
        raise StorageError("gone")

    with pytest.raises(StorageError):
        cache.cells(BOUNDS, [0, 15], fail)
    assert list(tmp_path.rglob("*.part")) == []
    assert cache.cells(BOUNDS, [0], Lake()) == [CELLS[0]]


_START = """
import sys; sys.path.insert(0, sys.argv[2])
from lake.test_chunk_cache import *
cache = make(sys.argv[1], 45_000)
print("ready", flush=True)
"""
_FETCHER = """
cache.cells(BOUNDS, [0], lambda rows: time.sleep(600))
"""
_WRITER = """
chance = random.Random(int(sys.argv[3]))
while True:
    rows = chance.sample(range(len(CELLS)), 3)
    assert cache.cells(BOUNDS, rows, Lake(0.001)) == [CELLS[row] for row in rows]
"""


def start(code, folder, seed=0):
    tests = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", _START + code, str(folder), tests, str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    with process.stdout as told:
        assert told.readline() == b"ready\n"
    return process


def test_killed_writers_leave_nothing_wrong(tmp_path):
    chance = random.Random(0)
    for turn in range(5):
        processes = [start(_WRITER, tmp_path, 2 * turn + number) for number in range(2)]
        time.sleep(chance.uniform(0.0, 0.3))
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
    cache, lake = make(tmp_path, 45_000), Lake()
    assert list(tmp_path.rglob("*.part")) == []
    assert cache.cells(BOUNDS, range(len(CELLS)), lake) == CELLS
    assert cache.statistics().damaged == 0
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 45_000


def test_a_killed_fetcher_does_not_keep_others_waiting(tmp_path):
    process = start(_FETCHER, tmp_path)
    while not list(tmp_path.rglob("*.part")):
        time.sleep(0.05)
    cache, found = make(tmp_path), []
    thread = threading.Thread(target=lambda: found.append(cache.cells(BOUNDS, [1], Lake())))
    thread.start()
    time.sleep(0.3)
    assert not found  # it waits
    process.kill()
    process.wait()
    thread.join(5)
    assert found == [[CELLS[1]]]


def test_the_count_of_bytes_heals(tmp_path):
    cache = make(tmp_path, 45_000)
    (tmp_path / "chunks-v1" / "usage").write_bytes((44_000).to_bytes(8, "little"))  # a writer was killed
    for chunk in range(3):
        cache.cells(BOUNDS, [chunk * CHUNK], Lake())
    assert len(entries(tmp_path)) == 3


@pytest.mark.parametrize("kind", ["file", "under a file", "read-only"])
def test_folders_that_cannot_be_used_are_refused(tmp_path, kind, small_disk):
    place = tmp_path / "x"
    if kind == "read-only":
        place = small_disk("size=1m,ro")
    else:
        place.write_text("")
    with pytest.raises(ConfigError, match=r"cache of chunks cannot be used.*folder"):
        make(place / "y" if kind == "under a file" else place)


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of one's own; skips where that is not allowed."""
    places = []

    def mount(options):
        place = tmp_path / "disk"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", place], check=True)


def test_a_disk_that_fills_up_ends_caching_not_reading(small_disk, caplog):
    place = small_disk("size=64k")
    cache, lake = make(place, "1MB"), Lake()
    for _ in range(2):
        assert cache.cells(BOUNDS, range(len(CELLS)), lake) == CELLS
    assert 0 < len(entries(place)) < CHUNKS
    assert len(lake.asked) == 2 * CHUNKS - len(entries(place))
    assert sum("takes no more chunks" in record.message for record in caplog.records) == 1
    assert sum("has room for" in record.message for record in caplog.records) == 1
    assert list(place.rglob("*.part")) == []


def test_a_cache_that_is_removed_meanwhile_begins_anew(tmp_path):
    from deeplake_mmdet.lake import remove_chunks

    cache, lake = make(tmp_path), Lake()
    cache.cells(BOUNDS, [0], lake)
    assert remove_chunks(tmp_path) > 9000
    assert cache.cells(BOUNDS, [0], lake) == cache.cells(BOUNDS, [0], lake) == [CELLS[0]]
    assert len(lake.asked) == 2


def test_a_stuck_neighbour_does_not_stop_reads(tmp_path, monkeypatch):
    cache = make(tmp_path)
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() * 50)  # not to wait as long as users would
    with ChunkFolder(tmp_path, 10**6)._locked():
        assert cache.cells(BOUNDS, [0], Lake()) == [CELLS[0]]
    assert entries(tmp_path) == []
