"""Resuming at any iteration: the same rows, losses, weights and events as without interruption."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import Diary, Stopped, passes, recording_config, rows_of

from deeplake_mmdet import train
from deeplake_mmdet.demo.lakes import write_demo_lake

ROWS = 10  # batches of 4, 4 and 2


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lakes") / "ten"
    write_demo_lake(path, count=ROWS, seed=0)
    return path


def run(lake: Path, folder: Path, *, start: Path | bool = False, **options: Any) -> list[tuple[Any, ...]]:
    """Train, and tell what happened."""
    Diary.events.pop(str(folder), None)
    train(recording_config(str(lake), folder, **options), resume=start)
    return Diary.events[str(folder)]


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(checkpoint, weights_only=False)
    return {**saved["state_dict"], **saved["optimizer"]["state"].get(0, {})}


def assert_same_weights(one: Path, other: Path) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def after(events: list[tuple[Any, ...]], iteration: int) -> list[tuple[Any, ...]]:
    """Steps from an iteration on, and what happened between them and behind."""
    steps = [at for at, event in enumerate(events) if event[0] == "step"]
    first = next((at for at in steps if events[at][2] == iteration), steps[-1] + 1)
    while first and events[first - 1][0] != "step":
        first -= 1
    return [event for event in events[first:] if event[0] != "begin epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["threads", "processes"])
@pytest.mark.parametrize("iterations", [False, True], ids=["epochs", "iterations"])
def test_every_iteration_can_be_resumed_from(lake, tmp_path, iterations, mode):
    whole = run(lake, tmp_path / "whole", iterations=iterations, mode=mode)
    last = tmp_path / "whole" / "iter_9.pth"
    assert passes(rows_of(last), ROWS) == [list(range(ROWS))] * 3
    for step in range(1, 10):
        folder = tmp_path / f"from-{step}"
        resumed = run(
            lake, folder, start=tmp_path / "whole" / f"iter_{step}.pth", iterations=iterations, mode=mode
        )
        told = [event for event in resumed if event[0] != "begin epoch"]
        assert told == after(whole, step)
        if step < 9:
            assert_same_weights(last, folder / "iter_9.pth")
        shutil.rmtree(folder)


@pytest.mark.slow
def test_the_end_of_an_epoch_can_be_resumed_from(lake, tmp_path):
    at_ends = {"default_hooks.checkpoint.by_epoch": True}
    whole = run(lake, tmp_path / "whole", **at_ends)
    resumed = run(lake, tmp_path / "again", start=tmp_path / "whole" / "epoch_1.pth", **at_ends)
    assert resumed == whole[whole.index(("begin epoch", 1, 3)) :]
    assert_same_weights(tmp_path / "whole" / "epoch_3.pth", tmp_path / "again" / "epoch_3.pth")


def test_loader_mode_and_number_of_workers_may_change(lake, tmp_path):
    whole = run(lake, tmp_path / "whole", mode="threads", workers=2)
    for mode, workers in (("processes", 1), ("processes", 3), ("threads", 0), ("threads", 4)):
        start = tmp_path / "whole" / "iter_4.pth"
        folder = tmp_path / f"{mode}-{workers}"
        resumed = run(lake, folder, start=start, mode=mode, workers=workers)
        assert [event for event in resumed if event[0] != "begin epoch"] == after(whole, 4)
        assert_same_weights(tmp_path / "whole" / "iter_9.pth", folder / "iter_9.pth")


@pytest.mark.parametrize("size", [1, 3, 7, 20])
@pytest.mark.parametrize("iterations", [False, True], ids=["epochs", "iterations"])
def test_another_batch_size_splits_what_is_left(lake, tmp_path, iterations, size):
    run(lake, tmp_path / "whole", iterations=iterations)
    left = 20 + 6  # of three passes, after one batch of 4
    steps = -(-6 // size) + 2 * -(-ROWS // size)
    options: dict[str, Any] = {"train_dataloader.batch_size": size}
    if iterations:
        options["train_cfg.max_iters"] = 1 + steps
    resumed = run(
        lake, tmp_path / "other", start=tmp_path / "whole" / "iter_1.pth", iterations=iterations, **options
    )
    last = tmp_path / "other" / f"iter_{1 + steps}.pth"
    rows = rows_of(last)
    assert len(rows) == 4 + left
    assert passes(rows, ROWS) == [list(range(ROWS))] * 3
    assert rows[:4] == rows_of(tmp_path / "whole" / "iter_1.pth")
    taken = [event for event in resumed if event[0] == "step"]
    assert [event[2] for event in taken] == list(range(1, 1 + steps))
    if not iterations:
        first = [event for event in taken if event[1] == 0]
        assert [event[3] for event in first] == list(range(1, 1 + -(-6 // size)))
        assert {event[5] for event in first} == {1 + -(-6 // size)}  # the loader's length
        assert [event[1:] for event in resumed if event[0] == "validated"][-1] == (3, 1 + steps, float(ROWS))


def test_a_run_may_be_resumed_again_and_again(lake, tmp_path):
    whole = run(lake, tmp_path / "whole")
    folder = tmp_path / "torn"
    for stop in (2, 3, 5, 8):
        with pytest.raises(Stopped):
            run(
                lake, folder, start=True, custom_hooks=[{"type": "Diary"}, {"type": "Trouble", "at": stop}],
            )  # fmt: skip
    resumed = run(lake, folder, start=True)
    assert [event for event in resumed if event[0] != "begin epoch"] == after(whole, 8)
    assert_same_weights(tmp_path / "whole" / "iter_9.pth", folder / "iter_9.pth")


def test_gradients_that_wait_for_the_optimizer_are_not_lost(lake, tmp_path):
    waiting = {"optim_wrapper.accumulative_counts": 3}
    run(lake, tmp_path / "whole", **waiting)
    for step in (1, 2, 3, 4):
        run(lake, tmp_path / f"from-{step}", start=tmp_path / "whole" / f"iter_{step}.pth", **waiting)
        assert_same_weights(tmp_path / "whole" / "iter_9.pth", tmp_path / f"from-{step}" / "iter_9.pth")


def test_what_batch_augmentations_keep_is_restored(lake, tmp_path):
    resize = {"type": "BatchSyncRandomResize", "random_size_range": (32, 128), "interval": 4}
    augments = {
        "model.data_preprocessor.batch_augments": [{**resize, "type": "mmdet.BatchSyncRandomResize"}],
        "model.data_preprocessor.pad_size_divisor": 32,
    }
    whole = run(lake, tmp_path / "whole", **augments)
    sizes = set()
    for step in range(1, 9):
        start = tmp_path / "whole" / f"iter_{step}.pth"
        kept = torch.load(start, weights_only=False)["deeplake_mmdet"]["states"][0]["preprocessor"]
        sizes.add(kept[("batch_augments.0", "_input_size")])
        resumed = run(lake, tmp_path / f"from-{step}", start=start, **augments)
        assert [event for event in resumed if event[0] != "begin epoch"] == after(whole, step)
    assert len(sizes) > 1


def test_pipelines_are_switched_at_the_right_epoch(lake, tmp_path):
    from counting import PIPELINE

    other = [{**step, "scale": (32, 32)} if step["type"] == "Resize" else step for step in PIPELINE]
    switch = {"type": "mmdet.PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": other}
    hooks = {"custom_hooks": [{"type": "Diary"}, switch]}
    whole = run(lake, tmp_path / "whole", mode="processes", **hooks)
    assert whole != run(lake, tmp_path / "plain", mode="processes")
    for step in (2, 3, 4, 7):
        start = tmp_path / "whole" / f"iter_{step}.pth"
        resumed = run(lake, tmp_path / f"from-{step}", start=start, mode="processes", **hooks)
        assert [event for event in resumed if event[0] != "begin epoch"] == after(whole, step)
