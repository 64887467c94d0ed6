"""`predict(write_back=True)` with a real detector: what is in the lake is what it predicts, and goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate

from deeplake_mmdet import predict
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.lake import Source, open_run
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.loop.run_spool import RunSpool

ROWS = 6


@pytest.fixture
def ready(tmp_path, untrained_demo):
    cfg, model, _, (lake,) = untrained_demo(tmp_path, [ROWS], score_thr=0.0001)
    checkpoint = tmp_path / "epoch_1.pth"
    meta = {"dataset_meta": {"classes": tuple(CLASS_NAMES)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, checkpoint)
    return cfg, checkpoint, str(lake), model


def cells(lake, run_id, column):
    run = open_run(lake, run_id)
    handle = handle_of(run.source, run.credentials)
    return [np.asarray(handle[column][row]) for row in range(len(handle))]


def test_what_is_predicted_is_in_the_lake(ready):
    cfg, checkpoint, lake, _ = ready
    before = resolve(Source(lake))
    found = predict(cfg, checkpoint, lake, write_back=True, keep=True)
    assert found.branch
    assert found.branch.startswith("runs/")
    assert resolve(Source(lake)) == before
    run_id = found.branch.removeprefix("runs/")
    for row, (one, scores) in enumerate(
        zip(found.predictions, cells(lake, run_id, "pred/scores"), strict=True)
    ):
        assert one.index == row
        assert np.array_equal(one.scores, scores)
    run = open_run(lake, run_id)
    assert run.metadata["base"] == {"branch": "main", "version": before.version}
    assert run.metadata["classes"] == list(CLASS_NAMES)
    with pytest.raises(ImportRefusedError, match="has this run already"):
        predict(cfg, checkpoint, lake, write_back=True)


def test_an_interrupted_command_goes_on(ready, monkeypatch):
    cfg, checkpoint, lake, _ = ready
    calls = []
    add = RunSpool.add

    def interrupted(self, predictions):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(predictions))
        add(self, predictions)

    options = {"write_back": True, "batch_size": 2, "keep": False}
    with monkeypatch.context() as patch:
        patch.setattr(RunSpool, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            predict(cfg, checkpoint, lake, run_id="torn", **options)
    assert calls == [2, 2]
    again = predict(cfg, checkpoint, lake, run_id="torn", **options)
    assert again.images == ROWS - 4
    predict(cfg, checkpoint, lake, run_id="whole", **options)
    for column in ("pred/scores", "pred/boxes", "pred/tp", "pred/ap50"):
        pairs = zip(cells(lake, "torn", column), cells(lake, "whole", column), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.slow
def test_two_processes_write_what_one_does(ready):
    cfg, checkpoint, lake, _ = ready
    for run_id, processes in (("one", None), ("two", 2)):
        predict(
            cfg,
            checkpoint,
            lake,
            write_back=True,
            run_id=run_id,
            processes=processes,
            batch_size=1,
            keep=False,
        )
    for column in ("pred/scores", "pred/boxes", "pred/tp"):
        pairs = zip(cells(lake, "one", column), cells(lake, "two", column), strict=True)
        assert all(np.allclose(one, other, atol=1e-5) for one, other in pairs)


def test_loss_and_embedding_are_the_models_own(ready):
    cfg, checkpoint, lake, model = ready
    predict(
        cfg, checkpoint, lake, write_back=True, run_id="more", loss=True, embed=True, keep=False, batch_size=1
    )
    node = cfg.test_dataloader.dataset.to_dict()
    steps = [step for step in node["pipeline"] if step["type"] != "LoadAnnotations"]
    node["pipeline"] = [steps[0], {"type": "LoadAnnotations", "with_bbox": True}, *steps[1:]]
    dataset = DATASETS.build(node)
    model.eval()
    for row in range(ROWS):
        with torch.no_grad():
            batch = model.data_preprocessor(pseudo_collate([dataset[row]]), False)
            loss = model.parse_losses(model(**batch, mode="loss"))[0].item()
            embedding = model.backbone(batch["inputs"])[-1].mean((2, 3))[0].numpy()
        assert cells(lake, "more", "pred/loss")[row] == pytest.approx(loss, rel=1e-4)
        np.testing.assert_allclose(
            cells(lake, "more", "pred/embedding")[row], embedding, rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"loss": True}, "nothing is"),
        ({"write_back": True, "run_id": "a/b"}, "cannot have this id"),
    ],
)
def test_options_that_mean_nothing_are_refused_first(ready, options, match):
    cfg, checkpoint, lake, _ = ready
    with pytest.raises(ConfigError, match=match):
        predict(cfg, checkpoint, lake, **options)


def test_files_cannot_take_predictions_back(ready, tmp_path):
    cfg, checkpoint, _, _ = ready
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ConfigError, match="name a lake"):
        predict(cfg, checkpoint, tmp_path / "photos", write_back=True)
