import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import ResolvedSource, Source

RESOLVED = ResolvedSource("s3://bucket/lake", "id", "main", "0002", "SELECT *")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/lake", "/data/lake"),
        ("file:///data/lake", "/data/lake"),
        ("s3://bucket/lake/", "s3://bucket/lake"),
        ("mem://lake", "mem://lake"),
        ("~/lake", str(Path.home() / "lake")),
        ("lake", str(Path.cwd() / "lake")),
        (Path("/data/lake"), "/data/lake"),
    ],
)
def test_paths_become_absolute_addresses(path, expected):
    assert Source(path).path == expected


@pytest.mark.parametrize("path", ["", "  ", None, 3, b"lake"])
def test_a_path_that_names_nothing_is_refused(path):
    with pytest.raises(ConfigError, match=r"'path'.*folder or an address"):
        Source(path)


def test_empty_texts_mean_not_set():
    assert Source("lake", commit="", branch="", tag="", query="") == Source("lake")


@pytest.mark.parametrize("key", ["commit", "branch", "tag", "query"])
def test_what_is_no_text_is_refused(key):
    with pytest.raises(ConfigError, match=f"{key!r} must be text"):
        Source("lake", **{key: 3})


@pytest.mark.parametrize("beside", [{"commit": "0002"}, {"branch": "dev"}])
def test_a_tag_beside_a_commit_or_branch_is_refused(beside):
    with pytest.raises(ConfigError, match="A tag names a version by itself"):
        Source("lake", tag="t", **beside)
    assert Source("lake", tag="t", **dict.fromkeys(beside, "")).tag == "t"


def test_a_resolved_source_is_hashable_and_picklable():
    again = pickle.loads(pickle.dumps(RESOLVED))
    assert again == RESOLVED
    assert {RESOLVED: 1}[again] == 1


def test_the_key_is_the_same_in_every_process():
    code = f"from deeplake_mmdet.lake import ResolvedSource; print({RESOLVED!r}.key)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == RESOLVED.key
    assert len(RESOLVED.key) == 16


@pytest.mark.parametrize("field", ["url", "dataset_id", "branch", "version", "query"])
def test_the_key_depends_on_every_fact(field):
    assert replace(RESOLVED, **{field: "other"}).key != RESOLVED.key


def test_memory_lakes_are_known_as_such():
    assert replace(RESOLVED, url="mem://lake").is_memory
    assert not RESOLVED.is_memory
