"""Stage statistics: what is counted, over threads and processes, and what is concluded from it."""

import pickle
import re
import time
from dataclasses import replace

import pytest
import torch
from drawn_lakes import HEAVY, LIGHT, lake_dataset
from mmengine.runner import Runner

from deeplake_mmdet.config import fast_loader
from deeplake_mmdet.lake import CacheStatistics
from deeplake_mmdet.loading import LoaderReport, Recorder, StageTimes, Statistics
from deeplake_mmdet.loading.statistics import STAGES


def loader_of(lake, pipeline, mode, workers=2, batch_size=5):
    config = {
        "batch_size": batch_size,
        "num_workers": workers,
        "dataset": lake_dataset(lake, pipeline),
        "sampler": {"type": "DefaultSampler", "shuffle": True},
    }
    loader = Runner.build_dataloader(fast_loader(config, mode), seed=0)
    loader.dataset.statistics = Statistics(enabled=True)
    return loader


@pytest.mark.parametrize(("mode", "workers"), [("threads", 2), ("threads", 0), ("processes", 2)])
def test_every_image_is_counted_in_every_stage(lake, mode, workers):
    loader = loader_of(lake, LIGHT, mode, workers)
    feed = loader.dataset
    recorder = Recorder(feed, loader.num_workers)
    for batch in loader:
        recorder.count(batch, 0.0)
    report = recorder.report()
    feed.close()
    stages = report.stages
    assert report.images == 53
    assert report.batches == 11
    assert {stages[name].images for name in ("fetch", "decode", "wait", "finish", "pack")} == {53}
    assert stages["begin"].images == (53 if feed.threads else 0)
    assert stages["fetch"].bytes == sum(map(len, feed.lakes[0].view.images(range(53))))
    assert report.calls == stages["fetch"].calls == 11
    decode = stages["decode"].seconds
    assert 0 < decode <= stages["begin" if feed.threads else "finish"].seconds
    assert all(stages[name].cpu <= stages[name].seconds * 1.5 + 0.05 for name in STAGES)
    assert report.cpu > 0
    recorder.restart()
    assert recorder.report().stages["finish"] == StageTimes()


def test_nothing_is_counted_unless_asked_for(lake, monkeypatch):
    monkeypatch.delenv("DEEPLAKE_MMDET_STATS", raising=False)
    loader = loader_of(lake, LIGHT, "threads")
    loader.dataset.statistics = off = Statistics()
    for _ in loader:
        pass
    loader.dataset.close()
    assert set(off.read().values()) == {StageTimes()}
    monkeypatch.setenv("DEEPLAKE_MMDET_STATS", "1")
    assert Statistics().enabled
    monkeypatch.setenv("DEEPLAKE_MMDET_STATS", "0")
    assert not Statistics().enabled


def test_batches_that_were_ready(lake):
    loader = loader_of(lake, LIGHT, "threads")
    recorder = Recorder(loader.dataset, 0)
    for _ in loader:
        time.sleep(0.1)  # a slow training step
    assert recorder.report().ready >= 0.8
    loader.dataset.close()


def test_counters_survive_pickling():
    statistics = Statistics(enabled=True)
    statistics.add("fetch", bytes=7)
    assert pickle.loads(pickle.dumps(statistics)).read()["fetch"].bytes == 7


def test_counting_costs_little():
    """Some 30 entries for an image would cost less than 2 % of the 1.4 ms that decoding takes."""
    statistics = Statistics(enabled=True)
    start = time.thread_time()
    for _ in range(2000):
        with statistics.timed("finish", images=1):
            pass
    each = (time.thread_time() - start) / 2000
    statistics.enabled = False
    start = time.thread_time()
    for _ in range(2000):
        with statistics.timed("finish", images=1):
            pass
    off = (time.thread_time() - start) / 2000
    assert off < 10e-6
    assert each < 100e-6


def report(threads=0, workers=0, remote=False, cache=None, busy=0.5, waited=1.0, **seconds):
    stages = {name: StageTimes() for name in STAGES}
    for name, value in seconds.items():
        wall, cpu = value if isinstance(value, tuple) else (value, value)
        stages[name] = StageTimes(wall, cpu, 10, 100, 1000, 0)
    return LoaderReport(1.0, waited, 10, 100, workers, threads, remote, stages, cache, busy)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (report(waited=0.01, finish=0.5), "keeps up"),
        (report(remote=True, threads=2, wait=0.8, finish=0.1), "network is the limit.*cache="),
        (report(workers=2, remote=True, wait=1.8, finish=0.1), "network is the limit"),
        (report(wait=0.8, finish=0.1), "Reading the lake"),
        (report(finish=0.9, decode=0.7), "Decoding is the limit.*num_workers from 0"),
        (report(finish=0.9, decode=0.2), "transforms are the limit"),
        (report(workers=2, finish=1.8, decode=1.2), "Decoding is the limit"),
        (report(workers=2, finish=0.3, pack=0.1), "Handing over.*mode='threads'"),
        (report(threads=2, begin=0.4, decode=0.3, finish=0.9), "training thread.*mode='processes'"),
        (report(threads=2, begun=0.6, begin=1.8, decode=1.5, finish=0.3), "Decoding"),
        # other programs take the cores: what passes says nothing, CPU time does
        (report(threads=2, busy=1.0, begin=(2.0, 0.5), decode=(2.0, 0.5), finish=(1.0, 0.1)), "Decoding"),
    ],
)
def test_sentences(found, said):
    assert re.search(said, found.sentence())
    assert found.sentence() in str(found)


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (report(wait=0.8, finish=0.1), ("wait",)),
        (report(finish=0.9, decode=0.7, pack=0.001), ("decode",)),
        (report(workers=2, wait=0.3, finish=1.5, decode=0.4, pack=0.1), ("finish",)),
        (report(threads=2, begin=0.4, decode=0.3, finish=0.9, pack=0.05), ("finish",)),
        (report(threads=2, wait=0.1, begun=0.6, begin=1.8, decode=1.5, finish=0.3, pack=0.1), ("decode",)),
        (report(threads=2, busy=1.0, begin=(2.0, 0.5), decode=(2.0, 0.4), finish=(1.0, 0.1)), ("decode",)),
    ],
)
def test_the_shares_of_the_table_add_up_and_are_those_of_the_sentence(found, rows):
    shares = {row[0]: int(row[3][:-1]) for row in found.rows() if row[3]}
    assert sum(shares.values()) == 100
    assert f"({sum(shares[name] for name in rows)}% of the loader's time)" in found.sentence()


def test_a_cache_changes_the_advice():
    slow = report(remote=True, threads=2, wait=0.8, finish=0.1)
    cold = replace(slow, cache=CacheStatistics(hits=10, misses=90))
    warm = replace(slow, cache=CacheStatistics(hits=99, misses=1))
    assert "90% of the images were not in the cache" in cold.sentence()
    assert "faster disk" in warm.sentence()
    assert "99 hits" in str(warm)


def test_nothing_loaded_is_said():
    assert "Nothing was loaded" in replace(report(), images=0).sentence()


def test_samples_are_the_same_with_and_without(lake):
    def samples(enabled):
        loader = loader_of(lake, HEAVY, "threads")
        loader.dataset.statistics = Statistics(enabled=enabled)
        found = [tensor for batch in loader for tensor in batch["inputs"]]
        loader.dataset.close()
        return found

    assert all(torch.equal(one, other) for one, other in zip(samples(True), samples(False), strict=True))
