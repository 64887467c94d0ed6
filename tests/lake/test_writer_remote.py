"""Writing lakes to memory and to an S3 server on this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deeplake_mmdet.errors import (
    AnnotationError,
    CredentialError,
    ImportRefusedError,
    SourceFormatError,
    StorageError,
)
from deeplake_mmdet.lake import Source
from deeplake_mmdet.lake.direct.branch_log import unpacked
from deeplake_mmdet.lake.source.credentials import CredentialRef, put_away
from deeplake_mmdet.lake.source.pinning import resolve
from s3 import Rule, fault_proxy, s3_endpoint

from .test_writer import IMAGE, SECRET, fail_midway, killed_import, record, rows, write, writer


@pytest.fixture(scope="module")
def endpoint():
    pytest.importorskip("moto.server")
    with s3_endpoint() as running:
        yield running


@pytest.fixture(scope="module")
def s3(endpoint):
    import boto3

    creds = {**endpoint.creds, "aws_secret_access_key": SECRET}
    client = boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="bucket")
    return client, creds


@pytest.fixture(params=["mem", "s3"])
def remote(request):
    """A fresh URL and its credentials."""
    name = request.node.name.replace("[", "-").rstrip("]")
    if request.param == "mem":
        return f"mem://{name}", None
    return f"s3://bucket/{name}", request.getfixturevalue("s3")[1]


def test_remote_rows_appear_with_the_commit(remote):
    import deeplake

    url, creds = remote
    with writer(url, creds=creds) as lake:
        for _ in range(300):
            lake.append(record())
        seen = deeplake.open_read_only(url, creds=creds)
        assert len(seen) == 0
        assert "deeplake_mmdet" not in list(seen.metadata.keys())
    done = deeplake.open_read_only(url, creds=creds)
    assert len(done) == 300
    assert done.metadata["deeplake_mmdet"]["complete"]
    assert done["images"].get_bytes(299) == IMAGE


def test_remote_failure_leaves_nothing(remote):
    import deeplake

    url, creds = remote
    write(url + "2", creds=creds)  # a neighbour with the same prefix
    with pytest.raises(KeyboardInterrupt):
        fail_midway(url, KeyboardInterrupt(), creds=creds)
    assert not deeplake.exists(url, creds=creds)
    with pytest.raises(AnnotationError):
        write(url, rows=0, creds=creds)
    assert not deeplake.exists(url, creds=creds)
    assert rows(url + "2", creds) == 3


def test_remote_overwrite(remote):
    url, creds = remote
    write(url, creds=creds)
    write(url + "2", creds=creds)
    with pytest.raises(ImportRefusedError):
        write(url, creds=creds)
    with pytest.raises(RuntimeError, match="midway"):
        fail_midway(url, RuntimeError("midway"), creds=creds, overwrite=True)
    assert rows(url, creds) == 3
    write(url, rows=5, creds=creds, overwrite=True)
    assert rows(url, creds) == 5
    assert rows(url + "2", creds) == 3


def test_s3_overwrite_leaves_no_staging_and_spares_other_objects(s3):
    client, creds = s3
    write("s3://bucket/tidy/lake", creds=creds)
    write("s3://bucket/tidy/lake", creds=creds, overwrite=True)

    def keys():
        return [o["Key"] for o in client.list_objects_v2(Bucket="bucket", Prefix="tidy/")["Contents"]]

    assert all(key.startswith("tidy/lake/") for key in keys())
    with pytest.raises(ImportRefusedError, match="not a Deep Lake v4 lake"):
        write("s3://bucket/tidy", creds=creds, overwrite=True)
    client.put_object(Bucket="bucket", Key="tidy/lake/precious", Body=b"x")
    with pytest.raises(ImportRefusedError, match="precious"):
        write("s3://bucket/tidy/lake", creds=creds, overwrite=True)
    assert "tidy/lake/precious" in keys()


def keys(s3, folder):
    return [o["Key"] for o in s3[0].list_objects_v2(Bucket="bucket", Prefix=folder).get("Contents", [])]


def needed_keys(url, creds, prefix):
    """Of all versions that a reader can reach."""
    import deeplake

    lake = deeplake.open(url, creds=creds)
    files = {file for name in lake.branches.names() for file, _ in lake.branches[name].open()._datafiles}
    return {f"{prefix}/{file}" for file in files}


def test_s3_killed_import_is_no_lake_and_the_next_one_begins_anew(s3):
    url, creds = "s3://bucket/killed", s3[1]
    killed_import(url, creds=creds)
    with pytest.raises(SourceFormatError, match="under way, or was interrupted"):
        resolve(Source(url), CredentialRef(put_away({"creds": creds})))
    lake = write(url, creds=creds)
    assert any("Removed what an interrupted import had left" in note for note in lake.notes)
    assert rows(url, creds) == 3
    data = {key for key in keys(s3, "killed/") if "/_deeplake_log/" not in key}
    assert data == needed_keys(url, creds, "killed")


def test_s3_killed_overwrite_leaves_the_old_lake(s3):
    url, creds = "s3://bucket/killed-over", s3[1]
    write(url, creds=creds)
    killed_import(url, creds=creds, overwrite=True)
    assert rows(url, creds) == 3
    with pytest.raises(ImportRefusedError, match="already a lake"):
        write(url, creds=creds)
    write(url, rows=4, creds=creds, overwrite=True)
    assert rows(url, creds) == 4
    data = {key for key in keys(s3, "killed-over/") if "/_deeplake_log/" not in key}
    assert data == needed_keys(url, creds, "killed-over")


def test_s3_the_lock_of_another_program_is_waited_for(s3, monkeypatch):
    """Deep Lake's lock on a lake's branches: what a killed program holds lapses after half a minute."""
    client, url, creds = s3[0], "s3://bucket/locked", s3[1]
    write(url, creds=creds)
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "6")
    places = {key.rpartition("/")[0] for key in keys(s3, "locked/_deeplake_log/")}
    locks = [f"{place}/meta_ops.lock" for place in places if not place.endswith("_meta")]
    for lock in locks:
        client.put_object(Bucket="bucket", Key=lock, Body=b"\r")
    with pytest.raises(StorageError, match="Another program has locked this lake") as caught:
        write(url, rows=4, creds=creds, overwrite=True)
    assert "The lake that stood there is as it was" in str(caught.value)
    monkeypatch.delenv("DEEPLAKE_MMDET_DEADLINE")
    for lock in locks:  # anew, for the one above may have aged
        client.put_object(Bucket="bucket", Key=lock, Body=b"\r")
    release = threading.Timer(
        2.0, lambda: [client.delete_object(Bucket="bucket", Key=lock) for lock in locks]
    )
    release.start()
    write(url, rows=4, creds=creds, overwrite=True)
    release.join()
    assert rows(url, creds) == 4


def test_s3_overwrite_disturbs_no_reader_and_keeps_one_old_lake(remote):
    import deeplake

    url, creds = remote
    write(url, creds=creds)
    reader = deeplake.open_read_only(url, creds=creds)
    for count in (4, 5):
        with writer(url, creds=creds, overwrite=True, source=f"of {count}") as lake:
            for _ in range(count):
                lake.append(record())
        new = deeplake.open_read_only(url, creds=creds)
        assert len(new) == count
        assert new.metadata["deeplake_mmdet"]["source"] == f"of {count}"
        old = [name for name in new.branches.names() if name.startswith("replaced-")]
        assert len(old) == 1
        assert old[0] in lake.notes[-1]
        if count == 4:
            assert (len(reader), reader["images"].get_bytes(2)) == (3, IMAGE)
        assert len(new.branches[old[0]].open()) == count - 1


def test_s3_tags_outlive_overwrites(s3):
    import deeplake

    url, creds = "s3://bucket/tagged", s3[1]
    write(url, creds=creds)
    deeplake.open(url, creds=creds).tag("mine")
    for count in (4, 5, 6):
        write(url, rows=count, creds=creds, overwrite=True)
    lake = deeplake.open_read_only(url, creds=creds)
    tagged = lake.tags["mine"].open()
    assert (len(lake), len(tagged)) == (6, 3)
    assert tagged["images"].get_bytes(2) == IMAGE


def test_two_overwrites_at_once_do_not_mix(s3):
    url, creds = "s3://bucket/two", s3[1]
    write(url, creds=creds)
    with writer(url, creds=creds, overwrite=True) as slow:
        slow.append(record())
        write(url, rows=5, creds=creds, overwrite=True)
        assert rows(url, creds) == 5
    assert rows(url, creds) == 1


def test_a_lake_that_appears_at_an_address_meanwhile_is_kept(s3):
    url, creds = "s3://bucket/meanwhile", s3[1]
    slow = writer(url, creds=creds)
    with pytest.raises(ImportRefusedError, match="already a lake"), slow:
        slow.append(record()) or write(url, rows=2, creds=creds)
    assert rows(url, creds) == 2


@pytest.fixture(scope="module")
def proxy(endpoint):
    with fault_proxy(endpoint.url) as running:
        yield running


@pytest.mark.gives_up
@pytest.mark.parametrize(
    ("action", "begin"), [("refused", ""), ("refused", "_deeplake_log/_meta/0"), ("silent", "")]
)
def test_s3_that_takes_no_more_objects_keeps_the_old_lake(s3, proxy, monkeypatch, action, begin):
    name = f"{action}-{len(begin)}"
    url, creds = f"s3://bucket/{name}", s3[1]
    write(url, creds=creds)
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "5")
    rule = {"action": "silence"} if action == "silent" else {"action": "status", "status": 403}
    # An object of the rows; the second record, by which the new lake takes its place.
    skip = 1 if begin else 9
    proxy.rules(Rule(**rule, match=f"PUT /bucket/{name}/{begin}", skip=skip))
    begun = time.monotonic()
    with pytest.raises((CredentialError, StorageError)) as caught:
        write(url, rows=5, creds={**creds, "endpoint_url": proxy.url}, overwrite=True)
    assert time.monotonic() - begun < 20
    assert rows(url, creds) == 3
    assert ("as it was" in str(caught.value)) == (skip != 1)
    assert ("may not write this lake" in str(caught.value)) == (action == "refused")
    assert SECRET not in str(caught.value)
    proxy.rules()
    write(url, rows=4, creds=creds, overwrite=True)
    assert rows(url, creds) == 4


ENDED_BY_CTRL_C = """
import json, sys
sys.path.insert(0, {here!r})
from test_writer import record, writer
with writer({url!r}, creds=json.loads({creds!r}), overwrite=True) as lake:
    lake.append(record())
"""
INSPECT = ["-m", "deeplake_mmdet.cli", "inspect"]


@pytest.mark.parametrize("fault", [Rule("silence"), Rule("status", status=500)], ids=["silent", "failing"])
@pytest.mark.parametrize("what", ["import", "inspect"])
def test_ctrl_c_ends_what_waits_for_s3_however_often_it_is_pressed(s3, proxy, what, fault):
    url, creds = "s3://bucket/ctrl-c", {**s3[1], "endpoint_url": proxy.url}
    here = str(Path(__file__).parent)
    code = ENDED_BY_CTRL_C.format(here=here, url=url, creds=json.dumps(creds))
    command = ["-c", code] if what == "import" else [*INSPECT, url, "--endpoint-url", proxy.url]
    names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
    environment = {**os.environ, **{name: creds[key] for key, name in names.items()}}
    proxy.rules(fault)
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        while not proxy.counts().faults and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        begun = time.monotonic()
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        _, told = process.communicate(timeout=60)
        seconds = time.monotonic() - begun
    finally:
        process.kill()
        proxy.rules()
    assert process.returncode == (130 if what == "inspect" else -signal.SIGINT), told
    assert seconds < 10  # 1.2 on an idle machine
    assert SECRET not in told
    if what == "inspect":
        assert told.splitlines()[-1] == "deeplake-mmdet: interrupted"


def test_records_of_the_log_are_unpacked(s3):
    import deeplake

    url, creds = "s3://bucket/packed", s3[1]
    write(url, rows=300, creds=creds, optional_columns=[])
    lake = deeplake.open_read_only(url, creds=creds)
    log = f"packed/_deeplake_log/{lake.current_branch.id}/"
    packed = [key for key in keys(s3, log) if key.endswith(".lz4")]
    assert packed
    for key in packed:
        data = s3[0].get_object(Bucket="bucket", Key=key)["Body"].read()
        text = unpacked(data)
        assert len(text) == int.from_bytes(data[:4], "little")
        for line in text.splitlines():
            json.loads(line)


def test_secrets_stay_out_of_texts(s3):
    creds = s3[1]
    lake = writer("s3://bucket/x", creds=creds)
    assert SECRET not in repr(lake)
    with pytest.raises(StorageError) as caught, lake._guarded("It failed"):
        raise RuntimeError(f"cannot use {SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
