import logging
import pickle

import pytest

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import is_opened, open_view_of
from deeplake_mmdet.lake.source.opened import source_of

from .helpers import cells_in_child, read_cells, unpack_v3

SECRET = "canary-0123456789"


@pytest.fixture
def lake(make_lake, rows, tmp_path):
    """Three rows, then five on main; four on ``dev``."""
    lake = make_lake(tmp_path / "lake", **rows())
    lake.versions["first"] = lake.dataset.version
    lake.dataset.branch("dev")
    dev = lake.dataset.branches["dev"].open()
    dev.append({"images": [b"\xff\xd8"], **rows(1)})
    dev.commit()
    lake.versions["newest"] = lake.append(images=[b"\xff\xd8"] * 2, **rows(2))
    lake.dataset.tag("five")
    return lake


def boxes_of(opened):
    return [cell.tolist() for cell in opened["boxes"][:]]


OPENED = {
    "writable": lambda lake: lake.dataset,
    "read-only": lambda lake: _deeplake().open_read_only(lake.url),
    "older": lambda lake: lake.dataset.history[lake.versions["first"]].open(),
    "branch": lambda lake: lake.dataset.branches["dev"].open(),
    "tag": lambda lake: lake.dataset.tags["five"].open(),
    "query": lambda lake: lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 0"),
    "query of a query": lambda lake: lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 0").query(
        "SELECT * ORDER BY ROW_NUMBER() DESC"
    ),
    "query of an older version": lambda lake: (
        lake.dataset.history[lake.versions["first"]].open().query("SELECT * WHERE ROW_NUMBER() > 0")
    ),
    "query of a branch": lambda lake: lake.dataset.branches["dev"].open().query("SELECT *"),
    "from": lambda lake: _deeplake().query(f'SELECT * FROM "{lake.url}" WHERE ROW_NUMBER() > 1'),
}


def _deeplake():
    import deeplake

    return deeplake


@pytest.mark.parametrize("kind", OPENED)
def test_what_is_opened_is_pinned_as_it_is(lake, rows, kind):
    opened = OPENED[kind](lake)
    expected = boxes_of(opened)
    assert is_opened(opened)
    resolved, ref = source_of(opened)
    assert not resolved.is_local_process
    lake.append(images=[b"\xff\xd8"], **rows(1))
    assert read_cells(resolved, "boxes", ref) == expected
    assert cells_in_child("spawn", resolved, "boxes", ref) == expected
    assert source_of(OPENED["older"](lake))[0].version == lake.versions["first"]


def test_rows_that_are_not_committed_stay_in_the_process(lake, rows, caplog):
    lake.dataset.append({"images": [b"\xff\xd8"], **rows(1)})
    expected = boxes_of(lake.dataset)
    with caplog.at_level(logging.WARNING):
        resolved, _ = source_of(lake.dataset)
        view, _ = source_of(lake.dataset.query("SELECT * WHERE ROW_NUMBER() > 3"))
    assert "not committed" in caplog.text
    lake.dataset.append({"images": [b"\xff\xd8"], **rows(1)})
    for found, cells in ((resolved, expected), (view, expected[4:])):
        assert found.is_local_process
        assert read_cells(found, "boxes") == cells
        assert cells_in_child("fork", found, "boxes") == cells
        with pytest.raises(ConfigError, match=r"only the process that made it.*commit the rows"):
            cells_in_child("spawn", found, "boxes")
    lake.dataset.rollback()


def test_an_order_by_chance_stays_with_its_object(lake):
    opened = lake.dataset.query("SELECT * ORDER BY RANDOM()")
    resolved, _ = source_of(opened)
    assert resolved.is_local_process
    assert read_cells(resolved, "boxes") == boxes_of(opened)
    assert source_of(opened)[0].key != resolved.key


def test_a_memory_lake_is_pinned_in_its_process(make_lake, rows):
    lake = make_lake(**rows())
    resolved, _ = source_of(lake.dataset.query("SELECT * LIMIT 2"))
    assert (resolved.is_local_process, resolved.held) == (True, "")
    lake.append(images=[b"\xff\xd8"], **rows(1))
    assert len(read_cells(resolved, "boxes")) == len(cells_in_child("fork", resolved, "boxes")) == 2


@pytest.mark.parametrize(
    "pick", [lambda ds: ds[1:3], lambda ds: ds[[1, 0]], lambda ds: ds[0], lambda ds: ds["boxes"]]
)
def test_parts_of_a_dataset_are_refused(lake, pick):
    with pytest.raises(ConfigError, match=r"cannot be trained on.*LIMIT 8 OFFSET 2"):
        source_of(pick(lake.dataset))


@pytest.mark.parametrize("value", ["s3://bucket/lake", None, 3])
def test_what_deep_lake_has_not_opened_is_refused(value):
    assert not is_opened(value)
    with pytest.raises(ConfigError, match="cannot be trained on"):
        source_of(value)


@pytest.mark.parametrize(
    ("reference", "count"), [("", 7), ("@extra", 8), ("@firstdbf9474d461a19e9333c2fd19b46115348f", 4)]
)
def test_a_query_on_a_v3_lake_is_pinned(tmp_path, reference, count):
    path = unpack_v3(tmp_path)
    opened = _deeplake().query(f'SELECT * FROM "{path}{reference}" WHERE ROW_NUMBER() > 0')
    resolved, ref = source_of(opened)
    assert (resolved.format, resolved.is_local_process) == ("v3", False)
    assert len(cells_in_child("spawn", resolved, "boxes", ref)) == count - 1


def test_an_opened_view_is_seen_as_a_lake_view(make_lake, rows, tmp_path):
    lake = make_lake(tmp_path / "lake", **rows())
    view = open_view_of(lake.dataset.query("SELECT * LIMIT 2"), classes=["b", "a"])
    assert (len(view.table), view.classes) == (2, ("b", "a"))


@pytest.mark.timeout(120)
def test_credentials_of_an_opened_lake_are_put_away(make_lake, rows, caplog):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        creds = {
            "aws_access_key_id": "an-id",
            "aws_secret_access_key": SECRET,
            "endpoint_url": f"http://{host}:{port}",
            "aws_region": "us-east-1",
        }
        boto3.client(
            "s3", endpoint_url=creds["endpoint_url"], region_name="us-east-1",
            aws_access_key_id="an-id", aws_secret_access_key=SECRET,
        ).create_bucket(Bucket="opened")  # fmt: skip
        lake = make_lake("s3://opened/lake", creds=creds, **rows())
        view = lake.dataset.query("SELECT * LIMIT 2")
        resolved, ref = source_of(view)
        assert SECRET not in repr((resolved, ref)) + str(resolved) + caplog.text
        assert SECRET.encode() not in pickle.dumps((resolved, ref))
        assert len(cells_in_child("spawn", resolved, "boxes", ref)) == 2
    finally:
        server.stop()
