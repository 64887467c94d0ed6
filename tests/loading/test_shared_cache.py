"""Training loaders on a remote lake with a cache: how often the storage is asked, and what comes back."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplake_mmdet.config import fast_loader
from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading import Feed, LakeBatchSampler, LakeSampler
from s3 import fault_proxy, s3_endpoint

TESTS = Path(__file__).resolve().parents[1]
ROWS = 140


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake of some 30 MB: several chunks."""
    import deeplake
    from deeplake import types

    folder = tmp_path_factory.mktemp("lakes") / "lake"
    made = deeplake.create(
        str(folder),
        schema={
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
            "width": "int64",
            "height": "int64",
        },
    )
    made["labels"].metadata["class_names"] = ["a", "b"]
    file, chance = folder.parent / "image.jpg", np.random.default_rng(0)
    images = []
    for _ in range(ROWS):
        Image.fromarray(chance.integers(0, 255, (480, 640, 3), np.uint8)).save(file, quality=70)
        images.append(file.read_bytes())
    made.append(
        {
            "images": images,
            "boxes": [np.array([[10.0, 10, 100, 100]])] * ROWS,
            "labels": [np.zeros(1, np.uint32)] * ROWS,
            "width": [640] * ROWS,
            "height": [480] * ROWS,
        }
    )
    made.commit("first")
    return folder, images


@pytest.fixture(scope="module")
def storage(lake):
    with s3_endpoint() as endpoint, fault_proxy(endpoint.url) as proxy:
        yield endpoint.upload(lake[0], "lake"), proxy


@pytest.fixture
def remote(storage, monkeypatch, tmp_path):
    """Keys of a dataset on the remote lake, and the proxy before it."""
    url, proxy = storage
    for name, value in (("AWS_ACCESS_KEY_ID", "an-id"), ("AWS_SECRET_ACCESS_KEY", "a-secret")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DEEPLAKE_MMDET_CACHE", str(tmp_path / "cache"))
    proxy.rules()
    return {"path": url, "credentials": {"endpoint_url": proxy.url, "aws_region": "us-east-1"}}, proxy


def image_requests(proxy):
    """Requests for images, one or a whole chunk: those of more than Deep Lake reads of a file's head."""
    found = []
    for line in proxy.counts().log:
        span = re.search(r" bytes=(\d+)-(\d*)$", line)
        if span is None:
            if line.startswith("GET") and "?" not in line:
                found.append(line)
        elif "_deeplake_log" not in line and (not span[2] or int(span[2]) - int(span[1]) >= 2**15):
            found.append(line)
    return found


def chunk_requests(requests):
    """Those for a whole chunk: not for the few images that are compared with what Deep Lake gives."""
    spans = [(line, re.search(r" bytes=(\d+)-(\d+)$", line)) for line in requests]
    return [line for line, span in spans if span is None or int(span[2]) - int(span[1]) > 4 * 10**6]


_RANK = """
import hashlib, json, sys
import torch
from torch.utils.data import DataLoader
from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.loading import Feed, LakeBatchSampler, LakeSampler, init_worker
keys, rank, ranks, workers, threads, shuffle, epochs = json.loads(sys.argv[1])
pipeline = [dict(type="LoadImageFromFile"), dict(type="mmdet.PackDetInputs", meta_keys=("sample_idx",))]
feed = Feed(DeepLakeDataset(**keys, pipeline=pipeline), threads=threads)
sampler = LakeSampler(feed, shuffle=shuffle, seed=3, window=2)
sampler.rank, sampler.ranks = rank, ranks
batches = LakeBatchSampler(sampler, 5, workers=workers)
loader = DataLoader(
    feed, batch_sampler=batches, num_workers=workers, collate_fn=lambda samples: samples,
    worker_init_fn=init_worker if workers else None,
)
print("ready", flush=True)
sys.stdin.readline()
for epoch in range(epochs):
    sampler.set_epoch(epoch)
    hashes = {}
    for batch in loader:
        for sample in batch:
            data = sample["inputs"].numpy().tobytes()
            hashes[sample["data_samples"].sample_idx] = hashlib.md5(data).hexdigest()
    told = feed.lakes[0].cache_statistics
    print(json.dumps([hashes, None if told is None else [told.hits, told.misses, told.chunks]]), flush=True)
    sys.stdin.readline()
feed.close()
"""


class Rank:
    """A process that loads epochs when told to."""

    def __init__(self, keys, rank=0, ranks=1, workers=0, threads=0, shuffle="chunk", epochs=2, disk=None):
        asked = json.dumps([keys, rank, ranks, workers, threads, shuffle, epochs])
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        if disk is not None:
            environment["DEEPLAKE_MMDET_CACHE"] = str(disk)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", _RANK, asked], env=environment, **pipes)
        self.line()

    def line(self):
        while not (line := self.process.stdout.readline()).startswith(("[", "ready")):
            assert line, "the process has ended"
        return line

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def epoch(self):
        hashes, told = json.loads(self.line())
        return {int(index): value for index, value in hashes.items()}, told

    def end(self):
        self.go()
        assert self.process.wait(60) == 0
        self.process.stdin.close()
        self.process.stdout.close()


def run(ranks, proxy):
    """Requests of, and samples from, each of two epochs."""
    epochs = []
    for _ in range(2):
        proxy.rules()
        for rank in ranks:
            rank.go()
        found = [rank.epoch() for rank in ranks]
        epochs.append(
            (image_requests(proxy), {k: v for hashes, _ in found for k, v in hashes.items()}, found)
        )
    for rank in ranks:
        rank.end()
    return epochs


@pytest.fixture(scope="module")
def truth(lake):
    """Hashes of all samples, from the lake on this machine."""
    rank = Rank({"path": str(lake[0])}, shuffle=False, epochs=1)
    rank.go()
    hashes, _ = rank.epoch()
    rank.end()
    assert len(hashes) == ROWS
    return hashes


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"workers": 2, "shuffle": "chunk"},
        {"workers": 2, "shuffle": "full"},
        {"threads": 2, "shuffle": "chunk"},
    ],
)
def test_two_ranks_and_their_workers_ask_for_each_chunk_once(remote, truth, how):
    keys, proxy = remote
    ranks = [Rank({**keys, "cache": "1GB"}, rank, 2, **how) for rank in range(2)]
    first, second = run(ranks, proxy)
    assert first[1] == second[1] == truth
    assert 3 <= len(chunk_requests(first[0])) <= 6
    assert len(chunk_requests(first[0])) == sum(told[2] for _, told in first[2])
    assert second[0] == []


@pytest.mark.parametrize(
    ("each", "shuffle"),
    [(1, "chunk"), *(pytest.param(*how, marks=pytest.mark.slow) for how in ((1, "full"), (2, "chunk")))],
)
def test_ranks_on_machines_that_share_no_disk(remote, truth, tmp_path, each, shuffle):
    """Each machine asks for a chunk once at the most, and none needs what another one has kept."""
    keys, proxy = remote
    keys = {**keys, "cache": "1GB"}
    ranks = [
        Rank(keys, number, 2 * each, shuffle=shuffle, disk=tmp_path / str(number // each))
        for number in range(2 * each)
    ]
    first, second = run(ranks, proxy)
    assert first[1] == second[1] == truth
    told = [told for _, told in second[2]]  # of both epochs
    of_machines = [sum(chunks for *_, chunks in told[begin : begin + each]) for begin in (0, each)]
    assert all(1 <= chunks <= 6 for chunks in of_machines)  # as many as the lake has, see above
    assert len(chunk_requests(first[0] + second[0])) == sum(of_machines)


@pytest.mark.slow
def test_a_second_run_asks_for_no_image_but_to_measure(remote, truth):
    keys, proxy = remote
    run([Rank({**keys, "cache": "1GB"}, workers=2)], proxy)
    first, _ = run([Rank({**keys, "cache": "1GB"}, threads=2)], proxy)
    assert first[:2] == ([], truth)


@pytest.mark.slow
def test_a_cache_too_small_for_the_lake_does_not_thrash(remote, truth, lake):
    keys, proxy = remote
    total = sum(map(len, lake[1]))
    _, second = run([Rank({**keys, "cache": "20MB"}, workers=2, shuffle="full")], proxy)
    assert second[1] == truth
    asked = proxy.counts().bytes_out
    assert asked < 0.9 * total


def test_the_plain_dataset_and_the_backend_use_it_too(remote, lake):
    from mmengine.fileio import get

    keys, proxy = remote
    dataset = DeepLakeDataset(**keys, cache="1GB")
    proxy.rules()
    for row in (3, 4, 7, 3):
        assert get(dataset.get_data_info(row)["img_path"]) == lake[1][row]
    assert len(chunk_requests(image_requests(proxy))) == 1
    assert dataset.cache_statistics.hits == 3
    other = DeepLakeDataset(**keys)  # without one: it is not in the way
    assert other.cache_statistics is None
    assert other.view.fetch([5]) == [lake[1][5]]
    dataset.close()


def test_rows_of_a_query(remote, lake):
    keys, proxy = remote
    dataset = DeepLakeDataset(**keys, query="SELECT * WHERE ROW_NUMBER() % 3 == 1", cache="1GB")
    images = lake[1][1::3]
    for _ in range(2):
        assert dataset.view.fetch([5, 0, 40]) == [images[row] for row in (5, 0, 40)]
        assert dataset.view.fetch_span(0, len(images)) == images
        proxy.rules()
    assert image_requests(proxy) == []
    dataset.close()


def test_local_lakes_ignore_it(lake, caplog):
    dataset = DeepLakeDataset(path=str(lake[0]), cache="1GB")
    assert dataset.cache_statistics is None
    assert "cache= has no effect" in caplog.text


def test_too_small_for_a_chunk_or_for_the_workers(remote, tmp_path):
    keys, _ = remote
    with pytest.raises(ConfigError, match="single chunk"):
        DeepLakeDataset(**keys, cache="1MB")
    feed = Feed(DeepLakeDataset(**keys, cache={"size": "12MB", "folder": str(tmp_path)}))
    with pytest.raises(ConfigError, match=r"too small: 2 chunks.*give it"):
        LakeBatchSampler(LakeSampler(feed, shuffle="full"), 4, workers=2)
    with pytest.raises(ConfigError, match=r"too small: 8 chunks.*give it"):
        LakeBatchSampler(LakeSampler(feed, shuffle="chunk"), 4)
    LakeBatchSampler(LakeSampler(feed, shuffle="full"), 4)
    feed.lakes[0].close()


def test_with_a_cache_heavy_pipelines_may_run_in_processes():
    heavy = [{"type": "LoadImageFromFile"}, {"type": "PhotoMetricDistortion"}, {"type": "PackDetInputs"}]
    found = {}
    for cache in (None, "20GB"):
        dataset = {
            "type": "deeplake_mmdet.DeepLakeDataset",
            "path": "s3://x/y",
            "pipeline": heavy,
            "cache": cache,
        }
        found[cache] = fast_loader({"dataset": dataset, "num_workers": 2, "batch_size": 2, "sampler": {}})
    assert (found[None]["num_workers"], found["20GB"]["num_workers"]) == (0, 2)
    assert found["20GB"]["sampler"]["shuffle"] == "chunk"
