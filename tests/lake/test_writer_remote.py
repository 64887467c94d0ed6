"""Writing lakes to memory and to an S3 server on this machine."""

import pytest

from deeplake_mmdet.errors import AnnotationError, ImportRefusedError, StorageError

from .test_writer import IMAGE, SECRET, fail_midway, killed_import, record, rows, write, writer


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("moto.server")
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    creds = {
        "aws_access_key_id": "key",
        "aws_secret_access_key": SECRET,
        "endpoint_url": url,
        "aws_region": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="bucket")
    yield client, creds
    server.stop()


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


def test_s3_killed_import_shows_no_rows(s3):
    import deeplake

    url, creds = "s3://bucket/killed", s3[1]
    killed_import(url, creds=creds)
    ds = deeplake.open_read_only(url, creds=creds)
    assert len(ds) == 0
    assert "deeplake_mmdet" not in list(ds.metadata.keys())
    with pytest.raises(ImportRefusedError, match="interrupted"):
        write(url, creds=creds)
    write(url, creds=creds, overwrite=True)
    assert rows(url, creds) == 3


def test_secrets_stay_out_of_texts(s3):
    creds = s3[1]
    lake = writer("s3://bucket/x", creds=creds)
    assert SECRET not in repr(lake)
    with pytest.raises(StorageError) as caught, lake._guarded("It failed"):
        raise RuntimeError(f"cannot use {SECRET}")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
