"""Credentials that expire while a process runs, and newer ones given in the same process."""

import multiprocessing

import pytest

from deeplake_mmdet.errors import CredentialError
from deeplake_mmdet.lake import CredentialRef, Source, open_view, put_away
from s3 import Rule, fault_proxy, s3_endpoint

pytestmark = pytest.mark.gives_up

ROWS = 20


@pytest.fixture(scope="module")
def endpoint():
    with s3_endpoint() as found:
        yield found


@pytest.fixture(scope="module")
def url(endpoint, make_lake, rows, encode, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    make_lake(folder, images=[encode(seed=row) for row in range(ROWS)], **rows(ROWS))
    return endpoint.upload(folder, "renewed")


@pytest.fixture
def doors(endpoint, monkeypatch, tmp_path):
    """Two ways to the same lake, each with credentials of its own: either can be closed by itself."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "cache"))
    with fault_proxy(endpoint.url) as old, fault_proxy(endpoint.url) as new:
        yield old, new


def through(endpoint, proxy):
    return CredentialRef(put_away({"creds": {**endpoint.creds, "endpoint_url": proxy.url}}))


def read_in_child(pipe, view):
    try:
        pipe.send(view.images([4]))
    except Exception as error:
        pipe.send(repr(error))


@pytest.mark.parametrize("again", ["source", "resolved"])
def test_newer_credentials_serve_every_view_of_the_lake(endpoint, url, doors, again):
    old, new = doors
    first = open_view(Source(url), credentials=through(endpoint, old))
    expected = first.images(range(5))
    first.close()
    old.rules(Rule("status", status=403))
    with pytest.raises(CredentialError):
        first.images([3])
    source = Source(url) if again == "source" else first.source
    second = open_view(source, credentials=through(endpoint, new))
    assert second.key == first.key
    assert second.images(range(5)) == first.images(range(5)) == expected
    first.close()
    assert first.images([4]) == expected[4:]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=read_in_child, args=(there, first))
    child.start()
    assert here.recv() == expected[4:]
    child.join(60)


def test_views_without_credentials_of_their_own_keep_those_in_use(endpoint, url, doors):
    _, new = doors
    first = open_view(Source(url), credentials=through(endpoint, new))
    second = open_view(first.source)
    first.close()
    assert second.images([1]) == first.images([1])


def test_environment_variables_are_read_again(endpoint, url, doors, monkeypatch):
    old, _ = doors
    keys = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    ref = CredentialRef({"endpoint_url": old.url, "aws_region": "us-east-1"})
    view = open_view(Source(url), credentials=ref)
    old.rules(Rule("status", status=403, times=1))
    assert len(view.images([7])) == 1


def test_references_to_the_same_credentials_are_equal():
    handle = put_away({"token": "one"})
    assert CredentialRef(handle) == CredentialRef(handle) != CredentialRef(put_away({"token": "one"}))
    assert hash(CredentialRef(handle)) == hash(CredentialRef(handle))
    region = {"aws_region": "a"}
    assert CredentialRef(region) == CredentialRef(dict(region)) != CredentialRef({"aws_region": "b"})
    assert CredentialRef() == CredentialRef({}) != "a string"


def test_a_lake_in_frozen_order_can_be_closed(make_lake, rows, encode, tmp_path):
    make_lake(tmp_path / "lake", images=[encode(seed=row) for row in range(6)], **rows(6))
    view = open_view(Source(str(tmp_path / "lake"), query="SELECT * ORDER BY RANDOM()"))
    expected = view.images(range(6))
    with view:
        view.handle.close()
        assert view.images(range(6)) == expected
    assert view.images(range(6)) == expected
