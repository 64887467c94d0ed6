"""As whoever Deep Lake reads a bucket, whole chunks come straight out of it, and no sample is lost."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest

from deeplake_mmdet.errors import CredentialError
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, open_view, put_away
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.cache.settings import CacheSettings
from deeplake_mmdet.lake.direct.chunk_objects import ChunkObjects
from deeplake_mmdet.lake.direct.clouds import bucket_region
from deeplake_mmdet.lake.direct.object_store import open_store
from deeplake_mmdet.lake.source.identities import Way, identity_of
from s3.cloud import ROLE, Cloud, Laws, cloud

from .lakes_in_parts import jpeg, write

pytestmark = pytest.mark.gives_up

PARTS = (30, 40, 50, 20)  # rows of each chunk
BOUNDS = np.cumsum((0, *PARTS)).tolist()
URL = "s3://lakes/chunks"
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("buckets")
    parts = [[jpeg(row, 8 + row % 5) for row in range(start, stop)] for start, stop in pairwise(BOUNDS)]
    (path / "lakes").mkdir()
    write(path / "lakes" / "chunks", parts)
    return path


@pytest.fixture(scope="module")
def expected(buckets: Path) -> list[bytes]:
    handle = deeplake.open_read_only(str(buckets / "lakes" / "chunks"))
    return [bytes(cell) for cell in handle["images"].get_bytes(slice(0, BOUNDS[-1]))]


@pytest.fixture
def served(buckets: Path) -> Iterator[Cloud]:
    """One for each test: where it was refused, Deep Lake goes on asking for a while."""
    with cloud(buckets) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any identity."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "20")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def arrive(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def opened(served: Cloud, **more: str) -> LakeView:
    creds = {"endpoint_url": served.url, "aws_region": "us-east-1", **more}
    return open_view(Source(URL), credentials=CredentialRef(put_away({"creds": creds})))


def chunk_by_chunk(view: LakeView) -> list[Any]:
    return [cell for start, stop in pairwise(BOUNDS) for cell in view.fetch_span(start, stop)]


def whole_objects(served: Cloud) -> list[dict[str, Any]]:
    """What was asked by obstore."""
    found = [entry for entry in served.log() if entry["agent"] == "obstore"]
    return [entry for entry in found if "/lakes/" in entry["what"]]


def check(served: Cloud, view: LakeView, expected: list[bytes]) -> set[str | None]:
    """Whether chunks come straight, by the same identity as Deep Lake's; by which."""
    with view:
        direct = view.cell_reader()
        assert isinstance(direct, ChunkObjects)
        assert chunk_by_chunk(view) == expected
        assert chunk_by_chunk(view) == expected
        found = whole_objects(served)
        assert len(found) == 2 * len(PARTS)
        assert {entry["answer"] for entry in found} == {200}
        deep_lakes = {entry["who"] for entry in served.log() if entry["agent"] == "Deep Lake"}
        return {entry["who"] for entry in found} | (deep_lakes - {None})


def test_a_profile_of_the_credentials_file(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes]
) -> None:
    keys = "[{}]\naws_access_key_id = {}\naws_secret_access_key = canary-secret\n"
    (home / ".aws" / "credentials").write_text(keys.format("default", "AKDEFAULT") + keys.format("b", "AKB"))
    served.laws(Laws(keys=dict.fromkeys(("AKDEFAULT", "AKB", "AKENV"), "")))
    arrive(monkeypatch, **NO_METADATA)
    assert check(served, opened(served), expected) == {"AKDEFAULT"}
    served.laws(Laws(keys=dict.fromkeys(("AKDEFAULT", "AKB", "AKENV"), "")))
    # Deep Lake puts a profile that is named before keys of the environment.
    arrive(
        monkeypatch,
        AWS_PROFILE="b",
        AWS_ACCESS_KEY_ID="AKENV",
        AWS_SECRET_ACCESS_KEY="x",
        AWS_SESSION_TOKEN="y",
    )
    assert check(served, opened(served), expected) == {"AKB"}
    served.laws(Laws(keys=dict.fromkeys(("AKDEFAULT", "AKB", "AKENV"), "")))
    assert check(served, opened(served, profile_name="default"), expected) == {"AKDEFAULT"}


AWS_COMMAND = """#!{python}
import json, sys
from botocore.session import Session
keys = Session(profile=sys.argv[sys.argv.index("--profile") + 1]).get_credentials().get_frozen_credentials()
found = {{"Version": 1, "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}}
print(json.dumps({{**found, "SessionToken": keys.token}}))
"""


def test_a_profile_whose_role_is_assumed(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes]
) -> None:
    """Deep Lake has AWS's own command find its keys; this stands in for it."""
    command = home / "aws"
    command.write_text(AWS_COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    (home / ".aws" / "credentials").write_text("[b]\naws_access_key_id=AKB\naws_secret_access_key=s\n")
    (home / ".aws" / "config").write_text(
        f"[profile role]\nrole_arn={ROLE}\nsource_profile=b\nregion=us-east-1\n"
    )
    arrive(
        monkeypatch,
        AWS_PROFILE="role",
        AWS_ENDPOINT_URL_STS=served.url,
        PATH=f"{home}{os.pathsep}{os.environ['PATH']}",
    )
    served.laws(Laws(keys={"AKB": ""}))
    who = check(served, opened(served), expected)
    assert len(who) == 2  # a session for each of them
    assert all(str(key).startswith("ASIA") for key in who)


@pytest.mark.parametrize("shown", ["file", "variable"])
def test_a_containers_role(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes], shown: str
) -> None:
    served.laws(Laws(container_token="canary-container"))
    arrive(monkeypatch, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{served.url}/container")
    if shown == "file":  # as in pods of EKS
        (home / "token").write_text("canary-container")
        arrive(monkeypatch, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(home / "token"))
    else:
        arrive(monkeypatch, AWS_CONTAINER_AUTHORIZATION_TOKEN="canary-container")
    assert all(str(key).startswith("ASIA") for key in check(served, opened(served), expected))


def test_an_instances_role(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes]
) -> None:
    served.laws(Laws(instance_role=True))
    arrive(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url)
    assert all(str(key).startswith("ASIA") for key in check(served, opened(served), expected))


@pytest.mark.parametrize("metadata", ["switched off", "without a role"])
def test_a_public_bucket(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes], metadata: str
) -> None:
    served.laws(Laws(public=True))
    arrive(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url)
    if metadata == "switched off":
        arrive(monkeypatch, **NO_METADATA)
    assert check(served, opened(served), expected) == {None}


class Renewal(threading.Thread):
    """Writes a new token of web identity into its file, each before the last one expires."""

    def __init__(self, file: Path, seconds: float) -> None:
        super().__init__(daemon=True)
        self.file, self.seconds, self.count = file, seconds, 0
        self.over = threading.Event()
        self.write()

    def write(self) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"web@{time.time() + 1.5 * self.seconds}")
        fresh.rename(self.file)
        self.count += 1

    def run(self) -> None:
        while not self.over.wait(self.seconds):
            self.write()


@pytest.mark.parametrize(
    ("reads", "expiries"), [(120, 3), pytest.param(1000, 20, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_web_identity_outlasts_its_tokens(
    served: Cloud,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: list[bytes],
    reads: int,
    expiries: int,
) -> None:
    """Deep Lake asks Amazon's own STS, so that here it is let in as the instance it runs on."""
    served.laws(Laws(web_tokens=["web"], instance_role=True, seconds=2))
    arrive(
        monkeypatch,
        AWS_WEB_IDENTITY_TOKEN_FILE=str(home / "token"),
        AWS_ROLE_ARN=ROLE,
        AWS_ENDPOINT_URL_STS=served.sts,
        SSL_CERT_FILE=str(served.authority),
        DEEPLAKE_AWS_ALLOW_IMDS_FALLBACK="1",
        AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url,
    )
    renewal = Renewal(home / "token", 1.0)
    renewal.start()
    view = opened(served)
    lost, until = [], time.monotonic()
    with view:
        for number in range(reads):
            start, stop = list(pairwise(BOUNDS))[number % len(PARTS)]
            if view.fetch_span(start, stop) != expected[start:stop]:
                lost.append(number)
            until += (expiries + 0.5) * renewal.seconds / reads
            time.sleep(max(0.0, until - time.monotonic()))
    renewal.over.set()
    found = whole_objects(served)
    assert not lost
    assert renewal.count > expiries
    assert len(found) == reads
    assert len({entry["who"] for entry in found}) > expiries // 2  # keys live for two tokens
    sts = [entry for entry in served.log() if entry["what"].startswith("POST /")]
    assert {entry["answer"] for entry in sts} == {200}


def test_keys_that_expire_unseen_cost_one_read_through_deep_lake(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes]
) -> None:
    """As when a session is revoked, or a clock is wrong: nobody has told that they would end."""
    arrive(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url)
    served.laws(Laws(instance_role=True))
    view = opened(served)
    with view:
        assert chunk_by_chunk(view) == expected
        served.laws(Laws(instance_role=True))  # forgets what it has handed out
        assert chunk_by_chunk(view) == expected
        answers = [entry["answer"] for entry in whole_objects(served)]
        assert answers == [403] + [200] * (len(PARTS) - 1)


def test_the_wrong_role_is_one_error_that_names_what_was_tried(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.laws(Laws(instance_role=True, roles=["arn:aws:iam::123456789012:role/other"]))
    arrive(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url)
    with pytest.raises(CredentialError, match=r"refused access.*read by the instance's role") as caught:
        opened(served)
    assert "canary" not in str(caught.value)
    (home / ".aws" / "credentials").write_text("[b]\naws_access_key_id=AKB\naws_secret_access_key=s\n")
    arrive(monkeypatch, AWS_PROFILE="b")
    with pytest.raises(CredentialError, match=r"read by a profile 'b' \(AWS_PROFILE\)"):
        opened(served)


def test_a_profile_without_keys_is_told_as_that(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(monkeypatch, AWS_PROFILE="nowhere", **NO_METADATA)
    with pytest.raises(CredentialError, match=r"No keys could be had.*a profile 'nowhere'.*sso login"):
        opened(served)


def test_web_identity_without_a_token_is_told_as_that(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(monkeypatch, AWS_WEB_IDENTITY_TOKEN_FILE=str(home / "gone"), AWS_ROLE_ARN=ROLE, **NO_METADATA)
    with pytest.raises(CredentialError, match=rf"No keys could be had.*web identity.*{ROLE}") as caught:
        opened(served)
    assert str(home / "gone") in str(caught.value)


def test_credentials_that_end_for_good_are_one_error(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes], caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    arrive(
        monkeypatch,
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{served.url}/container",
        AWS_CONTAINER_AUTHORIZATION_TOKEN="canary-container",
    )
    served.laws(Laws(container_token="canary-container"))
    view = opened(served)
    assert chunk_by_chunk(view) == expected
    view.close()
    served.laws(Laws(container_token="canary-container", broken=True))
    with pytest.raises(CredentialError, match=r"read by the container's role \(AWS_CONTAINER_") as caught:
        chunk_by_chunk(view)
    own = [record.getMessage() for record in caplog.records if not record.name.startswith("deeplake.")]
    for text in (str(caught.value), repr(caught.value), str(pickle.dumps(caught.value)), *own):
        assert "canary" not in text
        assert "ASIA" not in text


def test_without_boto3_profiles_are_left_to_deep_lake(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("deeplake_mmdet.lake.direct.clouds.find_spec", lambda name: None)
    arrive(monkeypatch, AWS_PROFILE="b")
    caplog.set_level(logging.INFO)
    for _ in range(2):
        assert open_store("s3://without-boto3/lake", CredentialRef()) is None
    told = [record for record in caplog.records if "boto3 is not installed" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("s3://bucket/lake", "AWS_TOKEN"),
        ("s3://bucket/lake", "AWS_SKIP_SIGNATURE"),
        ("s3://bucket/lake", "AWS_ENDPOINT"),
        ("gs://bucket/lake", "GOOGLE_BEARER_TOKEN"),
        ("azure://account/container/lake", "AZURE_STORAGE_SAS_TOKEN"),
    ],
)
def test_what_only_obstore_heeds_is_no_identity(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, variable: str
) -> None:
    given = CredentialRef()
    assert open_store(url, given) is not None
    monkeypatch.setenv(variable, "canary")
    assert open_store(url, given) is None


def test_nothing_is_asked_before_the_first_read(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.laws(Laws(instance_role=True))
    arrive(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=served.url)
    for variables in (
        {},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{served.url}/container"},
        {"AWS_PROFILE": "nobody"},
    ):
        arrive(monkeypatch, **variables)
        store = open_store(URL, CredentialRef({"endpoint_url": served.url}))
        assert store is not None
        assert repr(store) == "ObjectStore()"
        with pytest.raises(TypeError, match="holds keys"):
            pickle.dumps(store)
    assert [entry for entry in served.log() if entry["agent"] != "Deep Lake"] == []


def test_a_bucket_tells_its_region(served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The region of the machine, or of nothing at all, is not the bucket's."""
    assert bucket_region("lakes", served.url) == "eu-west-3"
    assert bucket_region("lakes", "http://127.0.0.1:1") == ""
    served.laws(Laws())
    monkeypatch.setattr("deeplake_mmdet.lake.direct.clouds._AMAZON", served.url)
    arrive(monkeypatch, AWS_ACCESS_KEY_ID="AKB", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="us-east-2")
    store = open_store("s3://far-away/lake", CredentialRef())
    assert store is not None
    assert served.log() == []
    assert callable(store._stores)
    (made,) = store._stores()  # not read: it is Amazon's
    assert made.config["region"] == "eu-west-3"
    assert [entry["what"] for entry in served.log()] == ["HEAD /far-away"]


@pytest.mark.parametrize("text", ["", "[default", "\x00\xff", "[default]\naws_access_key_id"])
def test_files_of_aws_that_make_no_sense_name_nobody(home: Path, text: str) -> None:
    for name in ("credentials", "config"):
        (home / ".aws" / name).write_text(text, "latin-1")
    who = identity_of("s3://bucket/lake", {})
    assert who is not None
    assert who.way is Way.INSTANCE


def service_account() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    ids = {"project_id": "p", "private_key_id": "1", "client_id": "2", "client_email": "reader@p"}
    return json.dumps({"type": "service_account", "private_key": pem, "token_uri": "http://x", **ids})


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
@pytest.mark.parametrize("way", ["token", "account", "file"])
def test_google(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes], scheme: str, way: str
) -> None:
    served.laws(Laws(keys={"canary-google": "", "reader@p": ""}))
    arrive(monkeypatch, CLOUD_STORAGE_EMULATOR_ENDPOINT=served.url)
    given = {
        "token": {"gcs_oauth_token": "canary-google"},
        "account": {"json_credentials": service_account()},
    }
    if way == "file":
        (home / "account.json").write_text(service_account())
        arrive(monkeypatch, GOOGLE_APPLICATION_CREDENTIALS=str(home / "account.json"))
    ref = CredentialRef(put_away({"creds": given.get(way, {})}))
    view = open_view(Source(f"{scheme}://lakes/chunks"), credentials=ref)
    assert check(served, view, expected) == {"canary-google" if way == "token" else "reader@p"}


@pytest.mark.parametrize("scheme", ["azure", "az"])
@pytest.mark.parametrize("way", ["key", "signature", "nobody"])
def test_azure(served: Cloud, home: Path, expected: list[bytes], scheme: str, way: str) -> None:
    served.laws(Laws(keys={"account": "", "canary": ""}, public=way == "nobody"))
    given = {"key": {"account_key": "Y2FuYXJ5"}, "signature": {"sas_token": "sv=2024-08-04&sig=canary"}}
    creds = {"blob_endpoint": f"{served.url}/account", **given.get(way, {})}
    ref = CredentialRef(put_away({"creds": creds}))
    view = open_view(Source(f"{scheme}://account/lakes/chunks"), credentials=ref)
    assert check(served, view, expected) == {{"key": "account", "signature": "canary"}.get(way)}


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_refusals_of_google_and_azure_name_what_was_tried(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    served.laws(Laws())
    arrive(monkeypatch, CLOUD_STORAGE_EMULATOR_ENDPOINT=served.url)
    given = {
        "gs": {"gcs_oauth_token": "canary"},
        "az": {"blob_endpoint": f"{served.url}/account", "account_key": "Y2FuYXJ5"},
    }[scheme]
    url = {"gs": "gs://lakes/chunks", "az": "az://account/lakes/chunks"}[scheme]
    with pytest.raises(CredentialError, match=r"refused access.*read by the keys in credentials") as caught:
        open_view(Source(url), credentials=CredentialRef(put_away({"creds": given})))
    assert "canary" not in str(caught.value)
    assert "Y2FuYXJ5" not in str(caught.value)


@pytest.mark.parametrize("url", [URL, "gs://lakes/chunks", "az://account/lakes/chunks"])
def test_under_the_chunk_cache(
    served: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, expected: list[bytes], url: str
) -> None:
    served.laws(Laws(keys={"canary": "", "account": ""}))
    arrive(monkeypatch, CLOUD_STORAGE_EMULATOR_ENDPOINT=served.url)
    creds = {
        "s3": {"endpoint_url": served.url, "aws_access_key_id": "canary", "aws_secret_access_key": "s"},
        "gs": {"gcs_oauth_token": "canary"},
        "az": {"blob_endpoint": f"{served.url}/account", "account_key": "Y2FuYXJ5"},
    }[url[:2]]
    view = open_view(Source(url), credentials=CredentialRef(put_away({"creds": creds})))
    cached = view.with_cache(ChunkCache(CacheSettings(10**8, home / "chunks"), view.source, "images"))
    with cached:
        assert chunk_by_chunk(cached) == expected
        assert len(whole_objects(served)) == len(PARTS)
        before = len(served.log())
        assert chunk_by_chunk(cached) == expected
        assert len(served.log()) == before


UNREACHABLE = """
import sys, time
from deeplake_mmdet.lake import CredentialRef
from deeplake_mmdet.lake.direct.clouds import bucket_region
from deeplake_mmdet.lake.direct.object_store import open_store
begin = time.monotonic()
store = open_store("s3://lakes/chunks", CredentialRef({"endpoint_url": sys.argv[1]}))
assert time.monotonic() - begin < 2, "opening waits"
store.get(sys.argv[2])
assert time.monotonic() - begin < 10, "reading waits"
print("read")
"""


def test_a_machine_without_metadata_does_not_hang(served: Cloud, buckets: Path, home: Path) -> None:
    """Where nobody answers, as at the address of metadata on most machines."""
    served.laws(Laws(public=True))
    files = (buckets / "lakes" / "chunks").rglob("*")
    name = next(str(file.relative_to(buckets / "lakes" / "chunks")) for file in files if file.is_file())
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())  # takes no more connections, and refuses none
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        metadata = f"http://127.0.0.1:{full.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", UNREACHABLE, served.url, name],
            env={**os.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata},
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert done.stdout == "read\n", done.stderr
