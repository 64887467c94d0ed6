import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake import ResolvedSource, Source

RESOLVED = ResolvedSource("s3://bucket/lake", "id", "branch-id", "0002", ("SELECT *",))


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
        ("hub://org/name", "al://org/name"),
        ("hub://org/name/", "al://org/name"),
        ("al://org/name", "al://org/name"),
        ("gs://bucket/lake", "gs://bucket/lake"),
        ("gcs://bucket/lake", "gcs://bucket/lake"),
        ("azure://account/container/lake", "azure://account/container/lake"),
        ("S3://bucket/Lake", "s3://bucket/Lake"),
    ],
)
def test_paths_become_absolute_addresses(path, expected):
    assert Source(path).path == expected


@pytest.mark.parametrize("path", ["", "  ", None, 3, b"lake"])
def test_a_path_that_names_nothing_is_refused(path):
    with pytest.raises(ConfigError, match=r"'path'.*folder or an address"):
        Source(path)


def test_empty_texts_mean_not_set():
    assert Source("lake", commit="", branch="", tag="", query="", view="") == Source("lake")


@pytest.mark.parametrize("key", ["commit", "branch", "tag", "query", "view"])
def test_what_is_no_text_is_refused(key):
    with pytest.raises(ConfigError, match=f"{key!r} must be text"):
        Source("lake", **{key: 3})


def test_a_tag_beside_a_view_is_refused():
    with pytest.raises(ConfigError, match="A view and a tag cannot both be chosen"):
        Source("lake", tag="t", view="v")
    assert Source("lake", tag="t", view="").tag == "t"


@pytest.mark.parametrize("path", ["hub://org/name/.queries/big", "al://org/name/.queries/big/"])
def test_the_path_of_a_saved_view_is_split(path):
    assert Source(path) == Source("al://org/name", view="big") == Source(path, view="big")
    with pytest.raises(ConfigError, match="already that of a saved view"):
        Source(path, view="small")


@pytest.mark.parametrize(
    "path", ["s3://bucket/lake@dev", "/data/lake@dev", "al://org/name@dev", "mem://l/x@dev"]
)
def test_a_version_in_the_path_is_refused(path):
    with pytest.raises(ConfigError, match=r"'@' in the path.*branch='dev'"):
        Source(path)


def test_a_folder_with_an_at_sign_cannot_be_opened(tmp_path):
    (tmp_path / "u@h").mkdir()
    with pytest.raises(ConfigError, match="rename the folder, or link to it"):
        Source(tmp_path / "u@h")


def test_a_secret_in_the_address_is_refused_without_showing_it():
    with pytest.raises(CredentialError) as caught:
        Source("s3://id:canary@bucket/lake")
    assert "canary" not in str(caught.value)


def test_a_query_may_name_the_lake():
    query = 'SELECT * FROM "s3://bucket/lake" WHERE a > 1'
    assert Source("", query=query) == Source("s3://bucket/lake", query=query)
    assert Source("", query=query).query == "SELECT *  WHERE a > 1"
    with pytest.raises(ConfigError, match="another lake than the path"):
        Source("s3://bucket/other", query=query)


def test_a_resolved_source_is_hashable_and_picklable():
    again = pickle.loads(pickle.dumps(RESOLVED))
    assert again == RESOLVED
    assert {RESOLVED: 1}[again] == 1


def test_the_key_is_the_same_in_every_process():
    code = f"from deeplake_mmdet.lake import ResolvedSource; print({RESOLVED!r}.key)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == RESOLVED.key
    assert len(RESOLVED.key) == 16


@pytest.mark.parametrize("field", ["url", "dataset_id", "branch_id", "version", "queries", "format", "held"])
def test_the_key_depends_on_every_fact(field):
    assert replace(RESOLVED, **{field: ("other",)}).key != RESOLVED.key


def test_the_key_depends_on_the_order_of_rows_but_not_on_names():
    orders = [RESOLVED, RESOLVED.with_rows([0, 1]), RESOLVED.with_rows([1, 0])]
    assert len({found.key for found in orders}) == len(set(orders)) == 3
    assert replace(RESOLVED, branch="renamed").key == RESOLVED.key
    assert RESOLVED.in_process().key == RESOLVED.key


def test_memory_lakes_are_known_as_such():
    assert replace(RESOLVED, url="mem://lake").is_memory
    assert not RESOLVED.is_memory


def test_what_only_this_process_has_is_not_unpickled_in_another(tmp_path):
    here = RESOLVED.in_process()
    assert here.is_local_process
    assert pickle.loads(pickle.dumps(here)) == here
    (tmp_path / "pickled").write_bytes(pickle.dumps(here))
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    other = subprocess.run([sys.executable, "-c", code, tmp_path / "pickled"], capture_output=True, text=True)
    assert "only the process that made it" in other.stderr
