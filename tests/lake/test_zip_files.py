"""Zip files as folders, and those that are refused."""

import contextlib
import os
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.file_names import FileNames, is_file, is_folder
from deeplake_mmdet.lake.archives.mounts import listed
from deeplake_mmdet.lake.archives.sources import Sources
from deeplake_mmdet.lake.images.regular_files import read_regular, size_of


@pytest.fixture
def make(tmp_path):
    def write(entries, method=zipfile.ZIP_DEFLATED, name="set.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", method) as file:
            for entry, data in entries:
                file.writestr(entry, data)
        return path

    return write


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_found_and_read_as_on_a_disk(make, method):
    content = {"a.txt": b"1", "sub/b.txt": b"22" * 999, "sub/deep/ü c.txt": b"", "sub/d.png": b"png"}
    zipped = make([("sub/", b""), *content.items(), ("__MACOSX/sub/._b.txt", b"x")], method)
    sources = Sources()
    path = sources.path(zipped)
    assert path == zipped
    assert {name: read_regular(path / name) for name in content} == content
    assert {name: size_of(path / name) for name in content} == {n: len(data) for n, data in content.items()}
    assert read_regular(path / "sub/b.txt", 3) == b"222"
    assert sorted(FileNames(path / "sub", (".txt",))) == ["b.txt", "deep/ü c.txt"]
    assert listed(path) == ["a.txt", "sub"]
    assert listed(path / "sub") == ["b.txt", "d.png", "deep"]
    assert (is_file(path / "a.txt"), is_file(path / "sub"), is_file(path / "none")) == (True, False, False)
    assert (is_folder(path), is_folder(path / "sub/deep"), is_folder(path / "a.txt")) == (True, True, False)
    for name, error in (("none", FileNotFoundError), ("sub", IsADirectoryError)):
        with pytest.raises(error):
            read_regular(path / name)
    with pytest.raises(OSError, match="more than the 5 allowed"):
        read_regular(path / "sub/b.txt", most=5)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda _: read_regular(path / "sub/b.txt"), range(50)))
    assert set(read) == {content["sub/b.txt"]}
    assert Sources().path(zipped / "sub") == zipped / "sub"  # further in
    del sources
    assert not is_folder(zipped)
    assert is_file(zipped)


def test_names_with_backslashes_are_paths(make):
    path = make([("images\\a.jpg", b"1"), (".\\b.jpg", b"2")])
    sources = Sources()
    assert sorted(FileNames(sources.path(path), (".jpg",))) == ["b.jpg", "images/a.jpg"]


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([("a.txt", b"1"), ("../b.txt", b"2")], "lead out of it"),
        ([("a/../../b.txt", b"2")], "lead out of it"),
        ([("..\\b.txt", b"2")], "lead out of it"),
        ([("/etc/b.txt", b"2")], "lead out of it"),
        ([("C:\\b.txt", b"2")], "lead out of it"),
        ([(link("a.jpg"), b"/etc/passwd")], "holds links"),
        ([("a.txt", b"1"), ("./a.txt", b"2")], "two files of one name"),
    ],
)
def test_zip_files_that_cannot_be_trusted(make, entries, what):
    path = make(entries)
    with pytest.raises(SourceFormatError, match=what) as refused:
        Sources().path(path)
    assert str(path) in refused.value.where
    assert "nothing of it was read" in str(refused.value)


def test_encrypted_files(make):
    path = make([("a.txt", b"secret")])
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceFormatError, match="encrypted"):
        Sources().path(path)


def test_files_that_share_bytes(make):
    """Many directory entries for one and the same packed file."""
    path = make([(f"{n}.txt", b"0" * 10_000) for n in range(3)])
    data = bytearray(path.read_bytes())
    entries = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    for at in entries[1:]:
        struct.pack_into("<I", data, at + 42, 0)  # where its file begins
    path.write_bytes(data)
    with pytest.raises(SourceFormatError, match="share bytes"):
        Sources().path(path)


def test_files_that_grow_without_end(make):
    zeros = bytes(2**26 + 1)
    path = make([("bomb.json", zeros), ("a.txt", b"fine")])
    sources = Sources()
    root = sources.path(path)
    assert read_regular(root / "a.txt") == b"fine"
    with pytest.raises(OSError, match="grows by more than 200 times"):
        read_regular(root / "bomb.json")
    del sources
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 2**32 - 2)  # unpacked size, by its own word
    path.write_bytes(data)
    with pytest.raises(SourceFormatError, match="zip bomb"):
        Sources().path(path)


@pytest.mark.parametrize("stated", [5, 500])
def test_sizes_that_are_not_true(make, stated):
    path = make([("a.txt", b"0123456789")])
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, stated)
    path.write_bytes(data)
    sources = Sources()
    with pytest.raises(OSError, match="damaged in the zip file"):
        read_regular(sources.path(path) / "a.txt")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_unpacked_is_bounded_by_the_stated_size(make, method):
    path = make([("a.txt", bytes(2**23))], method)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(data)
    sources = Sources()
    inside = sources.path(path) / "a.txt"
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match=r"damaged|another way than by deflate"):
            read_regular(inside)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_an_error_of_ours(tmp_path, data):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(
        path, "w", data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    ) as file:
        for name in ("d/a.xml", "d/b.xml", "ü.xml"):
            file.writestr(name, b"hello world " * 20)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = len(content) - data.draw(st.integers(1, len(content)))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    sources = Sources()
    with contextlib.suppress(SourceFormatError):
        root = sources.path(path)
        for name in FileNames(root, (".xml",)):
            with contextlib.suppress(OSError):
                assert read_regular(root / name) == b"hello world " * 20


def test_damaged_files(make):
    path = make([("a.txt", os.urandom(1000))])
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(100) + data[200:])
    sources = Sources()
    with pytest.raises(OSError, match="damaged in the zip file"):
        read_regular(sources.path(path) / "a.txt")
    del sources
    for content in (data[:-30], b"no zip file", b""):
        path.write_bytes(content)
        with pytest.raises(SourceFormatError, match="damaged or cut off"):
            Sources().path(path)


def test_what_is_no_zip_file_is_left_alone(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    for name in ("a.json", "none.zip", "", "a.json/b", "a\0b", "x" * 5000):
        assert Sources().path(str(tmp_path / name)) == tmp_path / name
    path = tmp_path / "none.json"
    os.mkfifo(path)
    assert Sources().path(path) == path
    (tmp_path / "shut.zip").write_bytes(b"PK\x03\x04")
    if os.geteuid():
        (tmp_path / "shut.zip").chmod(0)
        with pytest.raises(SourceNotFoundError, match="cannot be read"):
            Sources().path(tmp_path / "shut.zip")


def test_names_in_utf8_that_do_not_say_so(make):
    path = make([("größe.jpg", b"1"), ("图片.jpg", b"2")])
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flags + 1] &= ~8
    path.write_bytes(data)
    sources = Sources()
    assert read_regular(sources.path(path) / "größe.jpg") == b"1"
    assert read_regular(sources.path(path) / "图片.jpg") == b"2"


def test_a_file_that_was_exchanged_is_opened_anew(make, tmp_path):
    before = Sources()
    path = before.path(make([("a.txt", b"old")]))
    path.unlink()
    path = make([("a.txt", b"new"), ("b.txt", b"2")])
    later = Sources()
    assert later.path(path) == later.path(path / "b.txt").parent
    assert read_regular(path / "a.txt") == b"new"  # although the old one is held, as by a traceback
    del later
    assert read_regular(path / "a.txt") == b"old"
    del before
