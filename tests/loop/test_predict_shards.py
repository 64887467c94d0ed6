"""Shards of a prediction, merged, are the run that one command writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deeplake_mmdet import merge, predict
from deeplake_mmdet.cli import main
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.lake import Source, open_run, resolve, run_shards
from deeplake_mmdet.lake.source.pinning import handle_of

ROWS = 7


@pytest.fixture(scope="module")
def ready(tmp_path_factory, untrained_demo):
    folder = tmp_path_factory.mktemp("shards")
    cfg, model, _, (lake,) = untrained_demo(folder, [ROWS], score_thr=0.0001)
    checkpoint = folder / "epoch_1.pth"
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, checkpoint)
    return cfg, checkpoint, str(lake)


def contents(lake, run_id):
    run = open_run(lake, run_id)
    handle = handle_of(run.source, run.credentials)
    told = {key: value for key, value in run.metadata.items() if key not in ("run_id", "created")}
    return told, {
        column: [np.asarray(handle[column][row]).tolist() for row in range(len(handle))]
        for column in run.columns
    }


def shards(ready, run_id, count, which=None, **options):
    cfg, checkpoint, lake = ready
    for number in range(count) if which is None else which:
        predict(
            cfg,
            checkpoint,
            lake,
            write_back=True,
            run_id=run_id,
            shard=(number, count),
            keep=False,
            batch_size=1,
            **options,
        )


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("all", {"loss": True, "embed": True}, 3),
        ("more-than-rows", {}, ROWS + 2),
        ("some", {"query": "SELECT * WHERE width > 0 ORDER BY ROW_NUMBER() DESC"}, 2),
    ],
)
def test_merged_shards_are_one_run(ready, name, options, count):
    cfg, checkpoint, lake = ready
    predict(cfg, checkpoint, lake, write_back=True, run_id=f"{name}-1", keep=False, batch_size=1, **options)
    shards(ready, f"{name}-2", count, **options)
    done = merge(lake, run=f"{name}-2")
    assert done.branch == f"runs/{name}-2"
    assert done.rows == ROWS
    assert contents(lake, f"{name}-1") == contents(lake, f"{name}-2")
    assert run_shards(resolve(Source(lake))) == {}


def test_what_is_missing_or_another_models_is_refused(ready, tmp_path, capsys):
    cfg, checkpoint, lake = ready
    shards(ready, "x", 3, [1])
    with pytest.raises(ImportRefusedError, match="2 of 3 shards are missing: 0/3, 2/3"):
        merge(lake)
    with pytest.raises(ImportRefusedError, match="has shard 1/3 of this run already"):
        shards(ready, "x", 3, [1])
    shards(ready, "x", 3, [0])
    weights = torch.load(checkpoint, weights_only=True)
    weights["state_dict"] = {key: value * 1.5 for key, value in weights["state_dict"].items()}
    torch.save(weights, tmp_path / "other.pth")
    shards((cfg, tmp_path / "other.pth", lake), "x", 3, [2])
    with pytest.raises(ImportRefusedError, match="different checkpoint_hash"):
        merge(lake)
    shards(ready, "y", 2)
    with pytest.raises(ImportRefusedError, match=r"shards of the runs x, y.*name one"):
        merge(lake)
    with pytest.raises(ImportRefusedError, match="for run z"):
        merge(lake, run="z")
    assert main(["merge", lake, "--run", "y"]) == 0
    assert f"Merged 2 shards: {ROWS} rows on branch runs/y" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no shard 3/3"):
        shards(ready, "w", 3, [3])


def test_a_shard_without_a_lake(ready):
    cfg, checkpoint, lake = ready
    whole = predict(cfg, checkpoint, lake, batch_size=1)
    parts = [predict(cfg, checkpoint, lake, shard=f"{number}/2", batch_size=1) for number in range(2)]
    found = [one for part in parts for one in part.predictions]
    assert [one.index for one in found] == [one.index for one in whole.predictions] == list(range(ROWS))
    for one, other in zip(found, whole.predictions, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.scores, other.scores)
