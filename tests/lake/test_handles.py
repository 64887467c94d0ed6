import pickle
import shutil
import uuid

import pytest

from deeplake_mmdet.errors import (
    ConfigError,
    SourceFormatError,
    SourceNotFoundError,
)
from deeplake_mmdet.lake import CredentialRef, ResolvedSource, Source, put_away
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

from .helpers import cells_in_child, read_cells, rows_in_child

SECRET = "canary-0123456789"


@pytest.fixture
def lake(make_lake, rows, tmp_path):
    """Three rows, then five on main; six on ``dev``, which leaves main at three. Versions by name.

    The version ids of both branches are the same, as Deep Lake counts on each branch from zero.
    """
    lake = make_lake(tmp_path / "lake", **rows())
    lake.versions = {"first": lake.dataset.version}
    lake.dataset.tag("three")
    lake.dataset.branch("dev")
    dev = lake.dataset.branches["dev"].open()
    for count in (1, 2):
        dev.append({"images": [b"\xff\xd8"] * count, **rows(count)})
        dev.commit(f"dev {count}")
        dev.tag(f"dev {count}")
        lake.versions[f"dev {count}"] = dev.version
    dev.query("SELECT * WHERE ROW_NUMBER() > 0").tag("dev view")
    lake.versions["newest"] = lake.append(images=[b"\xff\xd8"] * 2, **rows(2))
    lake.dataset.query("SELECT * WHERE ROW_NUMBER() < 2").tag("two")
    return lake


def grow(lake, rows):
    lake.append(images=[b"\xff\xd8"], **rows(1))


def count(source, credentials=None):
    return len(handle_of(resolve(source, credentials), credentials))


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match="nothing at this path") as caught:
        resolve(Source(str(tmp_path / "none")))
    assert str(tmp_path / "none") in str(caught.value)


def test_an_empty_folder_is_no_lake(tmp_path):
    with pytest.raises(SourceFormatError, match="not a Deep Lake dataset"):
        resolve(Source(str(tmp_path)))


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_or_a_folder_of_files_is_no_lake(tmp_path, inside):
    file = tmp_path / "image.jpg"
    file.write_bytes(b"no lake")
    with pytest.raises(SourceFormatError, match="not a Deep Lake dataset"):
        resolve(Source(str(tmp_path if inside else file)))


def test_an_older_lake_without_columns_is_told(tmp_path):
    (tmp_path / "dataset_meta.json").write_text("{}")
    with pytest.raises(SourceFormatError, match=r"v3.*no columns"):
        resolve(Source(str(tmp_path)))


def test_an_unknown_memory_lake_is_told():
    with pytest.raises(SourceFormatError, match="not a Deep Lake dataset"):
        resolve(Source(f"mem://{uuid.uuid4()}"))


def test_an_unknown_scheme_is_told():
    with pytest.raises(SourceFormatError, match="no storage with this scheme"):
        resolve(Source("ftp://somewhere/lake"))


def test_the_newest_version_of_main_is_the_default(lake):
    resolved = resolve(Source(lake.url))
    branch = lake.dataset.current_branch.id
    facts = (lake.url, lake.dataset.id, branch, lake.versions["newest"])
    assert resolved == ResolvedSource(*facts, contents=resolved.contents)
    assert resolved.branch == "main"
    assert len(handle_of(resolved)) == 5


def test_empty_texts_are_the_default_too(lake):
    assert resolve(Source(lake.url, commit="", branch="", tag="", query="")) == resolve(Source(lake.url))


def test_a_commit_is_pinned(lake):
    assert count(Source(lake.url, commit=lake.versions["first"])) == 3


def test_a_pin_holds_while_the_lake_moves_on(lake, rows):
    resolved = resolve(Source(lake.url))
    handle = handle_of(resolved)
    grow(lake, rows)
    assert len(handle) == len(handle_of(resolved)) == 5
    assert count(Source(lake.url)) == 6
    assert len(handle_of(resolved)) == 5


def test_a_branch_is_opened_at_its_newest_version(lake):
    resolved = resolve(Source(lake.url, branch="dev"))
    assert (resolved.branch, resolved.version) == ("dev", lake.versions["dev 2"])
    assert len(handle_of(resolved)) == 6
    assert count(Source(lake.url, branch="main")) == 5


def test_a_commit_is_one_of_its_branch(lake):
    # The same id means another version on main.
    assert lake.versions["dev 1"] in [version.id for version in lake.dataset.history]
    assert count(Source(lake.url, branch="dev", commit=lake.versions["dev 1"])) == 4


@pytest.mark.parametrize(
    ("key", "name", "known"),
    [
        ("commit", "nonsense", ""),
        ("commit", "0000000099m00000000", ""),
        ("branch", "de", "dev"),
        ("tag", "on", "two"),
    ],
)
def test_an_unknown_version_is_told(lake, key, name, known):
    with pytest.raises(SourceNotFoundError, match=name) as caught:
        resolve(Source(lake.url, **{key: name}))
    assert f"{key!r}" in str(caught.value)
    assert known in str(caught.value)


def test_a_tag_is_pinned(lake):
    assert count(Source(lake.url, tag="three")) == 3


@pytest.mark.parametrize(("tag", "expected"), [("dev 1", 4), ("dev 2", 6), ("dev view", 5)])
def test_a_tag_of_another_branch_is_pinned_there(lake, tag, expected):
    resolved = resolve(Source(lake.url, tag=tag))
    assert resolved.branch == "dev"
    assert len(handle_of(resolved)) == expected
    assert rows_in_child("spawn", resolved) == expected


def test_a_tag_on_a_query_keeps_the_query(lake, rows):
    resolved = resolve(Source(lake.url, tag="two"))
    assert resolved.query == "SELECT * WHERE ROW_NUMBER() < 2"
    assert (resolved.branch, resolved.version) == ("main", lake.versions["newest"])
    grow(lake, rows)
    assert count(Source(lake.url, tag="two")) == 2


def test_a_query_runs_on_the_pinned_version(lake):
    query = "SELECT * WHERE ROW_NUMBER() > 0"
    assert count(Source(lake.url, query=query)) == 4
    assert count(Source(lake.url, query=query, commit=lake.versions["first"])) == 2
    assert count(Source(lake.url, query=query, tag="three")) == 2


@pytest.mark.parametrize("key", ["view", "tag"])
def test_a_query_is_applied_on_the_saved_view(lake, rows, key):
    lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 1").tag("tail")
    resolved = resolve(Source(lake.url, **{key: "tail"}, query="SELECT * WHERE ROW_NUMBER() == 1"))
    assert resolved.queries == ("SELECT * WHERE ROW_NUMBER() > 1", "SELECT * WHERE ROW_NUMBER() == 1")
    grow(lake, rows)
    expected = [lake.dataset["boxes"][3].tolist()]
    assert read_cells(resolved, "boxes") == cells_in_child("spawn", resolved, "boxes") == expected


@pytest.mark.parametrize("key", ["view", "tag"])
@pytest.mark.parametrize(
    ("name", "beside", "fits"),
    [
        ("three", {"commit": "first"}, True),
        ("three", {"branch": "main"}, True),
        ("three", {"commit": "newest"}, False),
        ("three", {"branch": "dev"}, False),
        ("dev 1", {"branch": "dev", "commit": "dev 1"}, True),
        ("dev 1", {"branch": "main"}, False),
        ("dev 1", {"commit": "first"}, False),
    ],
)
def test_what_stands_beside_a_tag_must_agree_with_it(lake, key, name, beside, fits):
    asked = {what: lake.versions[text] if what == "commit" else text for what, text in beside.items()}
    if fits:
        assert resolve(Source(lake.url, **{key: name}, **asked)) == resolve(Source(lake.url, tag=name))
        return
    with pytest.raises(ConfigError, match=r"contradicts.*keep") as caught:
        resolve(Source(lake.url, **{key: name}, **asked))
    assert f"{key!r}={name!r}" in str(caught.value)


def test_a_renamed_branch_is_still_the_same(lake):
    resolved = resolve(Source(lake.url, branch="dev"))
    lake.dataset.branches["dev"].rename("renamed")
    assert resolve(Source(lake.url, branch="renamed")).key == resolved.key
    assert len(cells_in_child("spawn", resolved, "boxes")) == 6


RANDOM = [
    "SELECT * ORDER BY RANDOM()",
    "SELECT * WHERE ROW_NUMBER() > 0 order by random ( ) LIMIT 3",
    "SELECT * SAMPLE BY 1 LIMIT 4",
]


@pytest.mark.parametrize("query", RANDOM)
def test_an_order_by_chance_is_the_same_in_every_process(lake, rows, query):
    resolved = resolve(Source(lake.url, query=query))
    again = [resolve(Source(lake.url, query=query)) for _ in range(8)]
    assert len({found.key for found in again}) > 1
    expected = read_cells(resolved, "boxes")
    all_rows = read_cells(resolve(Source(lake.url)), "boxes")
    assert all(cells in all_rows for cells in expected)
    grow(lake, rows)
    assert cells_in_child("spawn", resolved, "boxes") == expected
    assert cells_in_child("fork", resolved, "boxes") == expected


def test_a_sampled_saved_view_is_frozen_too(lake):
    lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 1").tag("tail")
    resolved = resolve(Source(lake.url, view="tail", query="SELECT * ORDER BY RANDOM()"))
    assert (resolved.rerun, len(resolved.rows)) == (1, 3)
    assert cells_in_child("spawn", resolved, "boxes") == read_cells(resolved, "boxes")


def test_a_random_query_that_computes_columns_is_refused(lake):
    with pytest.raises(SourceFormatError, match=r"begin with SELECT \*"):
        resolve(Source(lake.url, query="SELECT images, boxes, labels ORDER BY RANDOM()"))


def test_a_query_on_another_lake_is_refused(lake, tmp_path):
    with pytest.raises(ConfigError, match="another lake"):
        Source(lake.url, query=f'SELECT * FROM "{tmp_path}"')


def test_a_memory_lake_stays_in_its_process(make_lake, rows):
    lake = make_lake(**rows())
    resolved = resolve(Source(lake.url))
    assert resolved.is_local_process
    assert cells_in_child("fork", resolved, "boxes") == read_cells(resolved, "boxes")
    with pytest.raises(ConfigError, match="only the process that made it"):
        cells_in_child("spawn", resolved, "boxes")


@pytest.mark.parametrize("query", ["SELEC *", "SELECT * WHERE nothing > 1", "WHERE labels == 1", "images"])
def test_a_query_that_cannot_be_run_is_told(lake, query):
    with pytest.raises(SourceFormatError, match=r"query cannot be run.*'query'") as caught:
        resolve(Source(lake.url, query=query))
    assert repr(query) in str(caught.value)


def test_a_lake_that_was_replaced_is_not_taken_for_the_old_one(lake, make_lake, rows):
    resolved = resolve(Source(lake.url))
    shutil.rmtree(lake.url)
    make_lake(lake.url, **rows(5))
    assert "Another lake" in rows_in_child("spawn", resolved)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(
    ("pin", "expected"),
    [({}, 5), ({"branch": "dev"}, 6), ({"tag": "two"}, 2), ({"query": "SELECT * LIMIT 4"}, 4)],
    ids=["newest", "branch", "view", "query"],
)
def test_another_process_sees_the_pinned_rows(lake, rows, method, pin, expected):
    resolved = resolve(Source(lake.url, **pin))
    grow(lake, rows)
    assert rows_in_child(method, resolved) == expected
    assert len(handle_of(resolved)) == expected


def test_a_resolved_source_is_facts_only(lake):
    ref = CredentialRef(put_away({"token": SECRET}))
    resolved = resolve(Source(lake.url, query="SELECT * LIMIT 1"), ref)
    pickled = pickle.dumps(resolved)
    assert SECRET.encode() not in pickled
    assert pickle.loads(pickled) == resolved
    assert {resolved: 1}[pickle.loads(pickled)] == 1
    assert resolve(Source(lake.url, query="SELECT * LIMIT 1")).key == resolved.key
    assert resolve(Source(lake.url)).key != resolved.key
