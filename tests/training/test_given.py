"""Opened datasets and column names given to train_detector: they win over the config."""

from __future__ import annotations

import re

import deeplake
import numpy as np
import pytest
from deeplake import types
from mmengine.config import Config
from old_configs import innermost, old_config

from deeplake_mmdet import DeepLakeDataset, build_detector, train_detector
from deeplake_mmdet.demo.config import demo_config
from deeplake_mmdet.demo.drawing import CLASS_NAMES, demo_images
from deeplake_mmdet.demo.lakes import write_demo_lake
from deeplake_mmdet.errors import ColumnError, ConfigError
from deeplake_mmdet.lake import settings_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lakes")
    for seed, name in enumerate(("train", "val")):
        write_demo_lake(folder / name, count=8, seed=seed)
    return folder


def row_of(encoded, scene):
    labels = scene.labels.astype(np.uint32)
    return {"photo": [encoded], "right": [scene.boxes.astype(np.float64)], "kinds": [labels]}


def write_lake(path, count=4, extra=True):
    """With two columns for boxes and labels each: one of them is right."""
    boxes = types.BoundingBox("float64", format="ltrb", bbox_type="pixel")
    labels = types.ClassLabel(types.Array("uint32", 1))
    schema = {"photo": types.Image(sample_compression="jpeg"), "right": boxes, "kinds": labels}
    more = {"wrong": [np.zeros((0, 4))], "others": [np.zeros(0, np.uint32)]} if extra else {}
    lake = deeplake.create(str(path), schema=schema | ({"wrong": boxes, "others": labels} if extra else {}))
    for encoded, scene in demo_images(count, seed=1):
        lake.append(row_of(encoded, scene) | more)
    for name in ("kinds", "others")[: 1 + extra]:
        lake[name].metadata["class_names"] = list(CLASS_NAMES)
    lake.commit("rows")
    return lake


def trained_on(capsys):
    """Lakes and numbers of images that the log tells of."""
    text = re.sub(r"\s+", " ", capsys.readouterr().err)
    return re.findall(r"(\S+) \(branch [^:]*\): (\d+) images", text)


def saved_config(run):
    return Config.fromfile(max(run.work_dir.glob("*.py"), key=lambda path: path.stat().st_mtime))


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A 2.x config that names no data."""
    monkeypatch.chdir(tmp_path)
    return Config(old_config(None, None))


def test_a_dataset_and_a_view_in_place_of_missing_paths(bare, folder, capsys):
    train, val = deeplake.open_read_only(str(folder / "train")), deeplake.open_read_only(str(folder / "val"))
    view = val.query("SELECT * LIMIT 3")
    run = train_detector(build_detector(bare.model), bare, ds_train=train, ds_val=view)
    assert trained_on(capsys) == [(str(folder / "train"), "8"), (str(folder / "val"), "3")]
    assert "coco/bbox_mAP" in run.metrics
    saved = saved_config(run)
    assert innermost(saved.val_dataloader).query == "SELECT * LIMIT 3"
    assert innermost(saved.val_dataloader).commit == val.version


def test_they_win_over_paths_in_the_config(folder, tmp_path):
    cfg = Config(old_config("/nowhere", "/nowhere"))
    cfg.data.train.deeplake_commit_id = "not there"
    cfg.data.train.deeplake_dataloader = {"batch_size": 2, "shuffle": False}
    cfg.work_dir = str(tmp_path)
    train, val = deeplake.open_read_only(str(folder / "train")), deeplake.open_read_only(str(folder / "val"))
    run = train_detector(build_detector(cfg.model), cfg, train, None, val)
    saved = saved_config(run)
    assert saved.train_dataloader.batch_size == 2
    assert innermost(saved.train_dataloader).path == str(folder / "train")


def test_tensors_argument_over_config_over_types(bare, tmp_path, capsys):
    write_lake(tmp_path / "two")
    bare.data.train = {"deeplake_path": str(tmp_path / "two")}
    model = build_detector(bare.model)
    with pytest.raises(ColumnError, match=r"gt_bboxes|gt_labels"):
        train_detector(model, bare, validate=False)
    bare.data.train.deeplake_tensors = {"gt_bboxes": "wrong", "gt_labels": "kinds"}
    run = train_detector(model, bare, ds_train_tensors={"gt_bboxes": "right"}, validate=False)
    saved = saved_config(run)
    assert innermost(saved.train_dataloader).tensors == {"gt_bboxes": "right", "gt_labels": "kinds"}
    assert trained_on(capsys) == [(str(tmp_path / "two"), "4")]


def test_a_ds_of_3x_replaces_files(folder, tmp_path, capsys):
    cfg = demo_config("x", "y", CLASS_NAMES, str(tmp_path), epochs=1, scale=(64, 64), num_workers=0)
    for split in ("train", "val"):
        loader = cfg[f"{split}_dataloader"]
        loader.dataset.type = "CocoDataset"
        loader.dataset.pop("path")
        loader.dataset.update(data_root="data/coco/", ann_file="missing.json", data_prefix={"img": "x"})
    train, val = deeplake.open_read_only(str(folder / "train")), deeplake.open_read_only(str(folder / "val"))
    cfg.train_cfg.val_interval = 1
    run = train_detector(build_detector(cfg.model), cfg, train, None, val)
    assert "coco/bbox_mAP" in run.metrics
    assert cfg.train_dataloader.dataset.type == "CocoDataset"


def test_uncommitted_rows_train_here_but_not_in_several_processes(bare, tmp_path, capsys):
    lake = write_lake(tmp_path / "open", count=4, extra=False)
    lake.append(row_of(*next(iter(demo_images(1, seed=9)))))
    model = build_detector(bare.model)
    with pytest.raises(ConfigError, match="it stands in no storage"):
        train_detector(model, bare, ds_train=lake, validate=False, distributed=2)
    train_detector(model, bare, ds_train=lake, validate=False)
    assert trained_on(capsys)[-1][1] == "5"


def test_rows_that_no_query_gives_again_are_kept_in_order(folder):
    lake = deeplake.open_read_only(str(folder / "train"))
    view = lake.query("SELECT * ORDER BY RANDOM()")
    settings, resolved = settings_of(view)
    assert settings["path"].startswith("opened://")
    dataset = DeepLakeDataset(**settings, test_mode=True, pipeline=[])
    assert dataset.view.source == resolved
    assert [str(name) for name in dataset.view.handle["file_name"][:]] == [
        str(name) for name in view["file_name"][:]
    ]


def test_a_query_of_a_query_is_pinned(folder):
    lake = deeplake.open_read_only(str(folder / "train"))
    view = lake.query("SELECT * LIMIT 6").query("SELECT * LIMIT 3 OFFSET 2")
    settings, _ = settings_of(view)
    assert len(DeepLakeDataset(**settings, test_mode=True, pipeline=[])) == 3


def test_several_datasets_cannot_be_replaced_by_one(bare, folder):
    train = deeplake.open_read_only(str(folder / "train"))
    bare.data.train = [{"deeplake_path": "a"}, {"deeplake_path": "b"}]
    with pytest.raises(ConfigError, match="the config has 2"):
        train_detector(build_detector(bare.model), bare, ds_train=train, validate=False)


def test_a_wrapper_keeps_its_meaning(bare, folder, capsys):
    train = deeplake.open_read_only(str(folder / "train"))
    bare.data.train = {"type": "RepeatDataset", "times": 2, "deeplake_tensors": {"img": "images"},
                       "dataset": {"type": "CocoDataset", "ann_file": "x.json"}}  # fmt: skip
    run = train_detector(build_detector(bare.model), bare, ds_train=train, validate=False)
    saved = saved_config(run)
    assert "RepeatDataset" in str(saved.train_dataloader)
    assert innermost(saved.train_dataloader).tensors == {"img": "images"}


def test_a_path_may_be_given_too(bare, folder, capsys):
    train_detector(build_detector(bare.model), bare, ds_train=folder / "train", validate=False)
    assert trained_on(capsys) == [(str(folder / "train"), "8")]


@pytest.mark.parametrize("given", [[1, 2], "slice", object()])
def test_other_objects_are_refused(bare, folder, given):
    if given == "slice":
        given = deeplake.open_read_only(str(folder / "train"))[0:2]
    with pytest.raises(ConfigError):
        train_detector(build_detector(bare.model), bare, ds_train=given, validate=False)


def test_validation_data_without_a_loader_is_refused(folder, tmp_path):
    path = str(folder / "train")
    cfg = demo_config(path, path, CLASS_NAMES, str(tmp_path), epochs=1, scale=(64, 64), num_workers=0)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    with pytest.raises(ConfigError, match="does not say how to load it"):
        train_detector(build_detector(cfg.model), cfg, ds_val=deeplake.open_read_only(path))
