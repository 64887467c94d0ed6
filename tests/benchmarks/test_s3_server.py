"""The benchmarks' S3 server: Deep Lake reads through it what stands on disk, and it counts and delays."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmark_modules import data, s3_server

ROWS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> data.BenchSet:
    return data.BenchSet.make(tmp_path_factory.mktemp("bench"), ROWS, unique=4)


@pytest.fixture
def server(made: data.BenchSet) -> Iterator[s3_server.Server]:
    with s3_server.s3_server(made.folder) as running:
        yield running


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_the_set_is_the_same_as_files_and_as_a_lake(made: data.BenchSet) -> None:
    import deeplake

    lake = deeplake.open_read_only(str(made.lake))
    assert len(lake) == ROWS
    for row, (image, boxes, labels) in enumerate(made.samples()):
        assert bytes(lake["images"].get_bytes(row)) == image
        stored = lake["boxes"][row]
        assert stored[:, :2] == pytest.approx(boxes[:, :2])
        assert stored[:, 2:] == pytest.approx(boxes[:, 2:] - boxes[:, :2])
        assert lake["labels"][row].tolist() == labels.tolist()
    assert 60_000 < made.image_bytes / ROWS < 140_000


def test_the_set_is_made_once(made: data.BenchSet) -> None:
    before = made.annotations.stat().st_mtime_ns
    again = data.BenchSet.make(made.folder.parent, ROWS, unique=4)
    assert again == made
    assert again.annotations.stat().st_mtime_ns == before


def test_small_lakes_hold_small_images(tmp_path: Path) -> None:
    import deeplake

    lake = deeplake.open_read_only(str(data.small_lake(tmp_path, 30)))
    assert len(lake) == 30
    assert 0 < len(lake["images"].get_bytes(29)) <= 2048


def test_deep_lake_reads_the_lake(made: data.BenchSet, server: s3_server.Server) -> None:
    import deeplake

    lake = deeplake.open_read_only(f"s3://{s3_server.BUCKET}/lake", creds=server.creds)
    found = lake["images"].get_bytes(list(range(ROWS)))
    assert [bytes(image) for image in found] == [image for image, _, _ in made.samples()]
    counts = server.counts()
    assert counts.sent >= made.image_bytes
    assert 0 < counts.objects < counts.requests


def test_ranges(made: data.BenchSet, server: s3_server.Server) -> None:
    address = f"{server.url}/{s3_server.BUCKET}/coco.json"
    whole = made.annotations.read_bytes()
    assert get(address) == (200, get(address)[1], whole)
    for span, expected in (
        ("bytes=0-9", whole[:10]),
        ("bytes=5-", whole[5:]),
        ("bytes=-7", whole[-7:]),
        (f"bytes=3-{10 * len(whole)}", whole[3:]),
    ):
        status, headers, body = get(address, Range=span)
        assert (status, body) == (206, expected)
        assert headers["Content-Range"].endswith(f"/{len(whole)}")
    assert get(address, Range=f"bytes={len(whole)}-")[0] == 416


def test_head_gives_the_length_and_no_body(made: data.BenchSet, server: s3_server.Server) -> None:
    address = f"{server.url}/{s3_server.BUCKET}/coco.json"
    status, headers, body = get(address, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == made.annotations.stat().st_size


@pytest.mark.parametrize("path", ["bench/none", "other/coco.json", "bench/../../etc/passwd"])
def test_what_is_not_below_the_folder_is_not_there(server: s3_server.Server, path: str) -> None:
    assert get(f"{server.url}/{path}")[0] == 404


def test_lists_in_pages(made: data.BenchSet, server: s3_server.Server) -> None:
    found: list[str] = []
    token = ""
    while True:
        address = f"{server.url}/{s3_server.BUCKET}?list-type=2&prefix=images/&max-keys=5"
        tree = ElementTree.fromstring(get(address + (f"&continuation-token={token}" if token else ""))[2])
        space = tree.tag.removesuffix("ListBucketResult")
        found += [str(key.text) for key in tree.iter(f"{space}Key")]
        if tree.findtext(f"{space}IsTruncated") == "false":
            break
        token = str(tree.findtext(f"{space}NextContinuationToken"))
    assert found == sorted(f"images/{path.name}" for path in made.images.iterdir())


def test_lists_folders_by_delimiter(server: s3_server.Server) -> None:
    body = get(f"{server.url}/{s3_server.BUCKET}?list-type=2&delimiter=/")[2].decode()
    assert "<Prefix>images/</Prefix>" in body
    assert "<Key>coco.json</Key>" in body
    assert "0000000.jpg" not in body


def test_delays_and_counts(made: data.BenchSet, server: s3_server.Server) -> None:
    address = f"{server.url}/{s3_server.BUCKET}/coco.json"
    server.set_latency(0.2)
    server.reset()
    start = time.monotonic()
    get(address)
    assert time.monotonic() - start >= 0.2
    counts = server.counts()
    assert (counts.requests, counts.objects) == (1, 1)
    assert counts.sent == made.annotations.stat().st_size
