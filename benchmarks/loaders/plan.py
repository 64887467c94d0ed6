"""What all sections share: where the data lie, how long to look, and the contestants of MMDetection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loaders.data import BenchSet
from loaders.records import RESULTS, Line, append, print_table
from loaders.rounds import Contestant, Rounds, run_rounds
from loaders.window import Window

__all__ = ["Plan", "span"]

CORES = 2


@dataclass(frozen=True)
class Plan:
    """One run of the benchmark.

    Attributes:
        root: Folder of data, caches and environments.
        quick: Few rounds, short windows.
        cores: The cores to use; the last one is the loader's where a server has the first.
        rounds: Number of rounds, if it was given.
        results: File that results are appended to.
    """

    root: Path
    quick: bool
    rounds: int | None = None
    results: Path = RESULTS
    cores: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))[:CORES]))

    @property
    def window(self) -> dict[str, Any]:
        """How long to time each loader."""
        return asdict(Window(20, 60, 3.0) if self.quick else Window(30, 300, 10.0))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of all measurements: annotation tables stay below ``root``."""
        return {"DEEPLAKE_MMDET_CACHE": str(self.root / "tables")}

    def bench_set(self, rows: int = 8000) -> BenchSet:
        """The images."""
        return BenchSet.make(self.root, rows)

    def limits(self, made: BenchSet) -> Contestant:
        """The limits of the machine."""
        spec = {"side": "limits", "set": [str(made.folder), made.rows], "count": 300 if self.quick else 1000}
        return self._contestant("limits", {**spec, "cores": [self.cores[-1]]})

    def stock(self, made: BenchSet, pipeline: str, workers: int) -> Contestant:
        """Stock MMDetection on files."""
        spec = {"side": "stock", "set": [str(made.folder), made.rows], "pipeline": pipeline}
        return self._contestant(f"stock {workers}", {**spec, "workers": workers}, reads=(made.images,))

    def ours(
        self,
        lake: Path | str,
        pipeline: str,
        workers: int,
        mode: str,
        *,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Contestant:
        """Our loader; further keys of the SPEC of ``measure.py`` as keywords."""
        told = {"side": "ours", "lake": str(lake), "pipeline": pipeline, "workers": workers, "mode": mode}
        reads = (lake,) if isinstance(lake, Path) else ()
        return self._contestant(name or f"ours {mode} {workers}", {**told, **spec}, environment, reads)

    def in_turns(
        self, made: BenchSet, pipeline: str, workers: int, mode: str, limit: str, *, name: str
    ) -> Contestant:
        """Our loader in turns with a limit of the machine (see ``turns.py``)."""
        spec = {"side": "turns", "set": [str(made.folder), made.rows], "limit": limit}
        spec |= {"count": 300 if limit == "decode" else 100, "turns": 8 if self.quick else 15}
        return self.ours(made.lake, pipeline, workers, mode, name=name, **spec)

    def _contestant(
        self,
        name: str,
        spec: dict[str, Any],
        environment: Mapping[str, str] | None = None,
        reads: tuple[Path, ...] = (),
    ) -> Contestant:
        told = {"cores": list(self.cores), "window": self.window, **spec}
        return Contestant(name, told, environment={**self.environment, **(environment or {})}, reads=reads)

    def run(self, contestants: list[Contestant], rounds: int = 5, quick_rounds: int = 2) -> Rounds:
        """Interleaved rounds: as many as were asked for, else the number for this kind of run."""
        return run_rounds(contestants, self.rounds or (quick_rounds if self.quick else rounds))

    def finish(self, section: str, title: str, lines: list[Line], found: Rounds, **more: Any) -> None:
        """Print a table and append it, with all results, to the record."""
        print_table(title, lines)
        for name, reason in found.failures.items():
            print(f"  could not run: {name}: {reason}")
        arguments = {"quick": self.quick, "rounds": self.rounds, "cores": self.cores, "window": self.window}
        details = {"results": found.results, "failures": found.failures, **more}
        append(self.results, section, arguments, lines, details)


def span(values: list[float]) -> tuple[float, float]:
    """Smallest and largest."""
    return min(values), max(values)
