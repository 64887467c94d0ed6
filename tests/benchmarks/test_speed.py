"""The first page's picture of speeds: out of a run's records, and of nothing else."""

from __future__ import annotations

import json

import benchmark_modules  # noqa: F401  # finds the benchmarks
import pytest

import speed
from loaders.records import append


@pytest.fixture
def results(tmp_path):
    """Records as ``loader.py peers`` appends them: two local runs, one at an endpoint."""
    file = tmp_path / "results.jsonl"
    arguments = {"quick": True, "rounds": 3, "cores": [0, 1]}

    def rates(*found):
        return [{"rate": rate} for rate in found]

    for factor in (9, 1):  # the last one counts
        found = {"stock 0": rates(90, 80, 100), "stock 2": rates(200, 150, 160), "LitData 2": rates(300)}
        found["ours threads 2"], found["ours processes 4"] = rates(400, 500, 450), rates(430, 440, 460)
        found = {name: [{"rate": one["rate"] * factor} for one in of] for name, of in found.items()}
        failures = {"integration of deeplake 3.9": "no environment: sh make_env.sh envs"}
        append(file, "peers-local", arguments, [], {"results": found, "failures": failures})
    failures = {"stock files": "MMDetection has no S3 client of its own but Petrel's, which is not on PyPI"}
    found = {"ours threads 2": rates(350)}
    append(file, "peers-remote", arguments, [], {"results": found, "failures": failures})
    return file


def test_bars_are_the_best_medians_of_the_last_run(results, tmp_path):
    out = tmp_path / "speed.json"
    speed.main(["collect", str(results), "--out", str(out)])
    found = json.loads(out.read_text())
    bars = {(bar["loader"], bar["place"]): bar for bar in found["bars"]}
    assert len(bars) == 2 * len(speed.LOADERS)
    stock = bars["MMDetection on files", "local"]
    assert (stock["rate"], stock["low"], stock["high"], stock["contestant"]) == (160, 150, 200, "stock 2")
    assert bars["deeplake-mmdet", "local"]["rate"] == 450
    assert bars["deeplake-mmdet", "s3"]["rate"] == 350
    assert bars["deeplake.integrations.mmdet", "local"]["why"].startswith("no environment")
    assert "no S3 client" in bars["MMDetection on files", "s3"]["why"]
    assert bars["WebDataset", "s3"] == {
        "loader": "WebDataset",
        "place": "s3",
        "rate": None,
        "why": "not measured",
    }
    assert found["commit"]
    assert found["cpu"]


def test_the_picture_is_the_same_for_the_same_speeds(results, tmp_path):
    speeds = speed.collect([json.loads(line) for line in results.read_text().splitlines()])
    first, again = (speed.draw(speeds, tmp_path / f"{name}.svg").read_bytes() for name in "ab")
    assert first == again
    speeds["bars"][0]["rate"] *= 2
    assert speed.draw(speeds, tmp_path / "c.svg").read_bytes() != first


def test_without_a_run_nothing_is_drawn():
    with pytest.raises(SystemExit, match="no run"):
        speed.collect([{"benchmark": "loader stock"}])


def test_the_committed_picture_is_that_of_the_committed_speeds(tmp_path):
    drawn = speed.draw(json.loads(speed.SPEEDS.read_text()), tmp_path / "speed.svg")
    assert drawn.read_bytes() == speed.PICTURE.read_bytes()
