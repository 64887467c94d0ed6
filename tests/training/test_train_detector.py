"""The old integration's functions, on 2.x and 3.x configs over small lakes."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from old_configs import NORM, old_config, old_model

import deeplake_mmdet
from deeplake_mmdet import build_detector, train_detector
from deeplake_mmdet.config import Config as OldConfig
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ConfigError


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=8, seed=seed)
    return {name: str(folder / name) for name in ("train", "val")}


@pytest.fixture
def cfg(lakes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Config(old_config(lakes["train"], lakes["val"]))


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_2x_detector_is_built_and_trained_with_its_pipelines_normalisation(cfg, tmp_path):
    before = copy.deepcopy(cfg.to_dict())
    model = build_detector(cfg.model)
    run = train_detector(model, cfg)
    assert cfg.to_dict() == before
    assert type(model.data_preprocessor).__name__ == "DetDataPreprocessor"
    assert model.data_preprocessor.mean.flatten().tolist() == NORM["mean"]
    assert model.data_preprocessor._channel_conversion
    assert run.work_dir.resolve() == tmp_path / "work_dirs" / "run"
    assert "coco/bbox_mAP" in run.metrics
    assert run.last_checkpoint.name == "epoch_1.pth"
    assert tuple(model.CLASSES) == tuple(model.dataset_meta["classes"]) == CLASS_NAMES


def test_a_3x_detector_keeps_its_own_preprocessor(lakes, tmp_path):
    cfg = demo_config(
        lakes["train"], lakes["val"], CLASS_NAMES, str(tmp_path), epochs=1, scale=(64, 64), num_workers=0
    )
    cfg.train_cfg.val_interval = 1
    before = cfg.pretty_text
    model = build_detector(cfg.model)
    own = model.data_preprocessor
    run = train_detector(model, cfg)
    assert model.data_preprocessor is own
    assert cfg.pretty_text == before
    assert run.last_checkpoint is not None
    assert "coco/bbox_mAP" in run.metrics


def test_timestamp_names_log_and_scalars_alike(cfg, tmp_path):
    train_detector(build_detector(cfg.model), cfg, timestamp="monday", validate=False)
    names = {path.name for path in (tmp_path / "work_dirs" / "run").rglob("monday*")}
    assert {"monday.log", "monday.json", "monday.py"} <= names
    with pytest.raises(ConfigError, match="part of a file's name"):
        train_detector(build_detector(cfg.model), cfg, timestamp="a/b")


def test_meta_goes_into_checkpoints_but_replaces_nothing(cfg):
    run = train_detector(build_detector(cfg.model), cfg, meta={"remark": "mine", "epoch": 99}, validate=False)
    meta = torch.load(run.last_checkpoint, weights_only=False)["meta"]
    assert (meta["remark"], meta["epoch"]) == ("mine", 1)


def test_secrets_in_config_and_meta_stay_in_the_process(lakes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = old_config(lakes["train"], lakes["val"])
    content["TOKEN"] = token = "canary-4711-4711"
    for split in ("train", "val"):
        credentials = {"username": None, "password": None, "token": token, "creds": None}
        content["data"][split]["deeplake_credentials"] = credentials
    cfg = Config(content)
    train_detector(build_detector(cfg.model), cfg, meta={"config": cfg.pretty_text, "TOKEN": token})
    found = [path for path in tmp_path.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    assert found == []


def test_without_validation_no_val_section_is_needed(lakes, cfg):
    cfg = Config(old_config(lakes["train"], None))
    run = train_detector(build_detector(cfg.model), cfg, validate=False)
    assert run.metrics == {}
    with pytest.raises(ConfigError, match="nothing to validate on"):
        train_detector(build_detector(cfg.model), cfg)


def test_two_runs_in_one_second_share_nothing(lakes, cfg, tmp_path):
    """MMEngine keeps loggers and metrics of a process by the config's name and the second of the start."""
    first = train_detector(build_detector(cfg.model), cfg, validate=True, timestamp="20260101_000000")
    assert first.metrics
    second = Config(old_config(lakes["train"], None))
    second.work_dir = str(tmp_path / "second")
    run = train_detector(build_detector(second.model), second, validate=False, timestamp="20260101_000000")
    assert run.metrics == {}
    (log,) = (tmp_path / "second").rglob("20260101_000000.log")
    assert "Epoch(train)" in log.read_text()


def test_loaded_weights_are_trained_on_and_others_are_initialised_once(cfg, capsys):
    cfg.optimizer.lr = 0.0
    cfg.model.backbone.norm_eval = True
    model = build_detector(cfg.model)
    fresh = weights_of(model)
    train_detector(model, cfg, validate=False)
    assert not torch.equal(fresh["bbox_head.convs_pred.0.weight"], model.bbox_head.convs_pred[0].weight)
    again = build_detector(cfg.model)
    again.load_state_dict(model.state_dict())
    train_detector(again, cfg, validate=False)
    for (name, old), new in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(old, new), name
    assert "more than once" not in capsys.readouterr().out


@pytest.mark.parametrize("wrap", [ConfigDict, dict])
def test_the_config_may_be_a_plain_mapping(lakes, cfg, wrap):
    given = wrap(old_config(lakes["train"], None))
    assert train_detector(build_detector(given["model"]), given, validate=False).last_checkpoint


def test_the_config_may_be_a_file_or_a_scripts_config(lakes, cfg, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(cfg.pretty_text)
    run = train_detector(build_detector(cfg.model), file, validate=False)
    assert run.work_dir.resolve() == tmp_path / "work_dirs" / "mine"
    loaded = OldConfig.fromfile(file)
    loaded.data.train.deeplake_path = "/nowhere"
    with pytest.raises(FileNotFoundError, match="nothing at this path"):
        train_detector(build_detector(loaded.model), loaded, validate=False)


def test_the_second_positional_argument_is_the_config_and_the_last_is_validate(lakes, cfg):
    run = train_detector(build_detector(cfg.model), cfg, None, None, None, None, False, None, None, False)
    assert run.metrics == {}


def test_a_wrong_number_of_classes_is_told_before_training(cfg):
    cfg.model.bbox_head.num_classes = 3
    with pytest.raises(ConfigError, match=r"predicts 3 classes, and the data of train has 5 \(ball") as error:
        train_detector(build_detector(cfg.model), cfg)
    assert "model.bbox_head.num_classes" in str(error.value)


def test_2x_beside_the_model(cfg):
    model = old_model()
    train_cfg, test_cfg = model.pop("train_cfg"), model.pop("test_cfg")
    built = build_detector(model, train_cfg=train_cfg, test_cfg=test_cfg)
    assert built.test_cfg.nms_pre == 100
    with pytest.raises(ConfigError, match="stands both"):
        build_detector(old_model(), train_cfg=train_cfg)


def test_what_is_no_model_is_refused(cfg):
    with pytest.raises(ConfigError, match=r"pass cfg\.model, not cfg"):
        build_detector(cfg)
    with pytest.raises(ConfigError, match=r"pass cfg\.model"):
        build_detector({})


def test_a_built_2x_detector_is_tested_with_its_pipelines_normalisation(cfg, tmp_path):
    cfg.data.test = cfg.data.val
    trained = build_detector(cfg.model)
    run = train_detector(trained, cfg)
    model = build_detector(cfg.model)
    tested = deeplake_mmdet.test_detector(model, cfg, run.last_checkpoint)
    for key, value in run.metrics.items():
        assert tested.metrics[key] == pytest.approx(value, abs=1e-12, nan_ok=True), key


def test_scalars_are_written_for_every_iteration(cfg):
    run = train_detector(build_detector(cfg.model), cfg, timestamp="t2")
    lines = [json.loads(line) for line in Path(next(run.work_dir.rglob("t2.json"))).read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert any("coco/bbox_mAP" in line for line in lines)


def test_nothing_to_train_on_is_told(lakes, cfg):
    bare = Config(old_config(None, lakes["val"]))
    for run in (lambda: train_detector(build_detector(bare.model), bare), lambda: deeplake_mmdet.train(bare)):
        with pytest.raises(ConfigError, match="nothing to train on"):
            run()
