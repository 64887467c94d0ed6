"""The worked example: labels are spoiled, suspected, repaired, and a view of the suspects opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deeplake_mmdet import DeepLakeDataset, lineage

LOOP = Path(__file__).parents[2] / "examples" / "loop" / "loop.py"


@pytest.mark.slow
def test_the_loop_runs_from_spoiled_labels_to_repaired_ones(shared_data, tmp_path):
    command = [sys.executable, str(LOOP), str(shared_data / "bccd"), str(tmp_path), "--epochs", "2"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=550, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    spoiled = json.loads((tmp_path / "damaged" / "planted.json").read_text())
    kinds = [one["kind"] for some in spoiled.values() for one in some]
    told = done.stdout.splitlines()
    for kind in ("swapped", "moved", "removed"):
        assert any(f"  {kind}: " in line and line.endswith(f"of {kinds.count(kind)}") for line in told)
    assert "labels repaired; mAP" in told[-1]
    lake = tmp_path / "lakes" / "damaged"
    assert 0 < len(DeepLakeDataset(path=str(lake), view="suspects", pipeline=[], test_mode=True)) <= 20
    (run,) = lineage(lake)["runs"]
    assert [view["name"] for view in run["views"]] == ["suspects"]
