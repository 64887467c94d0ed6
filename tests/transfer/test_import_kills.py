"""Imports that are killed at random moments, and what stands at their path then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "benchmarks" / "import_kills.py"


@pytest.mark.slow
@pytest.mark.skipif(not KILLS.is_file(), reason="the benchmarks are not here")
def test_kills_leave_the_old_lake_or_the_new_one():
    pytest.importorskip("moto.server")
    command = [sys.executable, str(KILLS), "--kills", "5", "--s3-kills", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "At every moment the old lake or the new one" in done.stdout
