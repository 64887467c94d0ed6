"""Lakes with equal ids and other data: restored backups, and copies that went their own ways."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
import pytest

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, LakeView, Source, is_same_contents, open_view, open_view_of
from deeplake_mmdet.lake.cache.chunk_cache import ChunkCache
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from s3 import Proxy, fault_proxy, s3_endpoint

from .helpers import cells_in_child, unpack_v3
from .lakes_in_parts import jpeg, write

Change = Callable[[Any, int], None]


def append(lake: Any, number: int) -> None:
    boxes = [np.array([[1.0, 1.0, 2.0 + number, 2.0]])]
    lake.append({"images": [jpeg(50 + number)], "boxes": boxes, "labels": [np.zeros(1, np.uint32)]})


def relabel(lake: Any, number: int) -> None:
    lake["boxes"][number] = np.array([[3.0, 3.0, 1.0, 1.0]])


def delete(lake: Any, number: int) -> None:
    lake.delete(number)


def rename(lake: Any, number: int) -> None:
    lake["labels"].metadata["class_names"] = [f"class {number}"]


CHANGES: dict[str, Change] = {"append": append, "relabel": relabel, "delete": delete, "rename": rename}


def diverged(folder: Path, change: Change) -> tuple[Path, Path]:
    """A lake and a copy of it, each with the same number of commits after they parted."""
    write(folder / "lake", [[jpeg(seed) for seed in range(4)], [jpeg(seed) for seed in range(4, 6)]])
    shutil.copytree(folder / "lake", folder / "other")
    for number, name in enumerate(("lake", "other")):
        lake = deeplake.open(str(folder / name))
        change(lake, number)
        lake.commit("the same words")
    return folder / "lake", folder / "other"


def put(other: Path, lake: Path) -> None:
    """Let another lake take a lake's place."""
    lake.rename(lake.with_name("away"))
    other.rename(lake)


def seen(view: LakeView) -> tuple[list[list[float]], list[bytes], tuple[str, ...]]:
    return view.table.boxes.tolist(), view.images(range(len(view.table))), view.lake_classes


@pytest.mark.parametrize("change", CHANGES)
def test_what_takes_a_lakes_place_is_not_taken_for_it(tmp_path: Path, change: str) -> None:
    lake, other = diverged(tmp_path, CHANGES[change])
    before = open_view(Source(str(lake)))
    expected = seen(open_view(Source(str(other))))
    put(other, lake)
    after = open_view(Source(str(lake)))
    for name in ("url", "dataset_id", "branch_id", "version"):
        assert getattr(after.source, name) == getattr(before.source, name)
    assert after.source != before.source
    assert after.key != before.key
    assert seen(after) == expected  # by the cached table of the other, the boxes would be those of before
    for way in (lambda: before.images([0]), lambda: before.handle["boxes"][0:1]):
        with pytest.raises(SourceNotFoundError, match="Another lake now stands at this path"):
            way()
    assert "Another lake now stands" in str(cells_in_child("spawn", before.source, "boxes"))


def test_a_lake_that_is_put_back_is_read_on(tmp_path: Path) -> None:
    lake, _ = diverged(tmp_path, append)
    view = open_view(Source(str(lake)))
    expected = seen(view)
    lake.rename(tmp_path / "away")
    for way in (lambda: view.images([0]), lambda: view.handle["boxes"][0:1]):
        with pytest.raises(SourceNotFoundError, match="no longer at its path"):
            way()
    shutil.copytree(tmp_path / "away", lake)
    assert seen(view) == expected
    assert view.handle["boxes"][0:1].tolist() == [[[1.0, 1.0, 2.0, 2.0]]]


def contents(path: object, **asked: Any) -> str:
    return resolve(Source(str(path), **asked)).contents


def test_the_same_data_is_the_same_wherever_and_whatever_came_later(tmp_path: Path, monkeypatch) -> None:
    lake, _ = diverged(tmp_path, append)
    opened = deeplake.open(str(lake))
    opened.branch("side")
    side = opened.branches["side"].open()
    bare = contents(lake, branch="side")
    rename(side, 7)
    side.commit()
    pins = {asked: contents(lake, commit=asked) for asked in [str(found.id) for found in opened.history][1:]}
    on_side = contents(lake, branch="side")
    assert bare == pins[max(pins)]  # it holds the same
    assert len({*pins.values(), on_side}) == len(pins) + 1
    shutil.copytree(lake, tmp_path / "copy", copy_function=shutil.copy)  # with other times
    (tmp_path / "link").symlink_to(lake)
    monkeypatch.chdir(tmp_path)
    for path in (lake, tmp_path / "copy", tmp_path / "link", "lake", f"file://{lake}", f"{lake}/"):
        assert contents(path, commit=max(pins)) == pins[max(pins)]
    opened = deeplake.open(str(lake))
    opened.tag("a-tag", "of it")
    opened.branches["side"].rename("elsewhere")
    for number in range(70):  # Deep Lake then sums up the older records
        opened["labels"].metadata["class_names"] = [str(number)]
        opened.commit()
    assert {asked: contents(lake, commit=asked) for asked in pins} == pins
    assert contents(lake, branch="elsewhere") == on_side
    assert contents(lake, tag="a-tag") == pins[max(pins)]
    assert contents(lake, commit=max(pins), query="SELECT * LIMIT 2") == pins[max(pins)]


def test_opened_objects_are_pinned_to_the_same_data(tmp_path: Path, caplog) -> None:
    lake, other = diverged(tmp_path, append)
    told = contents(lake)
    opened, reader = deeplake.open(str(lake)), deeplake.open_read_only(str(lake))
    for given in (opened, reader, reader.query("SELECT * LIMIT 3")):
        view = open_view_of(given)
        assert (view.source.contents, view.source.held) == (told, "")
    assert not caplog.records
    put(other, lake)
    with pytest.raises(SourceNotFoundError, match="Another lake now stands"):
        open_view_of(reader)


def test_lakes_in_memory_are_told_apart_too() -> None:
    lakes = [deeplake.create(f"mem://contents-{number}", schema={"x": "int32"}) for number in range(2)]
    for lake in lakes:
        lake.append({"x": [1]})
        lake.commit()
    assert len({contents(f"mem://contents-{number}") for number in range(2)} - {""}) == 2


@pytest.mark.parametrize("open_head", [True, False])
def test_v3_lakes_are_told_apart_by_their_chunks(tmp_path: Path, open_head: bool) -> None:
    """The first commit of every v3 lake has the same id."""
    for name in ("lake", "other"):
        (tmp_path / name).mkdir()
    lake, other = Path(unpack_v3(tmp_path / "lake")), Path(unpack_v3(tmp_path / "other"))
    first = "firstdbf9474d461a19e9333c2fd19b46115348f"
    for index in other.glob("*/chunks_index/unsharded"):  # as in another lake: other chunks
        data = bytearray(index.read_bytes())
        for chunk in (index.parents[1] / "chunks").iterdir():
            chunk.rename(chunk.with_name(f"{int(chunk.name, 16) ^ 1:x}"))
        data[8] ^= 1
        index.write_bytes(data)
    if open_head:
        for path in (lake, other):
            (path / "version_control_info.json").unlink()
    view = open_view(Source(str(lake), commit=None if open_head else first))
    others = open_view(Source(str(other), commit=None if open_head else first))
    assert view.source.dataset_id == others.source.dataset_id
    assert view.source.version == others.source.version == first
    assert not is_same_contents(view.source.contents, others.source.contents)
    shutil.copytree(lake, tmp_path / "copy")
    copy = resolve(Source(str(tmp_path / "copy"), commit=None if open_head else first))
    assert is_same_contents(view.source.contents, copy.contents)
    put(other, lake)
    with pytest.raises(SourceNotFoundError, match="Another lake now stands"):
        view.images([0])


def test_a_v3_commit_of_another_time_is_another(tmp_path: Path) -> None:
    lake = Path(unpack_v3(tmp_path))
    before = resolve(Source(str(lake)))
    record = json.loads((lake / "version_control_info.json").read_text())
    record["commits"][before.version]["commit_time"] += 1
    (lake / "version_control_info.json").write_text(json.dumps(record))
    after = resolve(Source(str(lake)))
    assert (after.dataset_id, after.version) == (before.dataset_id, before.version)
    assert after.key != before.key
    with pytest.raises(SourceNotFoundError):
        handle_of(before)["boxes"][0:1]


@pytest.fixture(scope="module")
def bucket():
    with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
        yield upstream, proxy


def test_diverged_copies_in_a_bucket(tmp_path: Path, bucket: tuple[Any, Proxy], monkeypatch) -> None:
    upstream, proxy = bucket
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    lake, other = diverged(tmp_path, relabel)
    ref = CredentialRef({"endpoint_url": proxy.url, "aws_region": "us-east-1"})
    url = upstream.upload(lake, "diverged")
    view = open_view(Source(url), credentials=ref)
    local = open_view(Source(str(lake)))
    assert view.source.contents == local.source.contents
    settings = {"size": 10**7, "folder": tmp_path / "cache"}
    old = view.with_cache(cache_of(view, settings))
    assert old.images([0, 5]) == local.images([0, 5])
    pinned = pickle.dumps(view.source)
    for file in sorted((tmp_path / "lake").rglob("*")):
        if file.is_file():
            client(upstream).delete_object(Bucket="lakes", Key=f"diverged/{file.relative_to(lake)}")
    upstream.upload(other, "diverged")
    proxy.rules()
    new = open_view(Source(url), credentials=ref)
    assert sum("_deeplake_log" in line for line in proxy.counts().log) < 40
    expected = seen(open_view(Source(str(other))))
    assert seen(new.with_cache(cache_of(new, settings))) == expected
    assert pickle.loads(pinned) == view.source
    view.close()
    with pytest.raises(SourceNotFoundError, match="Another lake now stands"):
        view.images([0])
    with pytest.raises(DeepLakeMMDetError, match="Another lake now stands"):
        handle_of(view.source, ref)


def cache_of(view: LakeView, settings: dict[str, Any]) -> ChunkCache:
    from deeplake_mmdet.lake.cache.settings import CacheSettings

    cache = ChunkCache(CacheSettings(**settings), view.source, "images")
    cache.open()
    return cache


def client(upstream: Any) -> Any:
    import boto3

    keys = {name: upstream.creds[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    return boto3.client("s3", endpoint_url=upstream.url, region_name="us-east-1", **keys)
