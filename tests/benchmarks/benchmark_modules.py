"""The modules of ``benchmarks/``, which is no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import s3_server
from loaders import data, limits, pairs, pipelines, records, rounds, turns, window

__all__ = ["data", "limits", "pairs", "pipelines", "records", "rounds", "s3_server", "turns", "window"]
