import json
import logging
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest

from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, Source, open_view
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

from .helpers import cells_in_child, read_cells, unpack_v3

FIRST = "firstdbf9474d461a19e9333c2fd19b46115348f"
SECOND = "e36b997ac59249eacb73fd937ac147a062a7e7b9"
COUNTS = [0, 1, 2, 0, 1, 2, 0, 1]  # objects of each row


@pytest.fixture
def lake(tmp_path):
    return unpack_v3(tmp_path)


def objects(resolved, credentials=None):
    return [len(cell) for cell in read_cells(resolved, "categories", credentials)]


def commit_onto(lake, branch="main"):
    """What Deep Lake 3 does to the record of commits when rows are committed: the head becomes a commit."""
    path = Path(lake) / "version_control_info.json"
    record = json.loads(path.read_text())
    head = record["branches"][branch]
    record["commits"][head].update(commit_time=1.0, commit_message="later", children=["newhead"])
    record["commits"]["newhead"] = {
        **record["commits"][head],
        "parent": head,
        "commit_time": None,
        "children": [],
    }
    record["branches"][branch] = "newhead"
    path.write_text(json.dumps(record))
    shutil.copytree(Path(lake) / "versions" / head, Path(lake) / "versions" / "newhead")


@pytest.mark.parametrize(
    ("asked", "version", "expected"),
    [
        ({}, SECOND, COUNTS[:7]),
        ({"commit": FIRST}, FIRST, COUNTS[:4]),
        ({"commit": SECOND}, SECOND, COUNTS[:7]),
        ({"branch": "main"}, SECOND, COUNTS[:7]),
        ({"branch": "extra"}, None, COUNTS),
        ({"branch": "extra", "commit": FIRST}, FIRST, COUNTS[:4]),
        ({"view": "big"}, SECOND, [2, 2]),
        ({"view": "big", "commit": SECOND, "branch": "main"}, SECOND, [2, 2]),
        ({"query": "SELECT * WHERE any(categories == 'bolt')"}, SECOND, None),
        ({"query": "SELECT * ORDER BY ROW_NUMBER() DESC"}, SECOND, COUNTS[6::-1]),
        ({"view": "big", "query": "SELECT * ORDER BY ROW_NUMBER() DESC LIMIT 1"}, SECOND, [2]),
    ],
)
def test_every_way_to_a_version_is_pinned(lake, asked, version, expected):
    resolved = resolve(Source(lake, **asked))
    assert resolved.format == "v3"
    assert version in (None, resolved.version)
    assert expected is None or objects(resolved) == expected
    before = read_cells(resolved, "boxes")
    commit_onto(lake)
    assert cells_in_child("spawn", resolved, "boxes") == before


def test_a_saved_view_has_the_rows_that_were_saved(lake):
    resolved = resolve(Source(lake, view="big"))
    assert resolved.rows.tolist() == [2, 5]
    everything = read_cells(resolve(Source(lake)), "boxes")
    assert read_cells(resolved, "boxes") == [everything[2], everything[5]]
    last = resolve(Source(lake, view="big", query="SELECT * WHERE ROW_NUMBER() == 1"))
    assert last.rows.tolist() == [5]
    assert resolve(Source(f"{lake}/.queries/big")) == resolved


@pytest.mark.parametrize("pin", [{}, {"view": "big"}])
def test_an_order_by_chance_is_frozen(lake, pin):
    resolved = resolve(Source(lake, query="SELECT * ORDER BY RANDOM()", **pin))
    assert sorted(resolved.rows.tolist()) == ([2, 5] if pin else list(range(7)))
    assert cells_in_child("spawn", resolved, "boxes") == read_cells(resolved, "boxes")


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"commit": "nonsense"}, SourceNotFoundError, "no commit 'nonsense'.*firstdbf"),
        ({"branch": "nonsense"}, SourceNotFoundError, "no branch 'nonsense'.*main, extra"),
        ({"view": "nonsense"}, SourceNotFoundError, "no saved view 'nonsense'.*big"),
        ({"tag": "big"}, ConfigError, "no tags.*view="),
        ({"view": "big", "commit": FIRST}, ConfigError, "contradicts"),
        ({"view": "big", "branch": "extra"}, ConfigError, "contradicts"),
        ({"branch": "main", "commit": "af7b715db694c35505b33ca41914970a5b6b0193"}, ConfigError, "'extra'"),
        ({"query": "SELECT * WHERE nothing == 1"}, SourceFormatError, "query cannot be run"),
        ({"view": "big", "query": "SELECT boxes"}, SourceFormatError, r"begin with SELECT \*"),
    ],
)
def test_what_cannot_be_pinned_is_told(lake, asked, kind, message):
    with pytest.raises(kind, match=message):
        resolve(Source(lake, **asked))


def never_committed(lake):
    """The lake as it would be if its rows stood on a head without commits."""
    path = Path(lake) / "version_control_info.json"
    record = json.loads(path.read_text())
    node = {**record["commits"][FIRST], "commit_time": None, "commit_message": None, "children": []}
    path.write_text(json.dumps({"commits": {FIRST: node}, "branches": {"main": FIRST}}))
    return lake


def test_rows_that_were_never_committed_are_pinned_by_their_number(lake, caplog):
    never_committed(lake)
    with caplog.at_level(logging.WARNING):
        resolved = resolve(Source(lake))
        resolve(Source(lake))
    assert objects(resolved) == COUNTS[:4]
    assert resolved.rows.tolist() == [0, 1, 2, 3]
    assert caplog.text.count("never committed") == 1
    assert objects(resolve(Source(lake, query="SELECT * WHERE ROW_NUMBER() > 1"))) == COUNTS[2:4]


def test_a_lake_without_a_record_of_commits_is_read(lake):
    (Path(lake) / "version_control_info.json").unlink()
    assert objects(resolve(Source(lake))) == COUNTS[:4]


def test_a_damaged_record_of_commits_is_told(lake):
    (Path(lake) / "version_control_info.json").write_text("{")
    with pytest.raises(SourceFormatError, match=r"version_control_info\.json is damaged"):
        resolve(Source(lake))


def test_another_lake_at_the_same_path_is_told(lake):
    resolved = resolve(Source(lake))
    path = Path(lake) / "version_control_info.json"
    path.write_text(path.read_text().replace("four rows", "other rows"))
    assert "Another lake" in cells_in_child("spawn", resolved, "boxes")


def test_a_view_of_a_v3_lake_can_be_trained_on(lake):
    view = open_view(Source(lake, view="big"))
    assert view.lake_classes == ("bolt", "nut", "washer")
    assert str(view.table.box_format) == "ccwh_fractional"
    assert np.diff(view.table.offsets).tolist() == [2, 2]
    everything = open_view(Source(lake))
    assert view.images([1, 0]) == everything.images([5, 2])
    assert np.array_equal(view.table.xywh(1), everything.table.xywh(5))
    assert everything.table.xywh(5)[0].tolist() == pytest.approx([4, 3, 17, 14], abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_v3_lake_on_s3_is_found_and_pinned(lake, monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        creds = {"endpoint_url": f"http://{host}:{port}", "aws_region": "us-east-1"}
        client = boto3.client("s3", endpoint_url=creds["endpoint_url"], region_name="us-east-1")
        bucket = f"lakes-{uuid.uuid4()}"
        client.create_bucket(Bucket=bucket)
        for path in filter(Path.is_file, Path(lake).rglob("*")):
            client.upload_file(str(path), bucket, f"lake/{path.relative_to(lake).as_posix()}")
        ref = CredentialRef(creds)
        resolved = resolve(Source(f"s3://{bucket}/lake"), ref)
        assert (resolved.format, resolved.version) == ("v3", SECOND)
        assert objects(resolved, ref) == COUNTS[:7]
        assert len(handle_of(resolve(Source(f"s3://{bucket}/lake", view="big"), ref), ref)) == 2
        assert len(cells_in_child("spawn", resolved, "boxes", ref)) == 7
    finally:
        server.stop()


def test_rows_beside_the_last_commit_are_pinned_too(lake, caplog):
    head = json.loads((Path(lake) / "version_control_info.json").read_text())["branches"]["main"]
    (Path(lake) / "versions" / head / "boxes" / "commit_diff").write_bytes(b"anything")
    resolved = resolve(Source(lake))
    assert (resolved.version, objects(resolved)) == (head, COUNTS[:7])
    assert "never committed" in caplog.text
