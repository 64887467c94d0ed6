"""Sections without a network: the limits, ours against them, against stock, Mosaic, and growing lakes."""

from __future__ import annotations

import statistics

from loaders.data import small_lake
from loaders.plan import Plan, span
from loaders.records import Line
from loaders.rounds import Contestant, Rounds, interval

__all__ = ["limits", "local", "mosaic", "scaling", "stock"]

_WORKERS = (0, 1, 2, 4)
# Samples of one pass in the scaling section, whatever the lake's size: passes begin equally often.
_PASS = 200_000
_FLAT = 0.10


def limits(plan: Plan) -> None:
    """Bare decoding, and the CPU time of the stock stages."""
    made = plan.bench_set()
    found = plan.run([plan.limits(made)], quick_rounds=3)
    cores = len(plan.cores)
    lines = [
        Line("bare cv2 decoding, one core", f"{found.median('limits', 'decode'):.0f} img/s"),
        Line(f"the same on {cores} cores", f"{found.median('limits', 'decode') * cores:.0f} img/s"),
        *_stage_lines(found),
        Line(f"whole pipeline on {cores} cores", f"{cores / found.median('limits', 'cpu'):.0f} img/s"),
    ]
    plan.finish("limits", "Limits", lines, found)


def _stage_lines(found: Rounds) -> list[Line]:
    stages = found.results["limits"][0]["stages"]
    return [Line(f"CPU time of {stage}", f"{seconds * 1e3:.3f} ms") for stage, seconds in stages.items()]


def local(plan: Plan) -> None:
    """R1 and R2: our loader against what decoding and the stages allow, in turns."""
    made = plan.bench_set()
    ways = [("threads", 2), ("threads", 3), ("processes", 2)]
    ways += [] if plan.quick else [("auto", 2)]
    sides = {
        (ratio, target): [
            plan.in_turns(made, pipeline, workers, mode, limit, name=f"{ratio}  {mode} {workers}")
            for mode, workers in ways
        ]
        for ratio, target, pipeline, limit in (
            ("R1", 0.90, "decode", "decode"),
            ("R2", 0.95, "plain", "stages"),
        )
    }
    found = plan.run([one for side in sides.values() for one in side])
    lines = []
    for (_, target), side in sides.items():
        turns = {one.name: found.turns(one.name) for one in side if one.name in found.results}
        ratios = {name: [turn["rate"] / turn["limit"] for turn in of] for name, of in turns.items()}
        best = max(ratios, key=lambda name: statistics.median(ratios[name]))
        for name, of in turns.items():
            rate, limit, cpu = (
                statistics.median(turn[key] for turn in of) for key in ("rate", "limit", "cpu")
            )
            lines.append(
                Line(
                    name,
                    f"{rate:.0f} of {limit:.0f} img/s, {cpu * 1e3:.2f} ms CPU",
                    statistics.median(ratios[name]),
                    target if name == best else None,
                    interval=interval(ratios[name]),
                )
            )
    plan.finish("local", "Against the limit", lines, found)


def stock(plan: Plan) -> None:
    """Our loader against stock MMDetection on the same images as files."""
    made = plan.bench_set()
    numbers = (0, 2) if plan.quick else _WORKERS
    theirs = [plan.stock(made, "plain", workers) for workers in numbers]
    ours = [
        plan.ours(made.lake, "plain", workers, mode)
        for mode in ("threads", "processes")
        for workers in numbers
        if workers or mode == "processes"  # without workers the modes are one
    ]
    found = plan.run([*theirs, *ours])
    plan.finish("stock", "Against stock MMDetection on files", _against_stock(found, theirs, ours), found)


def mosaic(plan: Plan) -> None:
    """The same with YOLOX's Mosaic and MixUp."""
    made = plan.bench_set()
    numbers = (2,) if plan.quick else _WORKERS
    theirs = [plan.stock(made, "mosaic", workers) for workers in numbers]
    modes = ("processes", "threads") if plan.quick else ("processes", "threads", "auto")
    ours = [plan.ours(made.lake, "mosaic", workers, mode) for mode in modes for workers in numbers if workers]
    found = plan.run([*theirs, *ours])
    best, base = found.best([one.name for one in ours]), found.best([one.name for one in theirs])
    lines = [_rate_line(found, one.name, base) for one in (*theirs, *ours) if one.name in found.results]
    lines.append(_best_line(found, best, base, 1.3))
    plan.finish("mosaic", "Mosaic + MixUp against stock", lines, found)


def _against_stock(found: Rounds, theirs: list[Contestant], ours: list[Contestant]) -> list[Line]:
    base = found.best([one.name for one in theirs])
    lines = [_rate_line(found, one.name, base) for one in theirs]
    for one in ours:
        if one.name not in found.results:
            continue
        same = f"stock {one.spec['workers']}"
        ratios = found.ratios(one.name, same)
        lines.append(
            Line(
                f"{one.name} / {same}",
                found.figure(one.name),
                found.median(one.name) / found.median(same),
                1.0,
                interval=span(ratios),
            )
        )
    processes = [one.name for one in ours if one.spec["mode"] == "processes" and one.spec["workers"]]
    lines.append(_best_line(found, found.best(processes), base, 1.3))
    lines.append(_best_line(found, found.best([one.name for one in ours]), base, 1.6))
    return lines


def _rate_line(found: Rounds, name: str, base: str) -> Line:
    return Line(name, found.figure(name), found.median(name) / found.median(base))


def _best_line(found: Rounds, name: str, base: str, target: float) -> Line:
    return Line(
        f"best: {name} / {base}",
        f"{found.median(name):.0f} / {found.median(base):.0f} img/s",
        found.median(name) / found.median(base),
        target,
        interval=span(found.ratios(name, base)),
    )


def scaling(plan: Plan) -> None:
    """CPU time of a row beyond decoding and transforms, and private memory, in lakes of 10³ to 10⁶ rows."""
    sizes = (1_000, 100_000) if plan.quick else (1_000, 10_000, 100_000, 1_000_000)
    lakes = {str(rows): small_lake(plan.root, rows) for rows in sizes}
    spec = {"side": "growth", "lakes": {rows: str(lake) for rows, lake in lakes.items()}}
    spec |= {"pass": _PASS, "turns": 3 if plan.quick else 8, "workers": 2, "cores": list(plan.cores)}
    contestants = [
        Contestant(
            mode,
            {**spec, "mode": mode},
            environment=plan.environment,
            reads=tuple(lakes.values()),
        )
        for mode in ("threads", "processes")
    ]
    found = plan.run(contestants)
    lines = []
    for mode in found.results:
        turns = found.turns(mode)
        floor = statistics.median(turn["floor"] for turn in turns)
        lines.append(Line(f"{mode}, decoding and transforms", f"{floor * 1e6:.0f} µs"))
        for rows in lakes:
            beyond = [turn[rows] - turn["floor"] for turn in turns]
            least = [turn[next(iter(lakes))] - turn["floor"] for turn in turns]
            ratios = [one / other for one, other in zip(beyond, least, strict=True)]
            memory = [one["worker_mb"][rows] for one in found.results[mode] if one["worker_mb"]]
            figure = f"{statistics.median(beyond) * 1e6:.0f} µs"
            figure += f", {max(memory):.0f} MB a worker" if memory else ""
            name = f"{mode}, {rows} rows, beyond that"
            middle = statistics.median(ratios)
            lines.append(Line(name, figure, middle, 1 + _FLAT, at_least=False, interval=interval(ratios)))
    plan.finish("scaling", "CPU time for each image as the lake grows (2 workers)", lines, found)
