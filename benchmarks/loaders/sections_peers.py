"""Section of the other loaders: the same images and work for all, on local disk and at 50 ms."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loaders.data import BenchSet
from loaders.plan import Plan
from loaders.records import Line
from loaders.rounds import Contestant, run_fresh
from loaders.sections_remote import ours_at
from s3_server import Server, s3_server

__all__ = ["peers"]

_LATENCY_MS = 50


@dataclass(frozen=True)
class _Peer:
    """Another loader.

    Attributes:
        name: For tables.
        script: Below ``benchmarks/peers``, without its ending.
        environment: Name of its environment (see ``make_env.sh``); ours if empty.
        remote: Whether it can read from the endpoint.
        workers: Numbers of workers it can be run with; any if empty.
    """

    name: str
    script: str
    environment: str = ""
    remote: bool = True
    workers: tuple[int, ...] = ()


_PEERS = (
    _Peer("ds.pytorch()", "deeplake_pytorch"),
    _Peer("LitData", "litdata_streaming", "litdata"),
    _Peer("MosaicML Streaming", "mosaicml_streaming", "streaming"),
    _Peer("WebDataset", "webdataset_tar", "webdataset"),
    _Peer("integration of deeplake 3.9", "integration3", "integration3"),
)


def peers(plan: Plan) -> None:
    """Each peer at its best number of workers; what cannot run is named with its reason."""
    made = plan.bench_set()
    numbers = (2,) if plan.quick else (0, 2, 4)
    missing: dict[str, str] = {}
    ready = [peer for peer in _PEERS if _prepare(plan, made, peer, missing)]
    local = [
        _contestant(plan, made, peer, workers) for peer in ready for workers in (peer.workers or numbers)
    ]
    local += [plan.stock(made, "plain", workers) for workers in numbers]
    mine = [plan.ours(made.lake, "plain", workers, mode) for workers, mode in _our_ways(numbers)]
    _compare(plan, "peers-local", "Peers, local disk", [*local, *mine], missing)

    with s3_server(plan.root) as server:
        far = [
            _contestant(plan, made, peer, workers, server)
            for peer in ready
            if peer.remote
            for workers in (peer.workers or numbers)
        ]
        ours = ours_at(plan, made, server, _LATENCY_MS, name="ours threads 2", cores=plan.cores)
        unable = {peer.name: "reads no S3 endpoint" for peer in ready if not peer.remote}
        unable["stock files"] = "MMDetection has no S3 client of its own but Petrel's, which is not on PyPI"
        _compare(
            plan, "peers-remote", f"Peers at {_LATENCY_MS} ms, cold", [*far, ours], {**missing, **unable}
        )


def _our_ways(numbers: tuple[int, ...]) -> list[tuple[int, str]]:
    return [(workers, mode) for mode in ("threads", "processes") for workers in numbers if workers]


def _prepare(plan: Plan, made: BenchSet, peer: _Peer, missing: dict[str, str]) -> bool:
    python = _python(plan, peer)
    if not Path(python).exists():
        missing[peer.name] = f"no environment: sh benchmarks/peers/make_env.sh {plan.root / 'envs'}"
        return False
    store = made.folder / peer.script
    marker = made.folder / f"{peer.script}.complete"
    if marker.exists():
        return True
    spec = {**_spec(made, peer), "prepare": True}
    try:
        run_fresh(Contestant(peer.name, spec, f"peers/{peer.script}.py", python))
    except RuntimeError as error:
        missing[peer.name] = f"could not write {store}: {error}"
        return False
    marker.touch()
    return True


def _python(plan: Plan, peer: _Peer) -> str:
    return str(plan.root / "envs" / peer.environment / "bin/python") if peer.environment else sys.executable


def _spec(made: BenchSet, peer: _Peer) -> dict[str, Any]:
    return {"set": [str(made.folder), made.rows], "store": str(made.folder / peer.script)}


def _contestant(
    plan: Plan, made: BenchSet, peer: _Peer, workers: int, server: Server | None = None
) -> Contestant:
    spec = {**_spec(made, peer), "workers": workers, "cores": list(plan.cores), "window": plan.window}
    name = f"{peer.name} {workers}"
    stored = made.lake if peer.script == "deeplake_pytorch" else made.folder / peer.script
    one = Contestant(name, spec, f"peers/{peer.script}.py", _python(plan, peer), reads=(stored,))
    if server is None:
        return one
    spec |= {
        "endpoint": server.url,
        "prefix": str(stored.relative_to(plan.root)),
        "cache": str(plan.root / "peer-cache"),
    }
    return replace(one, before=lambda: server.set_latency(_LATENCY_MS / 1000))


def _compare(
    plan: Plan, section: str, title: str, contestants: list[Contestant], missing: dict[str, str]
) -> None:
    found = plan.run(contestants)
    found.failures |= missing
    ours = [name for name in found.results if name.startswith("ours")]
    lines = []
    if ours:
        best = found.best(ours)
        rate = found.median(best)
        lines.append(Line(best, found.figure(best)))
        kinds = {name.rpartition(" ")[0] for name in found.results if not name.startswith("ours")}
        for kind in sorted(kinds):
            name = found.best([name for name in found.results if name.rpartition(" ")[0] == kind])
            lines.append(Line(f"ours / {name}", found.figure(name), rate / found.median(name), 1.0))
    plan.finish(section, title, lines or [Line("ours could not run")], found)
