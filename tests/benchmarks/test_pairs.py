"""Our loader on a lake in a folder and behind a server, in turns."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_modules import data, pairs, s3_server


def test_every_pair_times_both_sides_and_only_the_far_one_asks_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdet.utils import register_all_modules

    import deeplake_mmdet  # noqa: F401  # its stand-in for compiled ops, where mmcv has none

    register_all_modules()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "any")
    made = data.BenchSet.make(tmp_path, 16, unique=2)
    spec = {"side": "pairs", "pipeline": "plain", "workers": 2, "mode": "threads", "near": str(made.lake)}
    spec |= {"extra": {"shuffle": "chunk"}, "window": {"warm_up": 1, "batches": 4}, "pairs": 2}
    with s3_server.s3_server(tmp_path) as server:
        spec |= {"lake": f"s3://{s3_server.BUCKET}/{made.lake.relative_to(tmp_path)}", "endpoint": server.url}
        found = pairs.measure_pairs(spec)
    assert len(found["pairs"]) == 2
    for pair in found["pairs"]:
        for side in ("near", "far"):
            assert pair[side]["rate"] > 0
            assert pair[side]["cpu"] >= 0
        assert pair["near"]["requests"] == 0
        assert pair["far"]["requests"] > 0
