"""Bodies that arrive with other bytes, as many: never believed where they are kept, and no row is blamed."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import deeplake
import numpy as np
import pytest
from deeplake import types
from drawn_lakes import LOAD, PACK, lake_dataset, loader_of

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import ImageError, StorageError
from deeplake_mmdet.lake.direct.column_files import SWITCH
from s3 import Endpoint, Proxy, Rule, fault_proxy, s3_endpoint

pytestmark = pytest.mark.gives_up

PARTS, EACH = 3, 12
ROWS = PARTS * EACH
_numbers = itertools.count()
BROKEN = 5  # a row of the lake "broken" that holds no image


def encoded(row: int, extension: str) -> bytes:
    noise = np.random.default_rng(row).integers(0, 256, (64, 128 + row, 3), np.uint8)
    return cv2.imencode(extension, noise)[1].tobytes()


def make(path: Path, kind: str = "jpeg", broken: int | None = None) -> Path:
    lake = deeplake.create(
        str(path),
        schema={
            "images": types.Image(sample_compression=kind),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            "width": "int64",
            "height": "int64",
        },
    )
    lake["labels"].metadata["class_names"] = ["a"]
    for part in range(PARTS):
        rows = range(part * EACH, (part + 1) * EACH)
        images = [encoded(row, f".{kind}") for row in rows]
        if broken in rows:
            images[broken - rows.start] = images[broken - rows.start][:-200]
        lake.append(
            {
                "images": images,
                "boxes": [np.array([[2.0, 2.0, 9.0, 9.0]])] * EACH,
                "labels": [np.zeros(1, np.uint32)] * EACH,
                "width": [128 + row for row in rows],
                "height": [64] * EACH,
            }
        )
        lake.commit()
    return path


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("damaged")
    return {
        "jpeg": make(folder / "jpeg"),
        "png": make(folder / "png", "png"),
        "broken": make(folder / "broken", broken=BROKEN),
    }


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[Endpoint, Proxy]]:
    with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
        yield upstream, proxy


@pytest.fixture
def remote(bucket, lakes, monkeypatch, tmp_path):
    """Keys of a dataset on a lake in the bucket."""
    upstream, proxy = bucket
    for key, value in upstream.creds.items():
        if key.startswith("aws_"):
            monkeypatch.setenv(key.upper(), value)
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "own-cache"))
    proxy.rules()
    fresh = next(_numbers)  # so that no test meets what another one has open

    def keys_of(name: str, **keys: Any) -> dict[str, Any]:
        url = upstream.upload(lakes[name], f"{name}-{fresh}")
        return {"path": url, "credentials": {"endpoint_url": proxy.url}, **keys}

    yield keys_of
    proxy.rules()


def images_at(path: Path) -> str:
    """What the names of the images' objects have in common."""
    (first, *_) = deeplake.open_read_only(str(path))._datafiles_report["images"].insert_datafiles
    return str(first.filename).partition("/")[0]


def fill(keys: dict[str, Any]) -> list[bytes]:
    """All images, chunk by chunk, by a dataset of their own."""
    dataset = DeepLakeDataset(**keys)
    found = dataset.view.fetch_span(0, ROWS)
    dataset.close()
    return [bytes(image) for image in found]


@pytest.mark.parametrize("way", ["checksums", "Deep Lake"])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_cache_keeps_no_damaged_bytes(bucket, lakes, remote, monkeypatch, tmp_path, caplog, kind, way):
    proxy = bucket[1]
    if way == "Deep Lake":
        monkeypatch.setenv(SWITCH, "0")
    truth = [encoded(row, f".{kind}") for row in range(ROWS)]
    keys = remote(kind, cache={"size": "1GB", "folder": str(tmp_path / "cache")})
    DeepLakeDataset(**keys).full_init()  # the annotations, before the network goes bad
    # by checksum even a single byte is found, by structure what harms it
    rule = Rule("flip", match=images_at(lakes[kind]), times=2, every=10**5 if way == "checksums" else 3)
    dataset = DeepLakeDataset(**keys)
    proxy.rules(rule)
    if way == "checksums":
        assert [bytes(image) for image in dataset.view.fetch_span(0, ROWS)] == truth
        assert proxy.counts().faults == 2
        assert "came damaged and was fetched anew" in caplog.text
    else:
        assert [bytes(image) for image in dataset.view.fetch_span(0, ROWS)] == truth
        assert proxy.counts().faults == 2
    dataset.close()
    proxy.rules()
    monkeypatch.delenv(SWITCH, raising=False)
    for _ in range(2):
        assert fill(keys) == truth  # after a restart, with healthy storage


@pytest.mark.parametrize("mode", ["threads", "processes"])
@pytest.mark.parametrize("cache", [False, True])
def test_a_loader_on_a_bad_network_gives_the_right_samples(bucket, lakes, remote, tmp_path, mode, cache):
    proxy = bucket[1]
    expected = samples_of(loader_of(lake_dataset(lakes["jpeg"], [*LOAD, *PACK]), "threads", 2))
    keys = remote("jpeg", **({"cache": {"size": "1GB", "folder": str(tmp_path / "c")}} if cache else {}))
    # a process forked from one that reads buckets cannot have their checksums
    options = {"multiprocessing_context": "spawn"} if mode == "processes" else {}
    loader = loader_of(lake_dataset(keys.pop("path"), [*LOAD, *PACK], **keys), mode, 2, **options)
    loader.dataset.lakes[0].view.close()
    proxy.rules(Rule("flip", match=images_at(lakes["jpeg"]), times=2, every=35))
    assert samples_of(loader) == expected
    assert proxy.counts().faults
    loader.dataset.close()


def test_a_damaged_image_is_fetched_anew_and_told_once(bucket, lakes, remote, caplog):
    proxy = bucket[1]
    dataset = DeepLakeDataset(**remote("jpeg"), pipeline=[*LOAD, *PACK])
    expected = DeepLakeDataset(str(lakes["jpeg"]), pipeline=[*LOAD, *PACK])
    dataset.full_init()
    dataset.view.close()
    # the file's beginning, and what follows it
    proxy.rules(Rule("flip", match=images_at(lakes["jpeg"]), times=2, every=35))
    assert dataset[1]["inputs"].equal(expected[1]["inputs"])
    assert proxy.counts().faults == 2
    (told,) = [line for line in caplog.messages if "fetched anew" in line]
    assert "row 1" in told
    dataset.close()


def test_bytes_that_are_others_each_time_are_the_storages_fault(bucket, lakes, remote):
    proxy = bucket[1]
    dataset = DeepLakeDataset(**remote("jpeg"), pipeline=[*LOAD, *PACK], on_error="skip")
    dataset.full_init()
    dataset.view.close()
    proxy.rules(Rule("flip", match=images_at(lakes["jpeg"]), every=35))
    with pytest.raises(StorageError):
        dataset[1]
    assert dataset.skipped_rows["at_first_sight"] == []
    proxy.rules()
    dataset.close()


def test_a_row_that_is_to_blame_is_asked_for_once_more_only(bucket, lakes, remote, caplog):
    proxy = bucket[1]
    keys = remote("broken")
    dataset = DeepLakeDataset(**keys, pipeline=[*LOAD, *PACK])
    proxy.rules()
    with pytest.raises(ImageError, match=f"row {BROKEN}"):
        dataset[BROKEN]
    assert sum(images_at(lakes["broken"]) in line for line in proxy.counts().log) <= 6
    skipping = DeepLakeDataset(**keys, pipeline=[*LOAD, *PACK], on_error="skip")
    assert skipping[BROKEN]["data_samples"].img_shape == (64, 128 + BROKEN + 1)
    proxy.rules()
    assert skipping[BROKEN] is not None
    assert sum(images_at(lakes["broken"]) in line for line in proxy.counts().log) == 0
    for each in (dataset, skipping):
        each.close()


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_lake_that_is_exchanged_under_a_running_loader(lakes, tmp_path, mode):
    """Right to the end, or an error: never boxes of one and images of the other."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    for path in (lake, other):
        shutil.copytree(lakes["jpeg"], path)
    for seed, path in enumerate((lake, other)):
        opened = deeplake.open(str(path))
        opened["boxes"][1] = np.array([[1.0, 1.0, 5.0, 5.0 + seed]])
        opened.append(
            {name: [opened[name][seed]] for name in ("boxes", "labels", "width", "height")}
            | {"images": [encoded(40 + seed, ".jpeg")]}
        )
        opened.commit("apart")
    expected = set(samples_of(loader_of(lake_dataset(lake, [*LOAD, *PACK]), "threads", 2)))
    loader = loader_of(lake_dataset(lake, [*LOAD, *PACK]), mode, 2)
    batches = iter(loader)
    seen = prints_of(next(batches))
    lake.rename(tmp_path / "away")
    other.rename(lake)

    def go_on() -> None:
        for batch in batches:
            seen.extend(prints_of(batch))
        loader.batch_sampler.sampler.set_epoch(1)
        for batch in loader:
            seen.extend(prints_of(batch))

    # Between the two renames nothing stands there: a worker may look just then.
    with pytest.raises(Exception, match=r"Another lake now stands|no longer at its path") as caught:
        go_on()
    assert "SourceNotFoundError" in repr(caught.type) + str(caught.value)
    assert set(seen) <= expected
    loader.dataset.close()


def prints_of(batch: Any) -> list[str]:
    """A hash of every sample's image, boxes and row."""
    found = []
    for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        text = hashlib.md5(image.numpy().tobytes())
        text.update(sample.gt_instances.bboxes.tensor.numpy().tobytes())
        found.append(f"{sample.img_id} {text.hexdigest()}")
    return found


def samples_of(loader: Any) -> list[str]:
    return sorted(sample for batch in loader for sample in prints_of(batch))
