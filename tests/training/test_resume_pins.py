"""What a checkpoint is pinned to: resuming on other data is refused unless asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from counting import Diary, passes, recording_config, rows_of

from deeplake_mmdet import train
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError

ROWS = 10
LAKE = "train_dataloader.dataset"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A lake, and a run on it."""
    folder = tmp_path_factory.mktemp("ended")
    write_demo_lake(folder / "lake", count=ROWS, seed=0)
    train(recording_config(str(folder / "lake"), folder / "run"))
    return {"lake": str(folder / "lake"), "run": folder / "run", "middle": folder / "run" / "iter_4.pth"}


@pytest.fixture
def newer_lake(ended: dict[str, Any], tmp_path: Path) -> str:
    """A copy of the lake to which a version was added that changes nothing."""
    import deeplake

    copy = tmp_path / "newer"
    shutil.copytree(ended["lake"], copy)
    lake = deeplake.open(str(copy))
    lake["labels"][0] = lake["labels"][0]
    lake.commit("a new version")
    return str(copy)


def resume(ended: dict[str, Any], folder: Path, lake: str | None = None, **options: Any) -> Path:
    cfg = recording_config(lake or ended["lake"], folder, **options)
    train(cfg, resume=ended["middle"])
    return folder / "iter_9.pth"


OTHERS = {
    "query": ({f"{LAKE}.query": "SELECT * ORDER BY ROW_NUMBER() DESC"}, "is read through another query"),
    "length": ({f"{LAKE}.indices": 8}, "the dataset has 8 samples, had 10"),
    "rows": ({f"{LAKE}.indices": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]}, "gives other rows to training"),
    "seed": ({"randomness.seed": 4}, "the seed is 4, was 3"),
    "shuffling": (
        {"fast_loader": {"_delete_": True, "mode": "threads", "shuffle": "chunk"}},
        "shuffle is 'chunk', was 'full'",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_data_or_another_order_is_refused(ended, tmp_path, case):
    options, words = OTHERS[case]
    with pytest.raises(ConfigError, match=words) as caught:
        resume(ended, tmp_path / "run", **options)
    assert "resume_anyway" in str(caught.value)
    assert not list((tmp_path / "run").glob("*.pth"))
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.slow
def test_another_version_is_refused_unless_asked_for(ended, newer_lake, tmp_path):
    with pytest.raises(ConfigError, match="is at another version") as caught:
        resume(ended, tmp_path / "refused", newer_lake)
    old = json.loads((ended["run"] / "run.json").read_text())["starts"][0]["lakes"][0]["version"]
    assert f"commit={old!r}" in str(caught.value)
    pinned = resume(ended, tmp_path / "pinned", newer_lake, **{f"{LAKE}.commit": old})
    assert rows_of(pinned) == rows_of(ended["run"] / "iter_9.pth")
    resume(ended, tmp_path / "asked", newer_lake, resume_anyway=True)
    rows = rows_of(tmp_path / "asked" / "iter_10.pth")
    # one pass, the batch of the second that the checkpoint holds, then the second anew, and the third
    assert len(rows) == ROWS + 4 + 2 * ROWS
    assert passes(rows[ROWS + 4 :], ROWS) == [list(range(ROWS))] * 2
    saved = torch.load(tmp_path / "asked" / "iter_10.pth", weights_only=False)["deeplake_mmdet"]
    assert saved["pins"]["lakes"][0]["url"] == newer_lake


def test_a_copy_of_the_lake_is_the_same_lake(ended, tmp_path):
    shutil.copytree(ended["lake"], tmp_path / "copy")
    last = resume(ended, tmp_path / "run", str(tmp_path / "copy"))
    assert rows_of(last) == rows_of(ended["run"] / "iter_9.pth")


def test_a_copy_that_went_its_own_way_is_another_lake(tmp_path: Path) -> None:
    """Its address, lake id, branch and version are those that the checkpoint names."""
    import deeplake

    write_demo_lake(tmp_path / "lake", count=ROWS, seed=0)
    shutil.copytree(tmp_path / "lake", tmp_path / "backup")
    for name in ("lake", "backup"):
        lake = deeplake.open(str(tmp_path / name))
        lake["labels"][0] = lake["labels"][0]
        lake.commit("the same words")
    train(recording_config(str(tmp_path / "lake"), tmp_path / "run"))
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "backup").rename(tmp_path / "lake")
    again = recording_config(str(tmp_path / "lake"), tmp_path / "again")
    with pytest.raises(ConfigError, match="holds other data at the same version"):
        train(again, resume=tmp_path / "run" / "iter_4.pth")


def test_a_checkpoint_that_knows_versions_only_is_taken_with_a_note(ended, tmp_path):
    """Those of earlier versions of this package tell nothing else."""
    older = torch.load(ended["middle"], weights_only=False)
    for lake in older["deeplake_mmdet"]["pins"]["lakes"]:
        del lake["contents"]
    torch.save(older, tmp_path / "older.pth")
    train(recording_config(ended["lake"], tmp_path / "run"), resume=tmp_path / "older.pth")
    assert rows_of(tmp_path / "run" / "iter_9.pth") == rows_of(ended["run"] / "iter_9.pth")
    (log,) = (tmp_path / "run").glob("*/*.log")
    assert "does not say what data" in log.read_text()


def test_a_view_goes_on_in_the_order_of_an_earlier_version(ended, tmp_path):
    """Which shuffled views by blocks of neighbours, and recorded nothing of that."""

    def config(folder):
        loader = {"_delete_": True, "mode": "threads", "shuffle": "chunk"}
        query = {f"{LAKE}.query": "SELECT * WHERE ROW_NUMBER() != 3"}
        return recording_config(ended["lake"], folder, fast_loader=loader, **query)

    train(config(tmp_path / "first"))
    older = torch.load(tmp_path / "first" / "iter_4.pth", weights_only=False)
    assert older["deeplake_mmdet"]["pins"]["order"].pop("views") == "chunks of the lake"
    torch.save(older, tmp_path / "older.pth")
    train(config(tmp_path / "run"), resume=tmp_path / "older.pth")
    newer = torch.load(tmp_path / "run" / "iter_6.pth", weights_only=False)
    assert newer["deeplake_mmdet"]["pins"]["order"]["views"] is None


def test_a_checkpoint_of_the_other_loop_is_refused(ended, tmp_path):
    with pytest.raises(ConfigError, match="the loop is IterTrainLoop, was EpochTrainLoop"):
        resume(ended, tmp_path / "run", iterations=True)


def test_without_a_seed_the_order_goes_on(ended, tmp_path):
    free = recording_config(ended["lake"], tmp_path / "free")
    free.pop("randomness")
    train(free)
    again = recording_config(ended["lake"], tmp_path / "again")
    again.pop("randomness")
    train(again, resume=tmp_path / "free" / "iter_5.pth")
    assert rows_of(tmp_path / "again" / "iter_9.pth") == rows_of(tmp_path / "free" / "iter_9.pth")
    starts = json.loads((tmp_path / "again" / "run.json").read_text())["starts"]
    assert starts[0]["seed"] == json.loads((tmp_path / "free" / "run.json").read_text())["starts"][0]["seed"]


@pytest.mark.parametrize("iterations", [False, True])
def test_a_stock_checkpoint_is_resumed_as_mmengine_does(ended, tmp_path, iterations):
    train(recording_config(ended["lake"], tmp_path / "whole", iterations=iterations))
    stock = torch.load(tmp_path / "whole" / "iter_4.pth", weights_only=False)
    del stock["deeplake_mmdet"]
    torch.save(stock, tmp_path / "stock.pth")
    train(
        recording_config(ended["lake"], tmp_path / "run", iterations=iterations),
        resume=tmp_path / "stock.pth",
    )
    steps = [event[1:4] for event in Diary.events[str(tmp_path / "run")] if event[0] == "step"]
    if iterations:  # MMEngine skips what has been used; here without reading it
        rows = rows_of(tmp_path / "run" / "iter_9.pth")
        assert rows == rows_of(tmp_path / "whole" / "iter_9.pth")
        assert steps == [(0, number, number) for number in range(4, 9)]
    else:  # MMEngine begins the epoch anew
        assert steps == [(1, 4, 0), (1, 5, 1), (1, 6, 2), (2, 7, 0), (2, 8, 1), (2, 9, 2)]


@pytest.mark.parametrize("iterations", [False, True])
def test_stock_loaders_are_resumed_as_mmengine_does(ended, tmp_path, iterations):
    stock = {"iterations": iterations, "mode": "off", "workers": 0}
    train(recording_config(ended["lake"], tmp_path / "whole", **stock))
    for step in (3, 4):
        folder = tmp_path / f"from-{step}"
        train(
            recording_config(ended["lake"], folder, **stock), resume=tmp_path / "whole" / f"iter_{step}.pth"
        )
        steps = [event[2] for event in Diary.events[str(folder)] if event[0] == "step"]
        assert steps[0] == step
        again = 0 if iterations else {3: 3, 4: 1}[step]  # MMEngine begins an unfinished epoch anew
        assert len(steps) == 9 - step + again


def test_the_record_and_every_checkpoint_name_the_pinned_lake(ended):
    lake = ended["lake"]
    (start,) = json.loads((ended["run"] / "run.json").read_text())["starts"]
    assert start["lakes"][0]["url"] == lake
    assert start["lakes"][0]["version"]
    assert start["lakes"][0]["rows"] == ROWS
    assert start["seed"] == 3
    assert start["loader"] == {"mode": "threads", "workers": 2, "batch_size": 4}
    assert {"torch", "deeplake", "deeplake-mmdet", "onedl-mmdetection"} <= set(start["packages"])
    for path in ended["run"].glob("iter_*.pth"):
        state = torch.load(path, weights_only=False)["deeplake_mmdet"]
        assert state["pins"]["lakes"] == start["lakes"]
        assert (state["batch_size"], state["ranks"]) == (4, 1)


def test_the_record_tells_of_every_start(ended, tmp_path):
    shutil.copytree(ended["run"], tmp_path / "run")
    train(recording_config(ended["lake"], tmp_path / "run"), resume=tmp_path / "run" / "iter_5.pth")
    starts = json.loads((tmp_path / "run" / "run.json").read_text())["starts"]
    assert [start["resumed_from"] for start in starts] == [None, {"epoch": 1, "iter": 5}]
