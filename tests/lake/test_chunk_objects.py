"""Whole chunks straight out of a bucket are what Deep Lake gives, and Deep Lake is asked where they fail."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, open_view, put_away
from deeplake_mmdet.lake.direct.chunk_objects import ChunkObjects
from deeplake_mmdet.lake.direct.column_files import SWITCH
from deeplake_mmdet.lake.direct.object_store import open_store
from deeplake_mmdet.lake.images.selected_cells import SelectedCells
from s3 import Proxy, Rule, fault_proxy, s3_endpoint

from .lakes_in_parts import jpeg, write

pytestmark = pytest.mark.gives_up

PARTS = (30, 40, 50, 20)  # rows of each chunk
BOUNDS = np.cumsum((0, *PARTS)).tolist()
KEYS = {"aws_access_key_id": "AKIACANARY", "aws_secret_access_key": "canary-secret"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chunks") / "lake"
    write(path, [[jpeg(row, 8 + row % 5) for row in range(start, stop)] for start, stop in pairwise(BOUNDS)])
    return path


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[bytes]:
    handle = deeplake.open_read_only(str(folder))
    return [bytes(cell) for cell in handle["images"].get_bytes(slice(0, BOUNDS[-1]))]


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[tuple[str, Proxy, str]]:
    with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
        yield upstream.upload(folder, "chunks"), proxy, upstream.url


@pytest.fixture
def view(
    served: tuple[str, Proxy, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LakeView]:
    url, proxy, _ = served
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    proxy.rules()
    with open_view(Source(url), credentials=through(proxy)) as opened:
        opened.__dict__.pop("encoded", None)  # the reader of another test, with what it has seen
        yield opened
    proxy.rules()


def through(proxy: Proxy, **more: Any) -> CredentialRef:
    creds = {**KEYS, "endpoint_url": proxy.url, "aws_region": "us-east-1", **more}
    return CredentialRef(put_away({"creds": creds}))


def chunk_by_chunk(view: LakeView) -> list[Any]:
    return [cell for start, stop in pairwise(BOUNDS) for cell in view.fetch_span(start, stop)]


def asked(proxy: Proxy, call: Any) -> int:
    before = proxy.counts().requests
    call()
    return proxy.counts().requests - before


def test_chunks_are_what_deep_lake_gives(
    view: LakeView, served: tuple[str, Proxy, str], expected: list[bytes]
) -> None:
    direct = view.cell_reader()
    assert isinstance(direct, ChunkObjects)
    assert chunk_by_chunk(view) == expected
    assert direct._failures == 0
    # by now two chunks have been compared, and each takes a single request
    assert asked(served[1], lambda: chunk_by_chunk(view)) == len(PARTS)
    # two neighbouring ones, and what is no whole chunk
    assert view.fetch_span(BOUNDS[1], BOUNDS[3]) == expected[BOUNDS[1] : BOUNDS[3]]
    assert view.fetch_span(5, 9) == expected[5:9]
    assert view.fetch_span(0, BOUNDS[-1]) == expected
    assert view.images([3, 139, 3]) == [expected[3], expected[139], expected[3]]


@pytest.mark.parametrize("action", ["status", "reset", "short"])
def test_what_fails_is_asked_of_deep_lake(
    view: LakeView, served: tuple[str, Proxy, str], expected: list[bytes], action: str
) -> None:
    chunk_by_chunk(view)
    view.close()  # what Deep Lake has kept
    served[1].rules(Rule(action, match="GET", status=500, times=3, skip=1))
    assert chunk_by_chunk(view) == expected


def test_after_three_failures_all_comes_from_deep_lake(
    view: LakeView, expected: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        calls = 0

        def get(self, name: str) -> memoryview:
            Broken.calls += 1
            raise PermissionError("<AWSAccessKeyId>AKIACANARY</AWSAccessKeyId>")

    monkeypatch.setattr("deeplake_mmdet.lake.direct.chunk_objects.open_store", lambda *_: Broken())
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        assert chunk_by_chunk(view) == expected
    assert Broken.calls == 3
    told = [record.getMessage() for record in caplog.records if "failed 3 times" in record.getMessage()]
    assert len(told) == 1
    assert "PermissionError" in told[0]
    assert "AKIACANARY" not in caplog.text


@pytest.mark.parametrize("harm", ["cut", "longer", "other bytes", "empty"])
def test_an_object_of_another_form_is_left_to_deep_lake(
    view: LakeView, expected: list[bytes], monkeypatch: pytest.MonkeyPatch, folder: Path, harm: str
) -> None:
    class Store:
        def get(self, name: str) -> memoryview:
            data = (folder / name).read_bytes()
            harmed = {"cut": data[:-7], "longer": data + b"7", "empty": b""}
            return memoryview(harmed.get(harm, data[:-9] + b"other bytes"[:9]))

    monkeypatch.setattr("deeplake_mmdet.lake.direct.chunk_objects.open_store", lambda *_: Store())
    assert chunk_by_chunk(view) == expected


def test_a_failure_of_deep_lake_itself_is_told(view: LakeView, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has waited and tried again by then: nothing asks it a second time."""
    direct = view.cell_reader()
    assert isinstance(direct, ChunkObjects)
    asked: list[Any] = []

    def read(rows: Any) -> list[Any]:
        asked.append(rows)
        raise StorageError("The storage did not answer", where="here")

    monkeypatch.setattr(direct._under, "get_bytes", read)
    with pytest.raises(StorageError):
        view.fetch_span(0, BOUNDS[1])
    assert len(asked) == 1


def test_rows_of_a_query_are_read_out_of_the_whole_lake(
    served: tuple[str, Proxy, str], view: LakeView, expected: list[bytes]
) -> None:
    _, proxy, _ = served
    query = open_view(Source(view.source.url, query="SELECT * LIMIT 70"), credentials=through(proxy))
    assert isinstance(query.cell_reader(), SelectedCells)
    assert query.fetch_span(0, 70) == expected[:70]


def test_newer_credentials_are_used(
    view: LakeView, served: tuple[str, Proxy, str], expected: list[bytes]
) -> None:
    _, proxy, upstream = served
    chunk_by_chunk(view)
    with fault_proxy(upstream) as other:
        open_view(view.source, credentials=through(other))
        before = proxy.counts().requests
        assert asked(other, lambda: chunk_by_chunk(view)) >= len(PARTS)
        assert proxy.counts().requests == before
        open_view(view.source, credentials=through(proxy))  # what this process uses from now on


def read_in_child(pipe: Any, view: LakeView) -> None:
    try:
        pipe.send(chunk_by_chunk(view))
    except BaseException as error:
        pipe.send(repr(error))


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_other_processes_read_the_same(view: LakeView, expected: list[bytes], way: str) -> None:
    chunk_by_chunk(view)
    context = multiprocessing.get_context(way)
    here, there = context.Pipe()
    child = context.Process(target=read_in_child, args=(there, view))
    child.start()
    assert here.poll(60)
    assert here.recv() == expected
    child.join(60)


FORKING = """
import multiprocessing, sys
from deeplake_mmdet.lake import CredentialRef, Source, open_view

def opened():
    return open_view(Source(sys.argv[1]), credentials=CredentialRef({"endpoint_url": sys.argv[2]}))

def read(view, pipe):
    fresh = opened() if view is None else view
    pipe.send([bytes(cell) for cell in fresh.fetch_span(0, 30)])

view = opened()
cells = view.fetch_span(0, 30)
assert type(view.cell_reader()).__name__ == "ChunkObjects" and view.cell_reader()._failures == 0
context = multiprocessing.get_context("fork")
for given in (view, None):
    here, there = context.Pipe()
    child = context.Process(target=read, args=(given, there))
    child.start()
    assert here.poll(60), "it hangs"
    assert here.recv() == cells
    child.join()
print("the same")
"""


def test_a_forked_process_leaves_the_clients_threads_alone(served: tuple[str, Proxy, str]) -> None:
    """They do not survive a fork: the client would wait for ever."""
    url, proxy, _ = served
    proxy.rules()
    keys = {key.upper(): value for key, value in KEYS.items()}
    done = subprocess.run(
        [sys.executable, "-c", FORKING, url, proxy.url],
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.endswith("the same\n"), done.stderr


def test_nothing_holds_keys_but_the_store(view: LakeView) -> None:
    chunk_by_chunk(view)
    assert b"canary" not in pickle.dumps(view).lower()
    assert pickle.loads(pickle.dumps(view)).cell_reader() is not view.cell_reader()
    store = open_store(view.source.url, view.credentials)
    assert store is not None
    assert "canary" not in repr(store).lower()
    with pytest.raises(TypeError, match="holds keys"):
        pickle.dumps(store)


@pytest.mark.parametrize(
    ("url", "creds"),
    [
        ("s3://bucket/lake", {**KEYS, "creds_key": "managed"}),
        ("gs://bucket/lake", KEYS),
        ("al://organisation/lake", {}),
        ("/tmp/lake", KEYS),
    ],
)
def test_what_only_deep_lake_understands_is_left_to_it(
    url: str, creds: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS:
        monkeypatch.delenv(key.upper(), raising=False)
    assert open_store(url, CredentialRef(put_away({"creds": creds}))) is None


def test_keys_of_the_environment_and_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in KEYS.items():
        monkeypatch.setenv(key.upper(), value)
    assert open_store("s3://bucket/lake", CredentialRef()) is not None
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the environment's keys")
    assert open_store("s3://bucket/lake", CredentialRef()) is not None
    assert open_store("s3://bucket/lake", CredentialRef(put_away({"creds": KEYS}))) is None
    monkeypatch.setenv(SWITCH, "0")
    assert open_store("s3://bucket/lake", CredentialRef()) is None
    monkeypatch.delenv(SWITCH)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    assert open_store("s3://bucket/lake", CredentialRef()) is None
