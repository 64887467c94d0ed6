"""Remote lakes: chunks are fetched once and ahead, and nothing reads while other processes are started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_lakes import LIGHT, LOAD, PACK, fingerprints, lake_dataset, loader_of, rows_of

from deeplake_mmdet import import_coco
from deeplake_mmdet.errors import StorageError
from s3 import Proxy, Rule, fault_proxy, s3_endpoint

pytestmark = pytest.mark.gives_up

IMAGES = 160


@pytest.fixture(scope="module")
def big_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 40 MB of noise: five chunks of images."""
    folder = tmp_path_factory.mktemp("big")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    records, boxes = [], []
    for number in range(IMAGES):
        name = f"{number:05d}.jpg"
        noise = random.integers(0, 255, (480, 640, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / name), noise, [cv2.IMWRITE_JPEG_QUALITY, 75])
        records.append({"id": number, "file_name": name, "width": 640, "height": 480})
        boxes.append(
            {"id": number + 1, "image_id": number, "category_id": 1, "bbox": [5, 5, 50, 50], "area": 2500}
        )
    categories = [{"id": 1, "name": "noise"}]
    (folder / "a.json").write_text(
        json.dumps(
            {
                "images": records,
                "annotations": [{**box, "iscrowd": 0} for box in boxes],
                "categories": categories,
            }
        )
    )
    import_coco(folder / "a.json", folder / "lake", images=folder / "images", progress=False)
    return folder / "lake"


@pytest.fixture(scope="module")
def remote(big_lake: Path) -> Iterator[tuple[dict[str, Any], Proxy, int]]:
    with s3_endpoint() as upstream, fault_proxy(upstream.url) as proxy:
        url = upstream.upload(big_lake, "big")
        size = sum(file.stat().st_size for file in (big_lake.parent / "images").iterdir())
        with pytest.MonkeyPatch.context() as patch:
            for key, value in upstream.creds.items():
                if key.startswith("aws_"):
                    patch.setenv(key.upper(), value)
            yield {"path": url, "credentials": {"endpoint_url": proxy.url}}, proxy, size


def dataset_of(source: dict[str, Any], pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    return lake_dataset(source["path"], pipeline, credentials=source["credentials"])


@pytest.mark.parametrize("threads", [1, 3])
def test_a_pass_fetches_every_chunk_once(remote: Any, threads: int) -> None:
    source, proxy, size = remote
    loader = loader_of(dataset_of(source, LIGHT), "threads", threads)
    assert loader.batch_sampler.sampler.shuffle == "chunk"
    chunks = loader.batch_sampler.sampler.blocks.firsts[-1]
    assert chunks >= 4
    loader.dataset.lakes[0].view.close()  # what Deep Lake itself has kept of the images
    before = proxy.counts()
    rows = rows_of(loader)
    after = proxy.counts()
    assert sorted(rows) == list(range(IMAGES))
    assert rows != sorted(rows)
    asked = [entry for entry in after.log[before.requests :] if "_deeplake_log" not in entry]
    got = [entry for entry in asked if entry.startswith("GET")]
    whole = [entry for entry in got if "bytes=" not in entry]
    assert len(whole) == len(set(whole)) == chunks
    # and what it takes to compare three images of two chunks with Deep Lake's
    assert len(got) - chunks <= 8
    assert after.bytes_out - before.bytes_out <= 1.15 * size
    loader.dataset.close()


def asked_by_ranks(
    source: dict[str, Any], proxy: Proxy, ranks: int, **options: Any
) -> tuple[list[int], int, int]:
    """Rows that all ranks get in a pass; requests for images and bytes that it takes."""
    rows, requests, sent = [], 0, 0
    for rank in range(ranks):
        loader = loader_of(dataset_of(source, LIGHT), "threads", 2, **options)
        sampler = loader.batch_sampler.sampler
        sampler.rank, sampler.ranks = rank, ranks
        assert len(sampler.blocks.ids) == IMAGES  # a request or two of their own
        loader.dataset.lakes[0].view.close()
        before = proxy.counts()
        rows += rows_of(loader)
        after = proxy.counts()
        asked = [entry for entry in after.log[before.requests :] if "_deeplake_log" not in entry]
        requests += len([entry for entry in asked if entry.startswith("GET")])
        sent += after.bytes_out - before.bytes_out
        loader.dataset.close()
    return rows, requests, sent


def test_ranks_evaluate_chunks_of_their_own(remote: Any) -> None:
    """Each chunk is fetched once, but for the one that lies across two ranks' parts: whole or by few rows."""
    source, proxy, _ = remote
    options = {"sampler": {"type": "DefaultSampler", "shuffle": False}, "even": False}
    _, alone, bytes_alone = asked_by_ranks(source, proxy, 1, **options)
    rows, together, bytes_together = asked_by_ranks(source, proxy, 2, **options)
    assert rows == list(range(IMAGES))
    assert together <= alone + 0.4 * IMAGES / alone
    assert bytes_together <= bytes_alone + 1.1 * 8 * 2**20


def test_ranks_train_on_chunks_of_their_own(remote: Any) -> None:
    """Five chunks in two lanes are no even share: some rows of a third lane's chunk come one by one."""
    source, proxy, size = remote
    rows, requests, sent = asked_by_ranks(source, proxy, 2, shuffle="chunk", window=2)
    assert sorted(rows) == list(range(IMAGES))
    assert requests <= 0.35 * IMAGES
    assert sent <= 1.4 * size


def test_the_samples_are_those_of_the_local_lake(remote: Any, big_lake: Path) -> None:
    source, _, _ = remote
    ways = {
        "local": loader_of(lake_dataset(big_lake, LIGHT), "threads", 0, shuffle="chunk"),
        "threads": loader_of(dataset_of(source, LIGHT), "threads", 2),
        "processes": loader_of(dataset_of(source, LIGHT), "processes", 2),
        "inline": loader_of(dataset_of(source, LIGHT), "threads", 0),
    }
    found = {}
    for name, loader in ways.items():
        found[name] = []
        loader.batch_sampler.sampler.set_epoch(0)
        for batch in loader:
            for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
                found[name].append((sample.img_id, int(image.long().sum()), sample.flip))
        loader.dataset.close()
    assert found["threads"] == found["processes"] == found["inline"] == found["local"]


def test_a_pass_that_is_left_and_begun_anew_is_whole(remote: Any) -> None:
    source, _, _ = remote
    loader = loader_of(dataset_of(source, LIGHT), "threads", 2)
    for stop in (1, 5):
        for number, _ in enumerate(loader):
            if number == stop:
                break
    assert sorted(rows_of(loader)) == list(range(IMAGES))
    loader.dataset.close()


def test_workers_may_start_while_another_loader_reads_in_threads(remote: Any, lake: Path) -> None:
    """Deep Lake crashes a process that forks during a read."""
    source, proxy, _ = remote
    training = loader_of(dataset_of(source, LIGHT), "threads", 2)
    validation = loader_of(lake_dataset(lake, [*LOAD, *PACK]), "processes", 2)
    proxy.rules(Rule("delay", seconds=0.05))
    try:
        batches = iter(training)
        for _ in range(4):
            next(batches)
            assert (
                len(rows_of(validation)) == 53
            )  # forks two workers while the feed is in the midst of a pass
    finally:
        proxy.rules()
    training.dataset.close()


@pytest.mark.parametrize(("mode", "workers"), [("threads", 2), ("processes", 1)])
def test_prepared_images_are_not_fetched_again(
    remote: Any, big_lake: Path, tmp_path: Path, mode: str, workers: int
) -> None:
    source, proxy, _ = remote
    prepared = {"size": "1GB", "folder": str(tmp_path)}
    loader = loader_of({**dataset_of(source, LIGHT), "prepared": prepared}, mode, workers)
    first = fingerprints(loader)
    before = proxy.counts().requests
    assert fingerprints(loader) == first
    assert proxy.counts().requests == before
    loader.dataset.close()


def test_a_silent_storage_ends_the_pass_with_an_error(remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source, proxy, _ = remote
    monkeypatch.setenv("DEEPLAKE_MMDET_DEADLINE", "2")
    loader = loader_of(dataset_of(source, LIGHT), "threads", 2)
    loader.dataset.lakes[0].view.close()
    batches = iter(loader)
    proxy.rules(Rule("silence"))
    try:
        with pytest.raises(StorageError, match="did not answer"):
            for _ in batches:
                pass
    finally:
        proxy.rules()
    assert sorted(rows_of(loader)) == list(range(IMAGES)), "the next pass goes on as if nothing had been"
    loader.dataset.close()


def test_faults_lose_nothing(remote: Any) -> None:
    source, proxy, _ = remote
    loader = loader_of(dataset_of(source, LIGHT), "threads", 2)
    loader.dataset.lakes[0].view.close()
    proxy.rules(Rule("status", status=500, probability=0.1), Rule("reset", probability=0.1))
    try:
        assert sorted(rows_of(loader)) == list(range(IMAGES))
    finally:
        proxy.rules()
    loader.dataset.close()


def test_full_shuffle_reads_rows_and_not_chunks(remote: Any) -> None:
    source, _, _ = remote
    one = loader_of(dataset_of(source, LIGHT), "threads", 2, shuffle="full")
    assert len(fingerprints(one)) == IMAGES
    one.dataset.close()


HALF = sorted(np.random.default_rng(1).permutation(IMAGES)[: IMAGES // 2].tolist())


def half_of(source: dict[str, Any], order: str = "") -> dict[str, Any]:
    """Every other row or so, anywhere in the lake."""
    listed = ",".join(map(str, HALF))
    query = f"SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE n IN ({listed}) {order}"
    return {**dataset_of(source, LIGHT), "query": query}


@pytest.mark.parametrize("order", ["", "ORDER BY image_id DESC", "ORDER BY file_name DESC, image_id"])
def test_a_pass_over_a_view_fetches_every_chunk_once(remote: Any, order: str) -> None:
    source, proxy, size = remote
    loader = loader_of(half_of(source, order), "threads", 2)
    sampler = loader.batch_sampler.sampler
    assert sampler.shuffle == "chunk"
    assert loader.batch_sampler.rules["views"] == "chunks of the lake"
    chunks = sampler.blocks.firsts[-1]
    loader.dataset.lakes[0].view.close()
    before = proxy.counts()
    rows = rows_of(loader)
    after = proxy.counts()
    assert sorted(rows) == HALF
    asked = [entry for entry in after.log[before.requests :] if "_deeplake_log" not in entry]
    whole = [entry for entry in asked if entry.startswith("GET") and "bytes=" not in entry]
    assert len(whole) == len(set(whole)) == chunks >= 4
    assert len(asked) - chunks <= 8
    assert after.bytes_out - before.bytes_out <= 1.15 * size
    loader.dataset.close()


def test_few_rows_of_a_lake_are_read_by_themselves(remote: Any) -> None:
    source, proxy, size = remote
    query = "SELECT * FROM (SELECT *, ROW_NUMBER() AS n) WHERE n IN (3, 50, 51, 120, 150)"
    loader = loader_of({**dataset_of(source, LIGHT), "query": query}, "threads", 2)
    assert loader.batch_sampler.rules["views"] is None
    before = proxy.counts()
    assert sorted(rows_of(loader)) == [3, 50, 51, 120, 150]
    assert proxy.counts().bytes_out - before.bytes_out <= 0.2 * size
    loader.dataset.close()


def samples_of(loader: Any) -> list[tuple[Any, ...]]:
    found = []
    for batch in loader:
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
            found.append((sample.img_id, int(image.long().sum()), sample.flip))
    loader.dataset.close()
    return found


def test_a_view_gives_the_same_samples_wherever_its_lake_lies(remote: Any, big_lake: Path) -> None:
    source, _, _ = remote
    here = {**half_of(source), "path": str(big_lake), "credentials": None}
    local = samples_of(loader_of(here, "threads", 1, shuffle="chunk"))
    assert sorted(row for row, _, _ in local) == HALF
    assert samples_of(loader_of(half_of(source), "threads", 2)) == local
    assert samples_of(loader_of(half_of(source), "processes", 2)) == local


def test_views_can_be_shuffled_as_by_earlier_versions(remote: Any) -> None:
    """By blocks of neighbours in the view whose length was a power of two."""
    source, _, _ = remote
    loader = loader_of(half_of(source), "threads", 1)
    sampler, view = loader.batch_sampler.sampler, loader.dataset.lakes[0].view
    by_chunks = sampler.order(0).indices.tolist()
    sampler.guess_blocks()
    assert loader.batch_sampler.rules["views"] is None
    length = int(8e6 / view.image_bytes).bit_length() - 1
    assert sampler.blocks.ids.tolist() == (np.arange(IMAGES // 2) // 2**length).tolist()
    assert sampler.order(0).indices.tolist() != by_chunks
    assert sorted(rows_of(loader)) == HALF
    loader.dataset.close()


def test_a_cache_is_shared_by_a_lake_and_its_views(remote: Any, tmp_path: Path) -> None:
    source, proxy, _ = remote
    cache = {"size": "1GB", "folder": str(tmp_path)}
    whole = loader_of({**dataset_of(source, LIGHT), "cache": cache}, "threads", 2)
    assert len(rows_of(whole)) == IMAGES
    half = loader_of({**half_of(source), "cache": cache}, "threads", 2)
    half.dataset.lakes[0].view.close()
    before = proxy.counts()
    assert len(rows_of(half)) == IMAGES // 2
    asked = proxy.counts().log[before.requests :]
    assert not [entry for entry in asked if "_deeplake_log" not in entry]
    whole.dataset.close()
    half.dataset.close()
