"""Sections with a network: ours from an S3 endpoint with latency against our own local rate."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from loaders.data import BenchSet, small_lake
from loaders.plan import Plan, span
from loaders.records import Line
from loaders.rounds import Contestant, interval
from loaders.window import Window
from s3_server import BUCKET, Server, s3_server

__all__ = ["KEYS", "first_batch", "ranks", "remote", "second_pass", "shared_cores"]

# R3: latency in ms, and the share of the local rate that is to be reached.
_TARGETS = {0: 0.97, 20: 0.97, 50: 0.95, 100: 0.95}
_WARM_UP = 30
_PAIRS = 5  # of each process
# Six chunks before the clock starts, where four are read ahead.
_TURN = Window(warm_up=60, batches=150)
_RANKS = (1, 2, 4, 8)
_FIRST_ROWS = 100_000
# The server takes any; Deep Lake wants some.
KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret"}


def remote(plan: Plan) -> None:
    """R3, requests and bytes."""
    made = _bench_set(plan)
    with s3_server(plan.root, core=plan.cores[0]) as server:
        _shares(plan, made, server)
        _traffic(plan, made, server)


def second_pass(plan: Plan) -> None:
    """The second pass over a lake whose chunks the cache holds."""
    made = _bench_set(plan)
    with s3_server(plan.root, core=plan.cores[0]) as server:
        _second_pass(plan, made, server)


def first_batch(plan: Plan) -> None:
    """Seconds to the first batch of a large lake."""
    with s3_server(plan.root, core=plan.cores[0]) as server:
        _first_batch(plan, server)


def ranks(plan: Plan) -> None:
    """What all ranks of a distributed run ask of the storage together in a pass, without a cache."""
    made = _bench_set(plan)
    lines: list[Line] = []
    with s3_server(plan.root) as server:
        for count in _RANKS:
            each = [
                ours_at(
                    plan, made, server, 0, name=f"rank {rank} of {count}", cores=plan.cores,
                    rank=[rank, count], window=asdict(Window(warm_up=1, passes=1)),
                )
                for rank in range(count)
            ]  # fmt: skip
            found = plan.run(each, rounds=1, quick_rounds=1)
            if found.failures:
                plan.finish("ranks", f"{count} ranks", [Line("could not run")], found)
                continue
            passes = [found.results[one.name][0]["passes"][0] for one in each]
            requests = sum(done["served"]["requests"] for done in passes) / made.rows
            sent = sum(done["served"]["bytes"] for done in passes) / made.image_bytes
            lines += [
                Line(f"{count} ranks: requests for each image", "", requests, 0.03, at_least=False),
                Line(f"{count} ranks: bytes / bytes of images", "", sent, 1.15, at_least=False),
            ]
    plan.finish("ranks", "Requests and bytes of all ranks together", lines, found)


def shared_cores(plan: Plan) -> None:
    """Server and loader on the same two cores, against stock MMDetection on local files."""
    with s3_server(plan.root) as server:
        _shared_cores(plan, _bench_set(plan), server)


def _bench_set(plan: Plan) -> BenchSet:
    return plan.bench_set(2000 if plan.quick else 8000)


def ours_at(
    plan: Plan,
    made: BenchSet,
    server: Server,
    milliseconds: int,
    *,
    name: str,
    cores: tuple[int, ...],
    environment: Mapping[str, str] | None = None,
    **spec: Any,
) -> Contestant:
    """Our loader with threads and chunk shuffle on the set's lake behind the server."""
    one = plan.ours(
        f"s3://{BUCKET}/{made.lake.relative_to(plan.root)}",
        "plain",
        2,
        "threads",
        name=name,
        environment={**KEYS, **(environment or {})},
        endpoint=server.url,
        extra={"shuffle": "chunk"},
        cores=list(cores),
        **spec,
    )
    return replace(one, before=lambda: server.set_latency(milliseconds / 1000), reads=(made.lake,))


def _one_pass(count: int = 1) -> dict[str, Any]:
    return asdict(Window(warm_up=_WARM_UP, passes=count))


def _shares(plan: Plan, made: BenchSet, server: Server) -> None:
    sides = {
        delay: ours_at(
            plan, made, server, delay, name=f"R3 at {delay} ms", cores=plan.cores[-1:],
            side="pairs", near=str(made.lake), pairs=_PAIRS, window=asdict(_TURN),
        )
        for delay in _TARGETS
    }  # fmt: skip
    found = plan.run(list(sides.values()), rounds=3, quick_rounds=1)
    lines = []
    for delay, target in _TARGETS.items():
        pairs = [pair for result in found.results.get(sides[delay].name, []) for pair in result["pairs"]]
        if not pairs:
            continue
        far, near, used, least = (
            statistics.median(pair[side][key] for pair in pairs)
            for key in ("rate", "cpu")
            for side in ("far", "near")
        )
        ratios = [pair["far"]["rate"] / pair["near"]["rate"] for pair in pairs]
        lines.append(
            Line(
                sides[delay].name,
                f"{far:.0f} of {near:.0f} img/s, {used * 1e3:.2f} of {least * 1e3:.2f} ms CPU",
                statistics.median(ratios),
                target,
                interval=interval(ratios),
            )
        )
    plan.finish("remote", "R3: from S3, cold, chunk shuffle, on one core, in turns", lines, found)


def _traffic(plan: Plan, made: BenchSet, server: Server) -> None:
    one = ours_at(plan, made, server, 50, name="50 ms", cores=plan.cores[-1:], window=_one_pass())
    found = plan.run([one], rounds=1, quick_rounds=1)
    lines = []
    for result in found.results.get("50 ms", []):
        in_pass = result["passes"][0]["served"]["requests"]
        opening = result["served"]["requests"] - in_pass
        amplification = result["served"]["bytes"] / made.image_bytes
        lines += [
            Line(
                "requests for each image",
                f"{opening} more to open",
                in_pass / made.rows,
                0.03,
                at_least=False,
            ),
            Line("bytes served / bytes of images", "", amplification, 1.15, at_least=False),
        ]
    plan.finish("traffic", "What a pass asks of the storage", lines, found)


def _second_pass(plan: Plan, made: BenchSet, server: Server) -> None:
    core = plan.cores[-1:]
    cache = plan.root / "chunk-cache"

    def empty() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()
        server.set_latency(0.05)

    cached = ours_at(plan, made, server, 50, name="50 ms", cores=core, cache=str(cache), window=_one_pass(2))
    local = plan.ours(
        made.lake,
        "plain",
        2,
        "threads",
        name="local",
        extra={"shuffle": "chunk"},
        cores=list(core),
        window=_one_pass(2),
    )
    found = plan.run([local, replace(cached, before=empty)], rounds=5, quick_rounds=1)
    shutil.rmtree(cache, ignore_errors=True)
    if "50 ms" not in found.results:
        plan.finish("second-pass", "Second pass from the cache", [Line("could not run")], found)
        return
    second = {name: [result["passes"][1] for result in found.results[name]] for name in ("local", "50 ms")}
    ratios = [far["rate"] / near["rate"] for far, near in zip(second["50 ms"], second["local"], strict=True)]
    requests = max(done["served"]["requests"] for done in second["50 ms"])
    rate = statistics.median(done["rate"] for done in second["50 ms"])
    lines = [
        Line(
            "second pass / local second pass",
            f"{rate:.0f} img/s",
            statistics.median(ratios),
            0.98,
            interval=interval(ratios),
        ),
        Line("requests in the second pass", "", float(requests), 0.0, at_least=False),
    ]
    plan.finish("second-pass", "Second pass from the cache, at 50 ms", lines, found)


def _first_batch(plan: Plan, server: Server) -> None:
    lake = small_lake(plan.root, _FIRST_ROWS)
    one = plan.ours(
        f"s3://{BUCKET}/{lake.relative_to(plan.root)}",
        "plain",
        2,
        "threads",
        name="first batch",
        environment=KEYS,
        endpoint=server.url,
        cores=list(plan.cores[-1:]),
        window=asdict(Window(first=True)),
    )
    one = replace(one, before=lambda: server.set_latency(0.05), reads=(lake,))
    plan.run([replace(one, name="warming the table")], rounds=1, quick_rounds=1)
    found = plan.run([one], rounds=5, quick_rounds=1)
    if "first batch" not in found.results:
        plan.finish("first-batch", "First batch", [Line("could not run")], found)
        return
    times = [result["built"] + result["first"] for result in found.results["first batch"]]
    figure = f"of this, opening {found.median('first batch', 'built'):.2f} s"
    line = Line("seconds", figure, statistics.median(times), 3.0, at_least=False, interval=span(times))
    title = f"First batch at 50 ms, {_FIRST_ROWS} rows, warm table, without imports"
    plan.finish("first-batch", title, [line], found)


def _shared_cores(plan: Plan, made: BenchSet, server: Server) -> None:
    numbers = (0, 2) if plan.quick else (0, 1, 2, 4)
    stock = [
        replace(plan.stock(made, "plain", workers), name=f"stock {workers}, local files")
        for workers in numbers
    ]
    stock = [replace(one, spec={**one.spec, "window": _one_pass()}) for one in stock]
    ours = ours_at(plan, made, server, 50, name="ours at 50 ms", cores=plan.cores, window=_one_pass())
    found = plan.run([*stock, ours], quick_rounds=1)
    base = found.best([one.name for one in stock])
    lines = [Line(base, found.figure(base))]
    if "ours at 50 ms" in found.results:
        rate = found.median("ours at 50 ms")
        ratios = found.ratios("ours at 50 ms", base)
        lines.append(
            Line(
                "ours at 50 ms, server on the same cores",
                found.figure("ours at 50 ms"),
                rate / found.median(base),
                1.3,
                interval=span(ratios),
            )
        )
    plan.finish("shared-cores", "At 50 ms, server and loader on the same two cores", lines, found)
