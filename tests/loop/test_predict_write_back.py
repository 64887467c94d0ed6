"""`predict(write_back=True)` with a real detector: what is in the lake is what it predicts, and goes on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config

from deeplake_mmdet import predict
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.lake import Source, open_run, open_view
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.loop import extras
from deeplake_mmdet.loop.spool import Spool

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
    add = Spool.add

    def interrupted(self, predictions):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(predictions))
        add(self, predictions)

    options = {"write_back": True, "batch_size": 2, "keep": False}
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "add", interrupted)
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
    "name", ["mask_rcnn/mask-rcnn_r50_fpn_1x_coco", "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"]
)
def test_the_loss_of_models_with_masks_is_their_own(name, nuts_lake, untrained_demo, tmp_path):
    """As a training with masks would have it, drawn from the same seed."""
    lake = tmp_path / "nuts"
    shutil.copytree(nuts_lake, lake)
    load, resize, pad, pack = (
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": (160, 128), "keep_ratio": True},
        {"type": "Pad", "size": (160, 160)},
        {"type": "PackDetInputs", "meta_keys": ("img_path", "ori_shape", "img_shape", "scale_factor")},
    )
    dataset = {"type": "deeplake_mmdet.DeepLakeDataset", "path": str(lake), "test_mode": True}
    dataset["pipeline"] = [load, resize, pad, pack]
    cfg = get_config(f"mmdet::{name}.py")
    heads = cfg.model.get("roi_head") or {"bbox_head": cfg.model.bbox_head}
    for head in ("bbox_head", "mask_head"):
        if head in heads:
            heads[head].num_classes = 3
    cfg.model.backbone.init_cfg = None
    if "roi_head" in cfg.model:  # as small as it goes
        cfg.model.backbone.depth, cfg.model.neck.in_channels = 18, [64, 128, 256, 512]
        for part in (cfg.model.train_cfg.rpn_proposal, cfg.model.test_cfg.rpn):
            part.update(nms_pre=100, max_per_img=50)
    cfg.test_dataloader = {"batch_size": 2, "num_workers": 0, "dataset": dataset}
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        cfg[key] = None
    cfg.custom_hooks = []
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    meta = {"dataset_meta": {"classes": open_view(Source(str(lake))).classes}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, tmp_path / "weights.pth")
    predict(
        cfg, tmp_path / "weights.pth", lake, limit=2, write_back=True, run_id="masks", loss=True, keep=False
    )  # fmt: skip
    with_truth = [load, {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}, resize, pad, pack]
    rows = DATASETS.build({**dataset, "pipeline": with_truth})
    for row in range(2):
        batch = model.data_preprocessor(pseudo_collate([rows[row]]), True)
        assert len(batch["data_samples"][0].gt_instances.masks) == len(
            rows.view.table.boxes[rows.view.table.span(row)]
        )
        torch.manual_seed(row)
        with torch.no_grad():
            loss = model.parse_losses(model(**batch, mode="loss"))[0].item()
        assert cells(lake, "masks", "pred/loss")[row] == pytest.approx(loss, rel=1e-3)


def test_the_loss_of_a_model_with_masks_needs_masks(ready, monkeypatch):
    cfg, checkpoint, lake, _ = ready
    monkeypatch.setattr(extras, "predicts_masks", lambda model: True)
    with pytest.raises(ConfigError, match=r"the lake has none[\s\S]*import the lake with segmentations"):
        predict(cfg, checkpoint, lake, write_back=True, loss=True, keep=False)


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
