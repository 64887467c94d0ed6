"""Results: one line of JSON for each section, and tables with the ratio and its target."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "Line", "append", "print_table"]

RESULTS = Path(__file__).resolve().parents[1] / "results.jsonl"
_VERSIONS = ("deeplake", "deeplake-mmdet", "onedl-mmdetection", "torch", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        what: What was measured.
        figure: The measured figure, as text.
        ratio: The ratio, or any other number that has a target.
        target: Its target; None where there is none.
        at_least: Whether the target is a lower bound.
        interval: Confidence interval or span of the ratio.
    """

    what: str
    figure: str = ""
    ratio: float | None = None
    target: float | None = None
    at_least: bool = True
    interval: tuple[float, float] | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target


def print_table(title: str, lines: Sequence[Line]) -> None:
    """Print lines as a table."""
    print(f"\n{title}")
    width = max(len(line.what) for line in lines)
    figures = max(len(line.figure) for line in lines)
    for line in lines:
        parts = [f"  {line.what:{width}}  {line.figure:>{figures}}"]
        if line.ratio is not None:
            parts.append(f"{line.ratio:8.3f}")
        if line.interval is not None:
            parts.append(f"[{line.interval[0]:.3f}, {line.interval[1]:.3f}]")
        if line.target is not None:
            sign = "≥" if line.at_least else "≤"
            parts.append(f"target {sign} {line.target:g}: {'reached' if line.reached else 'NOT REACHED'}")
        print("  ".join(parts))
    print(flush=True)


def append(
    target: Path, section: str, arguments: dict[str, Any], lines: Sequence[Line], details: dict[str, Any]
) -> None:
    """Append a section's results to a file, with what they depend on."""
    record = {
        "benchmark": f"loader {section}",
        "commit": _git("rev-parse", "HEAD"),
        # Measured with files that are in no commit.
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "src")),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "cpu": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "load": os.getloadavg()[0],
        "versions": {name: _version(name) for name in _VERSIONS},
        "arguments": arguments,
        "table": [asdict(line) | {"reached": line.reached} for line in lines],
        **details,
    }
    with target.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(RESULTS.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
