"""Lakes in clouds and on an S3 server on this machine; no real one is ever asked."""

import json
import os
import re
import socket
import subprocess
import sys
import uuid

import pytest

from deeplake_mmdet.errors import CredentialError, SourceFormatError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake import CredentialRef, Source, put_away
from deeplake_mmdet.lake.calls.faults import DEADLINE_VARIABLE
from deeplake_mmdet.lake.source.pinning import handle_of, resolve

from .helpers import rows_in_child

SECRET = "canary-0123456789"


@pytest.mark.parametrize(
    "url", ["azure://account/container/lake", "al://org/name", "hub://org/name/.queries/big"]
)
def test_a_cloud_without_credentials_or_network_is_told(url, monkeypatch):
    for name in ("ACTIVELOOP_TOKEN", "DEEPLAKE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((StorageError, CredentialError), match=r"lake (azure|al)://.*What to do"):
        resolve(Source(url))


def test_google_storage_without_credentials_is_told():
    code = (
        "from deeplake_mmdet.lake import Source; from deeplake_mmdet.lake.source.pinning import resolve\n"
        "from deeplake_mmdet.errors import StorageError, CredentialError; import os\n"
        "try: resolve(Source('gs://bucket/lake'))\n"
        "except (StorageError, CredentialError) as error: print(error, flush=True)\n"
        "os._exit(0)"
    )
    environment = {**os.environ, DEADLINE_VARIABLE: "8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, env=environment
    )
    assert "lake gs://bucket/lake" in done.stdout


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs", "azure", "al"])
def test_addresses_reach_deep_lake_as_they_are(monkeypatch, scheme):
    import deeplake

    asked = []

    def open_lake(url, creds=None, token=None):
        asked.append((url, creds, token))
        raise TimeoutError

    monkeypatch.setattr(deeplake, "open_read_only", open_lake)
    monkeypatch.setattr(deeplake, "open_read_only_async", open_lake)
    ref = CredentialRef(put_away({"token": SECRET, "creds": {"key": "value"}}))
    with pytest.raises(TimeoutError):
        resolve(Source(f"{scheme}://place/lake/"), ref)
    assert asked == [(f"{scheme}://place/lake", {"key": "value"}, SECRET)]


@pytest.fixture(scope="module")
def s3():
    """The endpoint of an S3 server with a bucket ``lakes``; no real one is ever asked."""
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    import boto3

    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="lakes")
    yield endpoint
    server.stop()
    patch.undo()


@pytest.fixture
def s3_lake(s3, make_lake, rows):
    creds = {"endpoint_url": s3, "aws_region": "us-east-1"}
    return make_lake(f"s3://lakes/{uuid.uuid4()}", creds=creds, **rows())


@pytest.mark.timeout(120)
def test_a_lake_on_s3_is_read_with_the_environments_credentials(s3, s3_lake, rows):
    ref = CredentialRef({"endpoint_url": s3, "aws_region": "us-east-1"})
    resolved = resolve(Source(s3_lake.url), ref)
    assert len(handle_of(resolved, ref)) == 3
    s3_lake.append(images=[b"\xff\xd8"], **rows(1))
    assert len(handle_of(resolve(Source(s3_lake.url), ref), ref)) == 4
    assert rows_in_child("spawn", resolved, ref) == 3
    assert rows_in_child("fork", resolved, ref) == 3
    assert SECRET not in json.dumps(resolved.facts()) + repr(ref)


@pytest.mark.timeout(120)
def test_a_lake_on_s3_is_read_with_credentials_put_away(s3, s3_lake, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    keys = {"aws_access_key_id": "an-id", "aws_secret_access_key": SECRET}
    ref = CredentialRef(put_away({"creds": {**keys, "endpoint_url": s3, "aws_region": "us-east-1"}}))
    resolved = resolve(Source(s3_lake.url, query="SELECT * LIMIT 2"), ref)
    assert len(handle_of(resolved, ref)) == 2
    assert rows_in_child("spawn", resolved, ref) == 2


@pytest.mark.timeout(120)
def test_a_place_on_s3_without_a_lake_is_told(s3):
    ref = CredentialRef({"endpoint_url": s3, "aws_region": "us-east-1"})
    with pytest.raises((SourceFormatError, SourceNotFoundError), match="s3://lakes/nothing"):
        resolve(Source("s3://lakes/nothing"), ref)


@pytest.mark.slow
def test_a_missing_bucket_is_told(s3):
    ref = CredentialRef({"endpoint_url": s3, "aws_region": "us-east-1"})
    with pytest.raises((SourceFormatError, SourceNotFoundError), match="s3://no-such-bucket/lake"):
        resolve(Source("s3://no-such-bucket/lake"), ref)


def test_a_storage_that_does_not_answer_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    # A process of its own: the call goes on inside Deep Lake and would hold up every later fork.
    code = (
        "from deeplake_mmdet.lake import CredentialRef, Source\n"
        "from deeplake_mmdet.lake.source.pinning import resolve\n"
        f"resolve(Source('s3://lakes/lake'), CredentialRef(dict(endpoint_url={endpoint!r}, aws_region='a')))"
    )
    keys = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": SECRET, DEADLINE_VARIABLE: "8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **keys}
    )
    assert done.returncode == 1
    assert re.search(r"StorageError: .*did not answer.*s3://lakes/lake.*endpoint_url", done.stderr)
    assert SECRET not in done.stdout + done.stderr
