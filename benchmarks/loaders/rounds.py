"""Fresh processes, interleaved rounds, medians with their spread."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from loaders.memory import in_memory

__all__ = ["Contestant", "Rounds", "interval", "run_fresh", "run_rounds"]

_BENCHMARKS = Path(__file__).resolve().parents[1]
_LIMIT_SECONDS = 900


@dataclass(frozen=True)
class Contestant:
    """Who is measured.

    Attributes:
        name: For tables.
        spec: What its script is told.
        script: Its script, below ``benchmarks``.
        python: Its interpreter.
        environment: Variables to add.
        before: Done before each measurement.
        reads: Folders that are kept in memory during each measurement.
    """

    name: str
    spec: Mapping[str, Any]
    script: str = "loaders/measure.py"
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    reads: tuple[Path, ...] = ()


@dataclass
class Rounds:
    """Results of interleaved rounds.

    Attributes:
        results: By contestant, what its script printed, for each round that it finished.
        failures: By contestant, the reason why it has none.
    """

    results: dict[str, list[dict[str, Any]]]
    failures: dict[str, str]

    def values(self, name: str, key: str = "rate") -> list[float]:
        """One figure of a contestant, for each round."""
        return [result[key] for result in self.results[name]]

    def median(self, name: str, key: str = "rate") -> float:
        """Its median."""
        return statistics.median(self.values(name, key))

    def turns(self, name: str) -> list[dict[str, Any]]:
        """All turns of a contestant that takes turns within a measurement."""
        return [turn for result in self.results[name] for turn in result["turns"]]

    def figure(self, name: str) -> str:
        """Its rate with smallest and largest, and the CPU time of an image, which other load touches less."""
        low, high = min(self.values(name)), max(self.values(name))
        used = [1000 * result["cpu"] / result["images"] for result in self.results[name]]
        rate = f"{self.median(name):.0f} ({low:.0f}-{high:.0f}) img/s"
        return f"{rate}, {statistics.median(used):.2f} ms CPU"

    def ratios(self, name: str, base: str, key: str = "rate") -> list[float]:
        """The figure as a multiple of another contestant's in the same round."""
        pairs = zip(self.values(name, key), self.values(base, key), strict=True)
        return [ours / theirs for ours, theirs in pairs]

    def best(self, names: Sequence[str], key: str = "rate") -> str:
        """The one with the largest median."""
        return max(
            (name for name in names if self.results.get(name)), key=lambda name: self.median(name, key)
        )


def run_fresh(contestant: Contestant) -> dict[str, Any]:
    """Run one measurement in a process of its own.

    Raises:
        RuntimeError: It failed, with the end of what it said.
    """
    contestant.before()
    # One thread for each library: the loaders alone decide what runs beside what.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_BENCHMARKS)}
    environment |= contestant.environment
    command = [contestant.python, str(_BENCHMARKS / contestant.script), json.dumps(contestant.spec)]
    try:
        with in_memory(contestant.reads):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_LIMIT_SECONDS
            )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{contestant.name}: no end after {_LIMIT_SECONDS} s") from None
    # A result that was printed counts even if the process then ended badly, but never silently.
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{contestant.name}: exit code {done.returncode}: {_end_of(done.stderr)}")
    result: dict[str, Any] = json.loads(lines[-1])
    if done.returncode:
        result["exit_code"] = done.returncode
    return result


def _end_of(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:]


def run_rounds(contestants: Sequence[Contestant], rounds: int) -> Rounds:
    """Measure all contestants in turn, ``rounds`` times, each round in another order.

    One that fails is left out of further rounds, and of the results, and its reason kept.
    """
    found = Rounds({one.name: [] for one in contestants}, {})
    for number in range(rounds):
        shift = number % len(contestants)
        ordered = [*contestants[shift:], *contestants[:shift]]
        for one in ordered if number % 2 == 0 else ordered[::-1]:
            if one.name in found.failures:
                continue
            try:
                result = run_fresh(one)
            except RuntimeError as error:
                found.failures[one.name] = str(error)
                found.results.pop(one.name, None)
                print(f"  round {number + 1}  {one.name:32} FAILED {error}", flush=True)
                continue
            found.results[one.name].append(result)
            figure = result.get("rate", result.get("decode", result.get("first", 0.0)))
            print(f"  round {number + 1}  {one.name:32} {figure:8.1f}", flush=True)
    return found


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Bootstrap confidence interval of the median; the same for the same values."""
    random = np.random.default_rng(0)
    picks = random.choice(np.asarray(values, float), (10_000, len(values)))
    low, high = np.quantile(np.median(picks, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
