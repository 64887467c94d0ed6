"""What the stage statistics of a loader say: times by stage, and what keeps it from being faster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.lake import CacheStatistics, human_bytes
from deeplake_mmdet.loading.feed import Feed
from deeplake_mmdet.loading.statistics import StageTimes

__all__ = ["LoaderReport", "Recorder"]

_KEEPS_UP = 0.05  # share of the time that the training loop may wait
_CONTENDED = 0.9
_MOST = 0.5
_PAYS = 0.7  # of the time for decoding that reading a prepared image may take
_MEANINGS = {
    "fetch": "reading (in wait, or beside)",
    "begin": "transforms in threads",
    "decode": "decoding",
    "prepared": "reading prepared images",
    "wait": "waiting for images",
    "begun": "waiting for threads",
    "finish": "other transforms",
    "pack": "collating, handing over",
}
_ROWS = {
    "storage": ("wait",),
    "training thread": ("finish",),
    "decoding": ("decode",),
    "transforms": ("begin", "finish"),
    "handing over": ("pack",),
}


@dataclass(frozen=True)
class LoaderReport:
    """What a loader did over some time.

    Attributes:
        seconds: Wall-clock seconds.
        waited: Those in which the training loop waited for a batch.
        batches: Number of batches.
        images: Number of images in them.
        workers: Number of worker processes.
        threads: Number of the feed's threads.
        remote: Whether a lake is reached over a network.
        stages: Times by stage, see ``STAGES``.
        cache: What the lakes' caches did; None without.
        busy: Share of the time in which this machine's cores were busy with anything; None if not known.
        decode_rate: Images per second that all cores of this machine decode and do nothing else.
    """

    seconds: float
    waited: float
    batches: int
    images: int
    workers: int
    threads: int
    remote: bool
    stages: dict[str, StageTimes] = field(default_factory=dict)
    cache: CacheStatistics | None = None
    busy: float | None = None
    decode_rate: float | None = None

    def with_decode_rate(self, rate: float | None) -> LoaderReport:
        """A copy of this report with another ``decode_rate``.

        Args:
            rate: Images per second that all cores decode; None if not known.
        """
        return replace(self, decode_rate=rate)

    @property
    def made(self) -> int:
        """Number of images that were made; in workers some more than those that arrived."""
        return max(self.stages["finish"].images, 1)

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def capacity(self) -> float:
        """Seconds of the processes that make batches, workers or else the training process."""
        return self.seconds * max(self.workers, 1)

    @property
    def ready(self) -> float:
        """Share of the batches of which everything was ready when they were asked for."""
        wait = self.stages["wait"]
        return wait.hits / wait.calls if wait.calls else 0.0

    @property
    def calls(self) -> int:
        """Calls into Deep Lake."""
        return self.stages["fetch"].calls if self.cache is None else self.cache.calls

    @property
    def cpu(self) -> float:
        """Seconds of CPU time for each image; Deep Lake's own threads not included."""
        stages = (self.stages[stage] for stage in ("fetch", "begin", "finish", "pack"))
        return sum(stage.cpu for stage in stages) / self.made

    @property
    def is_contended(self) -> bool:
        """Whether the machine's cores had hardly a pause: what threads do takes longer than it needs to."""
        return self.busy is not None and self.busy > _CONTENDED

    @property
    def idle(self) -> float:
        """Share of their time in which worker processes stood still; 0 without any."""
        return max(0.0, (self.capacity - self._spent) / self.capacity) if self.workers else 0.0

    def shares(self) -> dict[str, float]:
        """The loader's time, split up: stages and which share each has, 1 in all.

        What threads do side by side counts as long as it lasts; ``decode`` is left out of the stage that it
        happens in. ``fetch`` and ``begun`` are none of them: others work at the same time. Where
        cores are contended, CPU time counts instead of time that passed, but for ``wait``.
        """
        times, lanes = self._times(), max(1, min(self.threads, available_cores()))
        ahead = min(times["decode"], times["begin"])
        parts = {
            "wait": self.stages["wait"].seconds,
            "begin": (times["begin"] - ahead) / lanes,
            "decode": ahead / lanes + times["decode"] - ahead,
            "finish": max(0.0, times["finish"] - (times["decode"] - ahead)),
            "pack": times["pack"],
        }
        total = max(sum(parts.values()), 1e-9)
        return {name: part / total for name, part in parts.items()}

    def limit(self) -> str:
        """What the processes that make batches need most time for.

        ``storage``: waiting for images. ``handing over``: collating and, in workers, standing still.
        ``training thread``: transforms that no other thread may run, while the others wait for them.
        ``decoding`` and ``transforms``: whichever needs more time of all threads.
        """
        if self.stages["wait"].seconds >= _MOST * max(self._spent, 1e-9):
            return "storage"
        if self.idle >= _MOST:
            return "handing over"
        if self.threads:
            times, cores = self._times(), available_cores()
            cpu = sum(self.stages[name].cpu for name in ("begin", "finish", "pack"))
            if times["finish"] > max(times["begin"] / min(self.threads, cores), cpu / cores, times["pack"]):
                return "training thread"
        shares = self.shares()
        return max(
            ("decoding", "transforms", "handing over"), key=lambda limit: sum(shares[n] for n in _ROWS[limit])
        )

    @property
    def _spent(self) -> float:
        """Seconds that the processes which make batches were at it."""
        return sum(self.stages[name].seconds for name in ("wait", "begun", "finish", "pack"))

    def _times(self) -> dict[str, float]:
        """Seconds of what needs the cores; of CPU time where others had them as well."""
        stages = {name: self.stages[name] for name in ("begin", "decode", "finish", "pack")}
        return {name: each.cpu if self.is_contended else each.seconds for name, each in stages.items()}

    def sentence(self) -> str:
        """What keeps the loader from being faster, and what to do about it."""
        if not self.images:
            return "Nothing was loaded."
        if self.waited <= _KEEPS_UP * self.seconds:
            share = f"{self.waited / self.seconds:.1%}"
            return f"The loader keeps up: training waited for it {share} of the time."
        limit, shares = self.limit(), _whole(self.shares())
        share = f"{sum(shares[name] for name in _ROWS[limit])}% of the loader's time"
        if limit == "storage":
            return self._storage(share)
        if limit == "training thread":
            return f"The transforms in the training thread are the limit ({share}): use mode='processes'."
        if limit == "handing over":
            advice = "mode='threads', or smaller batches" if self.workers else "smaller batches"
            if self.idle >= _MOST:
                share = f"the workers stood still for {self.idle:.0%} of the time"
            return f"Handing over batches is the limit ({share}): use {advice}."
        if limit == "decoding":
            once = "" if self.stages["prepared"].images else "decode once (prepared='40GB'), "
            return f"Decoding is the limit ({share}): {once}store smaller images, or {self._more()}."
        return f"The transforms are the limit ({share}): make the pipeline lighter, or {self._more()}."

    def _storage(self, share: str) -> str:
        if not self.remote:
            return f"Reading the lake is the limit ({share}): use a faster disk, or raise num_workers."
        if self.cache is None:
            return f"The network is the limit ({share}): give the dataset a cache=, or raise num_workers."
        wanted = self.cache.hits + self.cache.misses
        if self.cache.misses > 0.1 * wanted:
            return (
                f"The network is the limit ({share}), as {self.cache.misses / wanted:.0%} of the images were "
                "not in the cache: see whether the next epoch is faster, else raise cache= or num_workers."
            )
        return f"Reading the cache is the limit ({share}): put its folder on a faster disk."

    def _more(self) -> str:
        used = max(self.workers, self.threads)
        return (
            f"raise num_workers from {used} to {available_cores()}"
            if used < available_cores()
            else "use more cores"
        )

    def rows(self) -> Iterator[tuple[str, str, str, str, str, str]]:
        """Stage, meaning, seconds, share of the loader's time (`shares`), ms and CPU ms for each image."""
        shares = _whole(self.shares())
        for name, stage in self.stages.items():
            if stage.calls:
                each = 1000 / self.made
                share = f"{shares[name]}%" if name in shares else ""
                times = f"{stage.seconds * each:.2f}", f"{stage.cpu * each:.2f}"
                yield name, _MEANINGS[name], f"{stage.seconds:.2f}", share, *times

    def facts(self) -> Iterator[str]:
        """Rate, waiting, prepared images, reads of the lake and cache, a line each, for people."""
        way = f"{self.workers} worker processes" if self.workers else f"{self.threads} threads"
        ratio = f", {self.rate / self.decode_rate:.2f} of bare decoding" if self.decode_rate else ""
        yield f"{self.images} images in {self.seconds:.2f} s: {self.rate:.1f} images/s{ratio}; {way}"
        yield (
            f"waited for {self.waited:.2f} s; {self.ready:.0%} of {self.batches} batches were ready; "
            f"{1000 * self.cpu:.2f} ms of CPU for each image"
            + ("" if self.busy is None else f"; all cores {self.busy:.0%} busy")
        )
        if self.stages["prepared"].images:
            yield self._prepared()
        calls = f"{self.calls} reads of the lake ({self.calls / self.made:.3f} for each image)"
        if self.cache is None:
            yield f"{calls}, {human_bytes(self.stages['fetch'].bytes)}"
        else:
            cache = self.cache
            yield f"{calls}, {human_bytes(cache.bytes_fetched)}"
            yield (
                f"cache: {cache.hits} hits ({human_bytes(cache.bytes_read)}), {cache.misses} misses, "
                f"{cache.evictions} evictions, {cache.damaged} damaged entries"
            )

    def _prepared(self) -> str:
        """How many images were prepared, and what that saved."""
        prepared, decode = self.stages["prepared"], self.stages["decode"]
        each = 1000 * prepared.cpu / prepared.images
        told = f"prepared: {prepared.images} of {prepared.images + decode.images} images, {each:.2f} ms each"
        if not self.decode_rate:
            return told
        decoding = 1000 * available_cores() / self.decode_rate
        verdict = "" if each < _PAYS * decoding else ": that does not pay"
        return f"{told} in place of {decoding:.2f} ms for decoding{verdict}"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON: figures, stages, and the sentence on what limits the loader."""
        shares = self.shares()
        stages = {
            name: {"seconds": stage.seconds, "cpu_seconds": stage.cpu, "share": shares.get(name)}
            for name, stage in self.stages.items()
            if stage.calls
        }
        names = ("seconds", "waited", "batches", "images", "workers", "threads", "remote", "busy")
        figures = {name: getattr(self, name) for name in (*names, "decode_rate", "ready", "calls")}
        cache = None if self.cache is None else asdict(self.cache)
        told: dict[str, Any] = {"images_per_second": self.rate, "cpu_seconds_per_image": self.cpu}
        told |= {"stages": stages, "cache": cache, "limit": self.limit(), "sentence": self.sentence()}
        return figures | told

    def __str__(self) -> str:
        rows = [("stage", "", "seconds", "share", "ms/image", "CPU ms/image"), *self.rows()]
        lines = [f"{r[0]:8}{r[1]:30}{r[2]:>9}{r[3]:>7}{r[4]:>10}{r[5]:>14}" for r in rows]
        return "\n".join([*lines, *self.facts(), self.sentence()])


class Recorder:
    """Measures a feed from its construction on, or from the last `restart`.

    Args:
        feed: Its statistics are enabled.
        workers: Number of the loader's worker processes.
    """

    def __init__(self, feed: Feed, workers: int) -> None:
        self._feed = feed
        self._workers = workers
        self.restart()

    def restart(self) -> None:
        """Begin measuring anew."""
        self._feed.statistics.reset()
        self._cache = self._caches()
        self._cores = _core_times()
        self._start = time.perf_counter()
        self.waited = 0.0
        self.batches = self.images = 0

    def count(self, batch: Any, waited: float) -> None:
        """Count a batch that the training loop has got.

        Args:
            batch: With ``inputs``, one for each image.
            waited: Seconds for which the training loop waited for it.
        """
        self.waited += waited
        self.batches += 1
        self.images += len(batch["inputs"])

    def report(self) -> LoaderReport:
        """What the feed did since construction, or since the last `restart`."""
        stages = self._feed.statistics.read()
        cache, cores = self._caches(), _core_times()
        passed = cores[1] - self._cores[1]
        return LoaderReport(
            seconds=time.perf_counter() - self._start,
            waited=self.waited,
            batches=self.batches,
            images=self.images,
            workers=self._workers,
            threads=self._feed.threads,
            remote=self._feed.is_remote,
            stages=stages,
            cache=None if cache is None or self._cache is None else cache - self._cache,
            busy=(cores[0] - self._cores[0]) / passed if passed else None,
        )

    def _caches(self) -> CacheStatistics | None:
        found: Any = [lake.cache_statistics for lake in self._feed.lakes]
        found = [statistics for statistics in found if statistics is not None]
        return sum(found[1:], found[0]) if found else None


def _whole(shares: dict[str, float]) -> dict[str, int]:
    """Shares in whole per cent that add up to 100, as they themselves do."""
    found = {name: int(100 * share) for name, share in shares.items()}
    rest = sorted(shares, key=lambda name: found[name] - 100 * shares[name])
    for name in rest[: round(100 * sum(shares.values())) - sum(found.values())]:
        found[name] += 1
    return found


def _core_times() -> tuple[int, int]:
    """Busy time and all time of the machine's cores so far, in some unit; zeros where that is not told."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
        times = [int(number) for number in first[1:9]]
    except (OSError, ValueError, IndexError):
        return 0, 0
    return sum(times) - times[3] - times[4], sum(times)  # but idle, and waiting for a disk
