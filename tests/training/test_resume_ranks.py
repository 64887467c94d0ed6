"""Runs in two processes: resumed in two, in one, and in two again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import passes, recording_config, rows_of

from deeplake_mmdet import train
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError, ProcessError

ROWS = 10


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("lakes") / "ten"
    write_demo_lake(path, count=ROWS, seed=0)
    return str(path)


def run(lake: str, folder: Path, processes: int, start: Path | bool = False, **options: Any) -> Path:
    cfg = recording_config(lake, folder, **{"train_dataloader.batch_size": 2, **options})
    cfg.custom_hooks = []
    cfg.randomness.diff_rank_seed = True  # so that it matters whose generators are restored
    found = train(cfg, resume=start, processes=processes if processes > 1 else None)
    assert found.last_checkpoint is not None
    return found.last_checkpoint


@pytest.mark.slow
def test_another_number_of_processes_takes_what_is_left(lake, tmp_path):
    whole = run(lake, tmp_path / "two", 2)
    assert whole.name == "iter_9.pth"
    expected = rows_of(whole)
    assert passes(expected, ROWS) == [list(range(ROWS))] * 3

    states = torch.load(tmp_path / "two" / "iter_4.pth", weights_only=False)["deeplake_mmdet"]["states"]
    assert len(states) == 2
    assert states[0]["generators"]["python"] != states[1]["generators"]["python"]
    again = run(lake, tmp_path / "again", 2, tmp_path / "two" / "iter_4.pth")
    assert rows_of(again) == expected
    weights = [torch.load(path, weights_only=False)["state_dict"]["weight"] for path in (whole, again)]
    assert torch.equal(*weights)

    # of the second pass, a batch of 4 has been used; one process takes 2, then two processes the rest
    one = run(lake, tmp_path / "one", 1, tmp_path / "two" / "iter_4.pth", mode="processes")
    assert passes(rows_of(one), ROWS) == [list(range(ROWS))] * 3
    assert one.name == f"iter_{4 + 3 + 5}.pth"
    both = run(lake, tmp_path / "both", 2, tmp_path / "one" / "iter_5.pth")
    assert passes(rows_of(both), ROWS) == [list(range(ROWS))] * 3
    assert rows_of(both)[:16] == expected[:14] + rows_of(one)[14:16]
    assert both.name == f"iter_{5 + 1 + 3}.pth"
    (start,) = json.loads((tmp_path / "both" / "run.json").read_text())["starts"]
    assert start["ranks"] == 2


@pytest.mark.slow
def test_a_killed_process_is_no_end(lake, tmp_path):
    processes = 2
    options: dict[str, Any] = {"train_dataloader.batch_size": 2}
    expected = run(lake, tmp_path / "whole", processes)
    cfg = recording_config(lake, tmp_path / "killed", **options)
    cfg.randomness.diff_rank_seed = True
    cfg.custom_hooks = [{"type": "Trouble", "at": at, "how": "SIGKILL"} for at in (4, 7)]
    cfg.custom_imports = {"imports": ["counting"]}
    found = train(cfg, processes=processes, max_restarts=2)
    assert found.last_checkpoint is not None
    assert found.last_checkpoint.name == expected.name
    assert rows_of(found.last_checkpoint) == rows_of(expected)
    starts = json.loads((tmp_path / "killed" / "run.json").read_text())["starts"]
    assert [start["resumed_from"] and start["resumed_from"]["iter"] for start in starts] == [None, 4, 7]
    # Checkpoints of an earlier run in the folder are not gone on from, and restarts end.
    cfg.custom_hooks = [{"type": "Trouble", "at": 1, "how": "SIGKILL"}]
    cfg.default_hooks.checkpoint.interval = 100
    with pytest.raises(ProcessError, match="killed by SIGKILL"):
        train(cfg, processes=processes, max_restarts=1)
    starts = json.loads((tmp_path / "killed" / "run.json").read_text())["starts"]
    assert [start["resumed_from"] for start in starts[3:]] == [None, None]


@pytest.mark.parametrize(
    ("restarts", "processes", "match"), [(-1, 2, "-1 times"), (1, None, "--processes N")]
)
def test_restarts_that_cannot_be(lake, tmp_path, restarts, processes, match):
    cfg = recording_config(lake, tmp_path / "run")
    with pytest.raises(ConfigError, match=match):
        train(cfg, processes=processes, max_restarts=restarts)
