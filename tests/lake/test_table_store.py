"""The cache of annotation tables."""

import json
import logging
import multiprocessing
import os
import pickle
import resource
import stat

import numpy as np
import pytest

from deeplake_mmdet.errors import AnnotationError, StorageError
from deeplake_mmdet.lake import CredentialRef, Source, open_view, put_away
from deeplake_mmdet.lake.table import files as table_files
from deeplake_mmdet.lake.table import store as table_store
from deeplake_mmdet.lake.table.blocks import read_blocks

SECRET = "canary-0123456789"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(folder))
    return folder


@pytest.fixture
def lake(make_lake, rows, tmp_path):
    return make_lake(tmp_path / "lake", **rows(5, labels=np.array([1, 0], np.uint32)))


def arrays(table):
    names = ("offsets", "boxes", "labels", "widths", "heights")
    return {name: getattr(table, name).tolist() for name in names}


def in_memory(lake, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("DEEPLAKE_MMDET_CACHE", "/dev/null")
        return arrays(open_view(Source(lake.url)).table)


def table_of(lake, **options):
    return open_view(Source(lake.url), **options).table


def test_a_table_is_built_once_and_mapped_from_then_on(lake, monkeypatch):
    first = table_of(lake)
    monkeypatch.setattr(table_store, "fill_table", None)
    second = table_of(lake, classes=["b", "a"])  # the selection of classes is no part of the table
    assert second.folder == first.folder
    assert arrays(second) == arrays(first) == in_memory_of(first)
    assert not second.boxes.flags.writeable
    assert [path for path, _ in table_store.cached_tables()] == [first.folder]


def in_memory_of(table):
    return arrays(pickle.loads(pickle.dumps(table)))


def test_what_changes_the_table_changes_its_place(lake, rows):
    folders = {table_of(lake).folder, table_of(lake, box_format="ccwh").folder}
    lake.append(images=[open_view(Source(lake.url)).images([0])[0]], **rows(1))
    folders |= {table_of(lake).folder, open_view(Source(lake.url, query="SELECT * LIMIT 2")).table.folder}
    assert len(folders) == 4


def test_the_cache_is_the_users_own_and_holds_no_secret(lake, cache):
    ref = CredentialRef(put_away({"token": SECRET}))
    folder = table_of(lake, credentials=ref).folder
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    for file in (file for file in cache.rglob("*") if file.is_file()):
        assert SECRET.encode() not in file.read_bytes()


def cut(folder):
    os.truncate(folder / "boxes.npy", (folder / "boxes.npy").stat().st_size - 1)


def alter(folder):
    data = bytearray((folder / "boxes.npy").read_bytes())
    data[-3] ^= 1
    (folder / "boxes.npy").write_bytes(data)


def alter_quietly(folder):
    before = (folder / "labels.npy").stat()
    data = bytearray((folder / "labels.npy").read_bytes())
    data[-4] ^= 1
    (folder / "labels.npy").write_bytes(data)
    os.utime(folder / "labels.npy", ns=(before.st_atime_ns, before.st_mtime_ns))


def lose(folder):
    (folder / "offsets.npy").unlink()


def garble(folder):
    (folder / "manifest.json").write_text("{")


@pytest.mark.parametrize("damage", [cut, alter, alter_quietly, lose, garble])
def test_a_damaged_table_is_built_anew(lake, damage, caplog, monkeypatch):
    folder = table_of(lake).folder
    damage(folder)
    with caplog.at_level(logging.WARNING):
        again = table_of(lake)
    assert "is damaged and is built anew" in caplog.text
    assert again.folder == folder
    assert arrays(again) == in_memory(lake, monkeypatch)
    caplog.clear()
    assert arrays(table_of(lake)) == arrays(again)
    assert not caplog.text
    assert len(list(folder.parent.glob(".*-*"))) == 0


def test_what_nobody_has_checked_is_checked_once(lake, monkeypatch):
    """As after a copy of the cache, or in the form of an older version of this package."""
    folder = table_of(lake).folder
    summed = []
    checksum = table_files._checksum
    monkeypatch.setattr(table_files, "_checksum", lambda array: summed.append(1) or checksum(array))
    table_of(lake)
    assert not summed
    (folder / "checked.json").write_text(json.dumps({"boot": "0", "files": {}}))
    table_of(lake)
    assert len(summed) == len(list(folder.glob("*.npy")))
    table_of(lake)
    assert len(summed) == len(list(folder.glob("*.npy")))


def test_without_a_cache_the_table_is_kept_in_memory(lake, cache, caplog):
    cache.write_text("no folder")
    with caplog.at_level(logging.WARNING):
        table = table_of(lake)
    assert table.folder is None
    assert "DEEPLAKE_MMDET_CACHE" in caplog.text
    assert arrays(pickle.loads(pickle.dumps(table))) == arrays(table)


def test_on_a_full_disk_the_table_is_kept_in_memory(make_lake, rows, tmp_path, cache, caplog):
    lake = make_lake(tmp_path / "large", **rows(2000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        table = table_of(lake)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (table.folder, table.boxes.shape) == (None, (4000, 4))
    assert "kept in memory" in caplog.text
    assert [path.name for path in (cache / "tables").iterdir() if path.is_dir()] == []


def test_a_lake_of_this_process_only_is_not_cached(make_lake, rows, cache):
    lake = make_lake(**rows())
    assert table_of(lake).folder is None
    assert not cache.exists()


def test_a_build_that_fails_leaves_nothing(make_lake, rows, tmp_path, cache):
    cells = rows(3)
    cells["boxes"][2][0, 0] = np.nan
    lake = make_lake(tmp_path / "bad", **cells)
    with pytest.raises(AnnotationError, match="row 2"):
        table_of(lake)
    assert [path.name for path in (cache / "tables").iterdir() if not path.name.endswith(".lock")] == []


def test_what_a_killed_build_left_is_removed(lake, cache):
    folder = table_of(lake).folder
    table_store.clear_cache()
    left = folder.with_name(f".{folder.name}.building-1-aa")
    left.mkdir()
    (left / "boxes.npy").write_text("half")
    assert table_of(lake).folder == folder
    assert not left.exists()


def build_in_child(url, ready, go, results):
    ready.put(1)
    go.wait()
    started = []
    fill = table_store.fill_table
    table_store.fill_table = lambda *args, **options: (started.append(1), fill(*args, **options))
    table = open_view(Source(url)).table
    results.put((len(started), str(table.folder), float(table.boxes.sum())))


def test_of_several_ranks_one_builds_and_all_map_the_same(lake):
    context = multiprocessing.get_context("spawn")
    ready, results, go = context.Queue(), context.Queue(), context.Event()
    ranks = [context.Process(target=build_in_child, args=(lake.url, ready, go, results)) for _ in range(3)]
    for rank in ranks:
        rank.start()
    for _ in ranks:
        ready.get(timeout=60)
    go.set()
    found = [results.get(timeout=60) for _ in ranks]
    for rank in ranks:
        rank.join(30)
    assert sum(built for built, _, _ in found) == 1
    assert len({rest for _, *rest in map(list, found) for rest in [tuple(rest)]}) == 1


def test_without_locks_the_first_to_finish_is_kept(lake, monkeypatch):
    def unsupported(*_):
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", unsupported)
    fill = table_store.fill_table

    def overtaken(*args, **options):
        fill(*args, **options)
        monkeypatch.setattr(table_store, "fill_table", fill)
        first.append(table_of(lake))

    first = []
    monkeypatch.setattr(table_store, "fill_table", overtaken)
    second = table_of(lake)
    assert second.folder == first[0].folder
    assert len(list(second.folder.parent.glob(".*-*"))) == 0


def test_a_cached_table_is_pickled_as_its_place(lake):
    view = open_view(Source(lake.url), classes=["a"])
    assert view.labels.tolist() == [-1, 0] * 5
    assert len(pickle.dumps(view.table)) < 300
    assert arrays(pickle.loads(pickle.dumps(view.table))) == arrays(view.table)
    data = pickle.dumps(view.table)
    assert table_store.clear_cache() > 0
    assert table_store.cached_tables() == []
    with pytest.raises(StorageError, match="built anew"):
        pickle.loads(data)


@pytest.mark.parametrize(("column", "width"), [("boxes", 4), ("labels", 0)])
def test_blocks_of_any_size_give_the_same_column(make_lake, tmp_path, monkeypatch, column, width):
    monkeypatch.setenv("DEEPLAKE_MMDET_DIRECT", "0")  # through Deep Lake, whose reads have a size
    random = np.random.default_rng(0)
    counts = random.integers(0, 4, 40)
    lake = make_lake(
        tmp_path / "many",
        boxes=[random.random((count, 4)) + 1 for count in counts],
        labels=[random.integers(0, 2, count).astype(np.uint32) for count in counts],
    )
    with open_view(Source(lake.url)) as view:
        (whole,) = read_blocks(view.handle, column, width=width)
        for number in (1, 3, 7):
            blocks = list(read_blocks(view.handle, column, width=width, rows=number, kept_bytes=100))
            assert len(blocks) == -(-40 // number)
            assert np.concatenate([block.counts for block in blocks]).tolist() == whole.counts.tolist()
            assert np.concatenate([block.values for block in blocks]).tolist() == whole.values.tolist()


def test_a_table_of_many_blocks_is_that_of_whole_files(make_lake, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    counts = random.integers(0, 4, 7000)
    make_lake(
        tmp_path / "many",
        boxes=[random.random((count, 4)) + 1 for count in counts],
        labels=[random.integers(0, 2, count).astype(np.uint32) for count in counts],
    )
    source = Source(str(tmp_path / "many"))
    with open_view(source) as view:
        whole = arrays(view.table)
    table_store.clear_cache()
    monkeypatch.setenv("DEEPLAKE_MMDET_DIRECT", "0")
    with open_view(source) as view:
        assert len(list(read_blocks(view.handle, "boxes", width=4))) > 2
        assert arrays(view.table) == whole


def test_boxes_come_in_blocks_that_cover_the_table(lake):
    table = table_of(lake)
    whole = np.concatenate([table.xywh(row) for row in range(len(table))])
    for size in (1, 3, 100):
        blocks = list(table.blocks(size))
        assert np.concatenate([block.xywh for block in blocks]).tolist() == whole.tolist()
        assert np.concatenate([block.rows for block in blocks]).tolist() == table.rows_of_boxes().tolist()
        assert [block.boxes.start for block in blocks][1:] == [block.boxes.stop for block in blocks][:-1]
    chosen = np.arange(10) % 3 == 0
    assert (
        table.count_per_row(chosen).tolist()
        == np.bincount(np.repeat(range(5), 2)[chosen], minlength=5).tolist()
    )
