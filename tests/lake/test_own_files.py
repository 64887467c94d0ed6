"""Caches in folders where others can write: nothing is read or written through what they have put there."""

from __future__ import annotations

import logging
import os
import stat

import numpy as np
import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import ChunkCache, Source, cached_tables, clear_cache, open_view, read_cache_settings
from deeplake_mmdet.lake.source.source import ResolvedSource

BOUNDS = np.array([0, 4, 8])
CELLS = [bytes([row]) * 50 for row in range(8)]
STRANGER = 54321

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def cache_in(folder):
    source = ResolvedSource("s3://bucket/lake", "id", "branch", "version")
    return ChunkCache(read_cache_settings({"size": "1MB", "folder": str(folder)}), source, "images")


def read_rows(rows):
    return [CELLS[row] for row in rows]


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def victim(tmp_path):
    file = tmp_path / "of ours"
    file.write_bytes(b"something that must stay as it is")
    return file


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_folders_and_files_are_for_this_user_alone(tmp_path):
    folder = tmp_path / "a" / "b"
    cache = cache_in(folder)
    cache.open()
    assert cache.cells(BOUNDS, [0, 5], read_rows) == [CELLS[0], CELLS[5]]
    found = modes(tmp_path / "a")
    assert len(found) == 7
    assert {mode & 0o077 for mode in found.values()} == {0}


@pytest.mark.parametrize("how", ["link", "second name", "pipe"])
def test_a_planted_usage_file_is_refused(tmp_path, victim, how):
    folder = tmp_path / "cache"
    (folder / "chunks-v1").mkdir(parents=True)
    plant(folder / "chunks-v1" / "usage", victim, how)
    with pytest.raises(ConfigError, match="cache of chunks cannot be used"):
        cache_in(folder).open()
    assert victim.read_bytes() == b"something that must stay as it is"


@pytest.mark.parametrize("how", ["link", "second name", "pipe"])
def test_planted_entries_are_neither_read_nor_written(tmp_path, victim, how):
    folder = tmp_path / "cache"
    cache = cache_in(folder)
    cache.open()
    cache.cells(BOUNDS, list(range(8)), read_rows)
    first, second = sorted(folder.rglob("*.chunk"))
    for entry in (first, second):
        entry.unlink()
    plant(first, victim, how)
    plant(second.with_suffix(".part"), victim, how)
    assert cache.cells(BOUNDS, list(range(8)), read_rows) == CELLS
    assert cache_in(folder).cells(BOUNDS, list(range(8)), read_rows) == CELLS
    assert victim.read_bytes() == b"something that must stay as it is"


@pytest.mark.parametrize("place", ["chunks-v1", "shelf"])
def test_a_folder_that_is_a_link_is_refused(tmp_path, place):
    folder, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.part").write_bytes(b"x")
    cache = cache_in(folder)
    cache.open()
    planted = folder / "chunks-v1" if place == "chunks-v1" else next((folder / "chunks-v1").glob("*/"))
    for file in planted.rglob("*"):
        file.unlink() if file.is_file() else file.rmdir()
    planted.rmdir()
    planted.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="link or no folder"):
        cache_in(folder).open()
    assert [file.name for file in elsewhere.iterdir()] == ["mine.part"]
    assert cache.cells(BOUNDS, [1], read_rows) == [CELLS[1]]
    assert [file.name for file in elsewhere.iterdir()] == ["mine.part"]


@as_root
@pytest.mark.parametrize("place", ["chunks-v1", "usage", "entry"])
def test_what_is_another_users_is_refused(tmp_path, place):
    folder = tmp_path / "cache"
    cache = cache_in(folder)
    cache.open()
    cache.cells(BOUNDS, list(range(8)), read_rows)
    names = {"chunks-v1": folder / "chunks-v1", "usage": folder / "chunks-v1" / "usage"}
    os.chown(names.get(place, sorted(folder.rglob("*.chunk"))[0]), STRANGER, STRANGER)
    asked = []

    def read(rows):
        asked.extend(rows)
        return read_rows(rows)

    if place == "entry":
        assert cache.cells(BOUNDS, list(range(8)), read) == CELLS
        assert asked == [0, 1, 2, 3]
    else:
        with pytest.raises(ConfigError, match="another user's"):
            cache_in(folder).open()


@pytest.fixture
def lake(make_lake, rows, tmp_path):
    return make_lake(tmp_path / "lake", **rows(5, labels=np.array([1, 0], np.uint32)))


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "own" / "cache"))
    return tmp_path / "own" / "cache" / "tables"


def test_tables_are_for_this_user_alone(lake, tables):
    open_view(Source(lake.url))
    found = modes(tables.parent.parent)
    assert len(found) > 5
    own = [mode for name, mode in found.items() if name in ("own", "cache", "tables")]
    assert own == [0o700] * 3
    (table,) = (path for path, _ in cached_tables())
    assert stat.S_IMODE(table.stat().st_mode) == 0o700


@pytest.mark.parametrize("owner", ["link", pytest.param("stranger", marks=as_root)])
def test_a_folder_of_tables_that_is_not_ours_is_not_used(lake, tables, tmp_path, caplog, owner):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tables.parent.mkdir(parents=True)
    if owner == "link":
        tables.symlink_to(elsewhere)
    else:
        tables.mkdir()
        os.chown(tables, STRANGER, STRANGER)
    with caplog.at_level(logging.WARNING, "deeplake_mmdet"):
        view = open_view(Source(lake.url))
    assert view.table.folder is None
    assert "is kept in memory" in caplog.text
    assert not list(elsewhere.iterdir())
    if owner == "stranger":
        assert not list(tables.iterdir())


def test_a_tables_file_that_is_a_link_is_not_read(lake, tables, victim):
    first = open_view(Source(lake.url)).table
    file = first.folder / "labels.npy"
    boxes = first.boxes.tolist()
    content = file.read_bytes()
    file.unlink()
    victim.write_bytes(content)
    file.symlink_to(victim)
    again = open_view(Source(lake.url)).table
    assert again.boxes.tolist() == boxes
    assert not (again.folder / "labels.npy").is_symlink()
    assert victim.read_bytes() == content


def test_clearing_the_caches_follows_no_link(lake, tables, tmp_path):
    open_view(Source(lake.url))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_bytes(b"x")
    (tables / "0123456789abcdef").symlink_to(elsewhere)
    assert clear_cache() > 0
    assert (elsewhere / "mine").exists()


def plant(place, victim, how):
    if how == "link":
        place.symlink_to(victim)
    elif how == "second name":
        place.hardlink_to(victim)
    else:
        os.mkfifo(place)
