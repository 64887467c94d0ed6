import gzip
import json

import pytest

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.json_files import load_json

CONTENT = {"é": [1, 2.5, None]}
TEXT = json.dumps(CONTENT, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings(tmp_path, encoding, packed):
    data = TEXT.encode(encoding)
    (tmp_path / "a.json").write_bytes(gzip.compress(data) if packed else data)
    assert load_json(tmp_path / "a.json") == CONTENT


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (TEXT.encode()[:-3], "breaks off"),
        (b'{"a": "b', "breaks off"),
        (b'{"a": [1, 2,]}', "a comma stands before a closing bracket"),
        (b'{"a": 1,\n}', "a comma stands before a closing bracket"),
        (b"{'a': 1}", "single quotes"),
        (b"{a: 1}", "Expecting property name"),
        (b'{"a": 1}\n{"a": 2}\n', "something follows its end"),
        (b'{"a": "\xe9"}', "not in UTF-8"),
        (b"[" * 200_000, "nested too deep"),
        (b"[" + b"1" * 5000 + b"]", "a value that cannot be read"),
        (gzip.compress(TEXT.encode() * 99, mtime=0)[:-20], "gzip and damaged"),
        (b"PK\x03\x04...", "ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"<?xml version='1.0'?><annotation/>", "XML"),
    ],
)
def test_the_cause_is_named(tmp_path, data, said):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(SourceFormatError, match=said) as caught:
        load_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["none.json", ".", "a\0b"])
def test_what_cannot_be_read(tmp_path, name):
    with pytest.raises(SourceNotFoundError):
        load_json(tmp_path / name)
