"""The one order of what is done to a config, from whichever door it comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from deeplake_mmdet import Config as OldConfig
from deeplake_mmdet import convert, convert_config, load_config
from deeplake_mmdet.config import take_in, take_in_with_notes
from deeplake_mmdet.errors import ConfigError, CredentialError
from deeplake_mmdet.lake import CredentialRef, is_handle

TOKEN = "canary-token-0123456789"
LAKE = "deeplake_mmdet.DeepLakeDataset"
OLD = f"""
token = '{TOKEN}'
data = dict(samples_per_gpu=2, train=dict(
    deeplake_path='s3://bucket/lake', deeplake_credentials=dict(token=token),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
              dict(type='DefaultFormatBundle'),
              dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]))
total_epochs = 2
"""
# Beside a secret that no door takes, each of these is wrong as well.
WRONG = {
    "toolbox": "default_scope = 'mmseg'\n",
    "shape": "data = dict(train=[3])\ntotal_epochs = 1\n",
    "conversion": "data = dict(train=dict(deeplake_pth='x'))\ntotal_epochs = 1\n",
    "paths": "data = dict(train=dict(type='CocoDataset', ann_file='al://org/lake'))\ntotal_epochs = 1\n",
}


def doors(path: Path):
    """All ways in, as functions without arguments."""
    yield lambda: load_config(path)
    yield lambda: take_in(Config.fromfile(str(path)))
    yield lambda: convert_config(Config.fromfile(str(path)))
    yield lambda: convert(path)


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "config.py"
        path.write_text(text)
        return path

    return make


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_secrets_come_first_then_what_is_wrong_is_told_by_every_door(write, text):
    for door in doors(write(text + f"model = dict(type='A', api_key='{TOKEN}')\n")):
        with pytest.raises(CredentialError, match=r"model\.api_key") as refused:
            door()
        assert TOKEN not in str(refused.value)
    told = set()
    for door in doors(write(text)):
        with pytest.raises(ConfigError) as caught:
            door()
        told.add((caught.value.what, caught.value.where))
    assert len(told) == 1


def test_every_door_makes_the_same_of_an_old_config(write):
    path = write(OLD)
    contents = [
        load_config(path).to_dict(),
        take_in(OldConfig.fromfile(path)).to_dict(),
        convert_config(Config.fromfile(str(path)))[0].to_dict(),
    ]
    contents[1].pop("work_dir")  # which 2.x's scripts find set
    handles = [content["train_dataloader"]["dataset"].pop("credentials") for content in contents]
    assert contents[0] == contents[1] == contents[2]
    assert all(map(is_handle, handles))
    assert {CredentialRef(handle).resolve()[0] for handle in handles} == {TOKEN}
    assert TOKEN not in load_config(path).text


def test_options_of_either_version_may_bring_secrets_of_lakes(write):
    options = {"train_dataloader.dataset.credentials": {"token": TOKEN[::-1]}, "data.samples_per_gpu": 7}
    cfg = load_config(write(OLD.replace("dict(token=token)", "None")), options)
    assert cfg.train_dataloader.batch_size == 7
    assert CredentialRef(cfg.train_dataloader.dataset.credentials).resolve()[0] == TOKEN[::-1]
    assert TOKEN[::-1] not in cfg.text + cfg.pretty_text
    with pytest.raises(CredentialError, match="visualizer"):
        load_config(write(OLD), {"visualizer": {"api_key": TOKEN}})


@pytest.mark.parametrize("text", [OLD, f"train_dataloader = dict(dataset=dict(type='{LAKE}', path='a'))\n"])
def test_what_is_given_beside_a_config_is_looked_at_like_its_own(write, text):
    def give(path):
        def put(content):
            content["train_dataloader"]["dataset"]["path"] = path

        return take_in_with_notes(Config.fromfile(str(write(text))), given=put)

    assert give("s3://bucket/other")[0].train_dataloader.dataset.path == "s3://bucket/other"
    with pytest.raises(CredentialError, match=r"train_dataloader\.dataset\.path"):
        give("https://me:secret-of-mine@host/lake")
    (write("").parent / "a.json").write_text("{}")
    with pytest.raises(ConfigError, match="a file of annotations"):
        give(str(write("").parent / "a.json"))


def test_a_path_that_is_given_otherwise_is_not_looked_at(write):
    """The config alone would be refused."""
    text = "train_dataloader = dict(dataset=dict(type='CocoDataset', ann_file='al://org/lake'))\n"
    cfg = Config.fromfile(str(write(text)))
    with pytest.raises(ConfigError, match="there is a lake"):
        take_in(cfg)

    def put(content):
        content["train_dataloader"]["dataset"] = {"type": LAKE, "path": "al://org/lake"}

    assert take_in_with_notes(cfg, given=put)[0].train_dataloader.dataset.type == LAKE


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("train_dataloader = [1]\n", "train_dataloader"),
        ("val_dataloader = 'x'\n", "val_dataloader"),
        (
            f"train_cfg = 'x'\ntotal_epochs = 3\ntrain_dataloader = dict(dataset=dict(type='{LAKE}'))\n",
            "train_cfg",
        ),
        ("custom_hooks = 3\n", "custom_hooks"),
        ("custom_hooks = 3\ndata = dict()\n", "custom_hooks"),
        ("optim_wrapper = 'SGD'\n", "optim_wrapper"),
        ("model = 'x'\n", "model"),
    ],
)
def test_parts_of_a_3x_config_of_the_wrong_shape_are_named_by_every_door(write, text, key):
    for door in doors(write(text)):
        with pytest.raises(ConfigError, match="must be a") as caught:
            door()
        assert f"'{key}'" in caught.value.where


def test_a_teachers_secrets_are_taken_out_too(write, tmp_path):
    (tmp_path / "teacher.py").write_text(f"model = dict(type='A', init_cfg=dict(api_key='{TOKEN}'))\n")
    path = write("model = dict(type='B', teacher_config='teacher.py')\n")
    with pytest.raises(CredentialError, match="api_key"):
        load_config(path)
