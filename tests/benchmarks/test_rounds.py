"""Interleaved rounds, windows and the limits of the loader benchmarks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from benchmark_modules import data, limits, pipelines, records, rounds, window

SCRIPT = """
import json, sys
spec = json.loads(sys.argv[1])
with open(spec["log"], "a") as log:
    log.write(spec["name"] + "\\n")
if spec["name"] == "bad":
    raise SystemExit("no such thing")
print("noise")
print(json.dumps({"rate": spec["rate"], "cpu": 1.0, "images": 500}))
"""


def contestants(folder: Path, **rates: float) -> list[rounds.Contestant]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    log = str(folder / "log")
    return [
        rounds.Contestant(name, {"name": name, "rate": rate, "log": log}, str(script))
        for name, rate in rates.items()
    ]


def test_contestants_take_turns_in_another_order(tmp_path: Path) -> None:
    found = rounds.run_rounds(contestants(tmp_path, a=100, b=200, c=300), 2)
    assert (tmp_path / "log").read_text().split() == ["a", "b", "c", "a", "c", "b"]
    assert found.best(["a", "b"]) == "b"
    assert found.ratios("c", "a") == [3, 3]
    assert found.figure("b") == "200 (200-200) img/s, 2.00 ms CPU"


def test_one_that_fails_is_named_with_its_reason_and_left_out(tmp_path: Path) -> None:
    found = rounds.run_rounds(contestants(tmp_path, good=100, bad=1), 3)
    assert found.values("good") == [100] * 3
    assert "no such thing" in found.failures["bad"]
    assert "bad" not in found.results
    assert (tmp_path / "log").read_text().split().count("bad") == 1


def test_the_interval_lies_around_the_median() -> None:
    low, high = rounds.interval([0.9, 1.0, 1.1] * 5)
    assert 0.9 <= low <= 1.0 <= high <= 1.1
    assert rounds.interval([0.5] * 15) == (0.5, 0.5)


def test_a_window_times_what_follows_the_warm_up_over_several_passes() -> None:
    opened = []

    def open_pass(number: int) -> Iterable[list[int]]:
        opened.append(number)
        for _ in range(10):
            time.sleep(0.05 if not number else 0.002)  # the warm-up is the slow part
            yield [0] * 8

    result = window.time_window(open_pass, len, window.Window(warm_up=10, batches=15, seconds=0))
    assert opened == [0, 1, 2]
    assert result["images"] == 15 * 8
    assert result["rate"] > 8 / 0.05
    assert result["first"] >= 0.05
    assert result["private_mb"][0] > 1


def test_passes_are_timed_one_by_one() -> None:
    result = window.time_passes(
        lambda number: [[0] * 4] * (5 + number), len, window.Window(warm_up=2, passes=2), None
    )
    assert [done["images"] for done in result["passes"]] == [20, 24]


def test_limits_name_every_stage(tmp_path: Path) -> None:
    from mmdet.utils import register_all_modules

    import deeplake_mmdet  # noqa: F401  # its stand-in for compiled ops, where mmcv has none

    register_all_modules()
    made = data.BenchSet.make(tmp_path, 6, unique=2)
    found = limits.measure_limits({"set": [str(made.folder), made.rows], "count": 4})
    assert list(found["stages"]) == [step["type"] for step in pipelines.PLAIN]
    assert found["cpu"] == pytest.approx(sum(found["stages"].values()))
    assert found["decode"] > 0 < found["stages"]["LoadImageFromFile"]


def test_results_are_appended_with_what_they_depend_on(tmp_path: Path) -> None:
    target = tmp_path / "results.jsonl"
    line = records.Line("x", ratio=0.5, target=0.9)
    for _ in range(2):
        records.append(target, "local", {"quick": True}, [line], {"results": {}})
    first, second = map(json.loads, target.read_text().splitlines())
    assert first["table"] == second["table"]
    assert first["table"][0]["reached"] is False
    assert first["versions"]["deeplake"]
    assert len(first["commit"]) in (0, 40)
