"""``Config`` for old scripts: the file's shape, without secrets."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from mmengine.config import Config as MMEngineConfig

from deeplake_mmdet import Config, mkdir_or_exist
from deeplake_mmdet.config import convert_config
from deeplake_mmdet.errors import ConfigError, CredentialError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, is_handle

TOKEN = "canary-0123456789"
OLD = f"""
TOKEN = {TOKEN!r}
data = dict(
    samples_per_gpu=2,
    train=dict(type='CocoDataset', pipeline=[], deeplake_path='lake', deeplake_credentials=dict(token=TOKEN)),
    val=dict(type='CocoDataset', pipeline=[], deeplake_path='lake'))
model = dict(type='YOLOV3', bbox_head=dict(type='YOLOV3Head', num_classes=80))
optimizer = dict(type='SGD', lr=0.01)
runner = dict(type='EpochBasedRunner', max_epochs=1)
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.py"
    path.write_text(OLD)
    return path


def texts_of(cfg, folder):
    found = [cfg.pretty_text, cfg.text, repr(cfg), str(cfg), str(cfg.dump())]
    for name in ("dump.py", "dump.json", "dump.yaml"):
        cfg.dump(folder / name)
        found.append((folder / name).read_text())
    return "\n".join(found)


def test_the_shape_stays_and_the_script_can_change_it(old):
    cfg = Config.fromfile(old)
    assert isinstance(cfg, MMEngineConfig)
    cfg.model.bbox_head.num_classes = 3
    cfg.data.train.deeplake_path = "other"
    cfg.merge_from_dict({"data.samples_per_gpu": 8})
    converted, _ = convert_config(cfg)
    assert converted.model.bbox_head.num_classes == 3
    assert converted.train_dataloader.dataset.path == "other"
    assert converted.train_dataloader.batch_size == 8


def test_the_work_dir_has_a_default(old):
    assert Config.fromfile(old).work_dir == "./work_dirs/old"
    old.write_text(OLD + "work_dir = 'mine'\n")
    assert Config.fromfile(str(old)).work_dir == "mine"


def test_secrets_of_the_file_are_gone_and_still_work(old, tmp_path):
    cfg = Config.fromfile(old)
    assert "canary" not in texts_of(cfg, tmp_path)
    assert b"canary" not in pickle.dumps(cfg)
    assert "TOKEN" not in cfg
    assert is_handle(cfg.data.train.deeplake_credentials.token)
    converted, _ = convert_config(cfg)
    assert CredentialRef(converted.train_dataloader.dataset.credentials).resolve()[0] == TOKEN
    assert "canary" not in texts_of(converted, tmp_path)


BOTH = "dict(token=TOKEN, creds=dict(aws_secret_access_key='canary-key', endpoint_url='http://127.0.0.1:9'))"
KEYS = {"aws_secret_access_key": "canary-key", "endpoint_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("written", "change", "expected"),
    [
        ("dict(token=TOKEN)", {}, (TOKEN, {})),
        ("dict(token=TOKEN, creds=None)", {"token": "canary-new-1"}, ("canary-new-1", {})),
        ("dict(token=None)", {"token": "canary-new-1"}, ("canary-new-1", {})),
        (BOTH, {}, (TOKEN, KEYS)),
        (BOTH, {"token": "canary-new-1"}, ("canary-new-1", KEYS)),
        (BOTH, {"token": None}, ("canary-environment", KEYS)),
        (
            BOTH,
            {"creds": {"aws_secret_access_key": "canary-new-2"}},
            (TOKEN, {"aws_secret_access_key": "canary-new-2"}),
        ),
        (BOTH, {"creds": None}, (TOKEN, {})),
        (
            "dict(creds=dict(aws_secret_access_key='canary-key'))",
            {},
            ("canary-environment", {"aws_secret_access_key": "canary-key"}),
        ),
    ],
)
def test_a_script_can_change_credentials_entry_by_entry(
    old, tmp_path, monkeypatch, written, change, expected
):
    monkeypatch.setenv("ACTIVELOOP_TOKEN", "canary-environment")
    # Not as a variable: where nothing uses it, nobody knows that it is a secret.
    text = OLD.replace(f"TOKEN = {TOKEN!r}\n", "").replace("dict(token=TOKEN)", written)
    old.write_text(text.replace("TOKEN", repr(TOKEN)))
    cfg = Config.fromfile(old)
    for name, value in change.items():
        cfg.data.train.deeplake_credentials[name] = value
    assert "canary" not in texts_of(cfg, tmp_path)
    converted, _ = convert_config(cfg)
    assert CredentialRef(converted.train_dataloader.dataset.credentials).resolve() == expected
    assert "canary" not in texts_of(converted, tmp_path)


def test_secrets_that_the_script_sets_are_not_written_out_either(old, tmp_path):
    cfg = Config.fromfile(old)
    for value in ({"token": "canary-later-1"}, {"creds": {"aws_secret_access_key": "canary-later-2"}}):
        cfg.data.train.deeplake_credentials = value
        assert "canary" not in texts_of(cfg, tmp_path)
        assert "canary" not in texts_of(copy.deepcopy(cfg), tmp_path)
        assert cfg.data.train.deeplake_credentials == value
        assert "canary" not in texts_of(convert_config(cfg)[0], tmp_path)


def test_a_converted_config_does_not_carry_its_files_text(old, tmp_path):
    plain = MMEngineConfig.fromfile(old)
    converted, _ = convert_config(plain)
    assert "canary" not in texts_of(converted, tmp_path)
    assert b"canary" not in pickle.dumps(converted)


def test_a_config_without_secrets_reads_and_writes_as_with_mmengine(old, tmp_path):
    text = OLD.replace("dict(token=TOKEN)", "None").replace(f"TOKEN = {TOKEN!r}", "REMARK = 'none'")
    old.write_text(text + "work_dir = 'x'\n")
    ours, stock = Config.fromfile(old), MMEngineConfig.fromfile(old)
    assert ours.to_dict() == stock.to_dict()
    assert ours.text == stock.text
    assert ours.pretty_text == stock.pretty_text
    ours.dump(tmp_path / "dump.json")
    assert json.loads((tmp_path / "dump.json").read_text())["data"]["samples_per_gpu"] == 2


def test_a_config_for_3_keeps_its_shape_too(tmp_path):
    path = tmp_path / "new.py"
    path.write_text("train_dataloader = dict(batch_size=3)\noptim_wrapper = dict(type='OptimWrapper')\n")
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.work_dir == "./work_dirs/new"


def test_a_child_of_a_missing_base_has_the_old_shape(tmp_path):
    path = tmp_path / "child.py"
    path.write_text(
        "_base_ = '../mmdetection/configs/faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'\n"
        "model = dict(roi_head=dict(bbox_head=dict(num_classes=5)))\n"
    )
    cfg = Config.fromfile(path)
    assert cfg.data.samples_per_gpu == 2
    assert cfg.model.roi_head.bbox_head.num_classes == 5
    cfg.data.train.deeplake_path = "lake"
    assert convert_config(cfg)[0].train_dataloader.dataset.path == "lake"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("data = dict(\n", ConfigError, "SyntaxError"),
        (OLD + "optim_wrapper = dict()\nparam_scheduler = []\n", ConfigError, "half migrated"),
        ("default_scope = 'mmseg'\ntrain_dataloader = dict()\n", ConfigError, "mmsegmentation"),
        ("data = dict(train=dict(deeplake_credentials='canary'))", ConfigError, "must be a mapping"),
        (
            "data = dict(train=dict(deeplake_credentials=dict(username='canary', password='canary-x')))",
            CredentialError,
            "no longer takes",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(old, text, kind, words):
    old.write_text(text)
    with pytest.raises(kind, match=words) as caught:
        Config.fromfile(old)
    assert "canary" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"none\.py"):
        Config.fromfile(tmp_path / "none.py")


def test_folders_are_made(tmp_path):
    mkdir_or_exist(str(tmp_path / "a" / "b"))
    mkdir_or_exist(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_what_every_2x_config_had_is_there_when_a_script_asks_for_it(tmp_path):
    path = tmp_path / "child.py"
    path.write_text(
        "model = dict(type='YOLOV3')\noptimizer = dict(type='SGD', lr=0.1)\n"
        "data = dict(train=dict(deeplake_path='a'), val=dict(deeplake_path='b'),"
        " test=dict(type='CocoDataset', ann_file='c.json'))\n"
    )
    cfg = Config.fromfile(path)
    before = cfg.to_dict()
    assert len(cfg.workflow) == 1
    assert (cfg.load_from, cfg.resume_from, cfg.log_level) == (None, None, "INFO")
    assert cfg.dist_params == {"backend": "nccl"}
    cfg.checkpoint_config.meta = {"epoch": 1}
    assert cfg.checkpoint_config.meta == {"epoch": 1}
    cfg.data.val.deeplake_path = "other"
    assert cfg.data.test.deeplake_path == "other"
    assert Config.fromfile(path).to_dict() == before
    with pytest.raises(AttributeError, match="no_such_key"):
        _ = cfg.no_such_key
