"""Our loader and the limits of the machine in turns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmark_modules import data, turns

CORES = sorted(os.sched_getaffinity(0))[:2]


@pytest.mark.skipif(len(CORES) < 2, reason="on one core nothing is left of the limit's second core")
@pytest.mark.parametrize("limit", ["decode", pytest.param("stages", marks=pytest.mark.slow)])
def test_every_turn_has_a_rate_and_a_limit_of_its_own(tmp_path: Path, limit: str) -> None:
    from mmdet.utils import register_all_modules

    import deeplake_mmdet  # noqa: F401  # its stand-in for compiled ops, where mmcv has none

    register_all_modules()
    made = data.BenchSet.make(tmp_path, 16, unique=2)
    spec = {"side": "turns", "lake": str(made.lake), "set": [str(made.folder), made.rows], "limit": limit}
    spec |= {"pipeline": "plain", "workers": 0, "mode": "threads", "count": 16, "turns": 2}
    spec["cores"] = CORES
    found = turns.measure_in_turns(spec)
    assert len(found["turns"]) == 2
    for turn in found["turns"]:
        # Without workers or threads one core does all the work, and more of it.
        assert 0 < turn["rate"] < turn["limit"]
        assert turn["cpu"] > 0
