"""The modules of ``benchmarks/``, which is no package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import s3_server  # noqa: E402
from loaders import data, limits, rounds, window  # noqa: E402

__all__ = ["data", "limits", "rounds", "s3_server", "window"]
