"""Every config of MMDetection 2.28.2's zoo whose packages are installed builds, once it is converted."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import zoo
import zoo_compare
from mmdet.registry import DATASETS, METRICS, MODELS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import HOOKS, DefaultScope
from mmengine.visualization import Visualizer
from zoo_sweep import parameters

from deeplake_mmdet.config import convert_config, take_in
from deeplake_mmdet.config.teacher import put_teacher
from deeplake_mmdet.errors import ConfigError, InstallError
from deeplake_mmdet.legacy import convert_config_dict
from deeplake_mmdet.training.parts_check import check_parts

BROKEN = {  # in 2.x, too
    # A Faster R-CNN with a RetinaNet's head.
    "objects365/retinanet_r50_fpn_syncbn_1350k_obj365v1.py": r"model\.bbox_head",
    # A hook without a type.
    "rfnext/rfnext_fixed_multi_branch_cascade_mask_rcnn_hrnetv2p_w18_20e_coco.py": r"custom_hooks\[0\]",
}

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def names():
    try:
        return zoo.names()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))


def taken_in(name):
    """As our commands take it in: converted, imported, with its teacher."""
    return take_in(Config(convert_config_dict(zoo.old(name))[0]))


def of_mmcls(names):
    return [name for name in names if "mmcls" in str(zoo.old(name))]


@pytest.fixture
def one_process():
    """Synchronised norms ask for a process group, and hooks for a visualizer."""
    Visualizer.get_instance("zoo")
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def build_datasets(node):
    """All that read files, without reading them, and the pipelines of those that wrap them."""
    if isinstance(node, (list, tuple)):
        for part in node:
            build_datasets(part)
    elif inner := node.get("dataset", node.get("datasets")):
        build_datasets(inner)
        Compose(deepcopy(node.get("pipeline")))
    else:
        DATASETS.build({**node, "lazy_init": True})


def build_all(cfg, seen):
    """All of a config's parts but the model, each of them once; without reading annotations."""
    content = cfg.to_dict()
    parts = [(build_datasets, content[f"{split}_dataloader"]["dataset"]) for split in SPLITS]
    for split in SPLITS[1:]:
        found = content[f"{split}_evaluator"]
        parts += [(METRICS.build, part) for part in (found if isinstance(found, list) else [found])]
    hooks = [*content["default_hooks"].values(), *(content.get("custom_hooks") or ())]
    for hook in hooks:  # the runner takes their priority
        if hook["type"] == "RFSearchHook":  # it reads a file
            continue
        parts.append((HOOKS.build, {key: value for key, value in hook.items() if key != "priority"}))
    with DefaultScope.overwrite_default_scope("mmdet"):
        for build, part in parts:
            if part.get("type") in ("CocoMetric", "LVISMetric"):
                part = {**part, "ann_file": None}
            key = json.dumps(part, default=str)
            if key not in seen:
                build(deepcopy(part))
            seen.add(key)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif("DEEPLAKE_MMDET_LONG_TESTS" not in os.environ, reason="takes up to half an hour")
def test_every_config_builds_or_says_which_package_it_lacks(names, one_process, caplog):
    caplog.set_level(logging.CRITICAL)
    zoo_compare.register()
    lacking, models, built, seen = {}, 0, 0, set()
    left_out = set(of_mmcls(names))
    others = [name for name in names if name not in left_out]
    for name in others:
        content = convert_config_dict(zoo.old(name))[0]
        put_teacher(content, None, convert_config)
        cfg = Config(content)
        model = bool(cfg.get("model"))
        if name in BROKEN:
            with pytest.raises(ConfigError, match=BROKEN[name]):
                check_parts(cfg, training=True)
            continue
        try:
            check_parts(cfg, training=True, model=model)
        except InstallError as error:
            lacking[name] = error.what
            continue
        build_all(cfg, seen)
        built += 1
        if model:
            found = parameters(cfg.model.to_dict())
            assert not isinstance(found, str), (name, found)
            models += 1
    assert built + len(lacking) + len(BROKEN) == len(others) == 626
    assert built - models == 6 - sum("/common/" in name for name in lacking)  # files without a model
    print(f"{models} models and {built} configs built; lacking: {Counter(lacking.values())}")
    packages = {word.strip() for what in lacking.values() for word in what.partition(":")[2].split(",")}
    assert packages <= {
        *("tensorboard", "wandb", "scikit-learn"),
        *("lvis", "cityscapesscripts", "instaboostfast", "albumentations", "timm", "imagecorruptions"),
        "git+https://github.com/cocodataset/panopticapi.git",
    }


def test_those_of_mmcls_name_the_package_to_install(names):
    found = of_mmcls([name for name in names if name.startswith(("convnext", "rfnext", "timm"))])
    assert len(found) == 8
    if find_spec("mmpretrain") is not None:
        pytest.skip("mmpretrain is installed")
    for name in found:
        converted, notes = convert_config_dict(zoo.old(name))
        assert "mmpretrain." in str(converted["model"]), name
        assert "mmcls." not in str(converted["model"]), name
        assert converted["custom_imports"]["imports"] == ["mmpretrain.models"], name
        assert any("mmpretrain" in note.why for note in notes)
        with pytest.raises(ConfigError, match=r"'mmpretrain\.models', which is not there") as told:
            take_in(Config(converted))
        assert "pip install onedl-mmpretrain" in str(told.value)


def test_a_teacher_of_the_zoo_is_found_from_any_folder(names, tmp_path, monkeypatch):
    """2.x and 3.x look in the working directory, which must be MMDetection's checkout."""
    monkeypatch.chdir(tmp_path)
    cfg = taken_in("ld/ld_r18_gflv1_r101_fpn_coco_1x.py")
    assert cfg.model.teacher_config["model"]["backbone"]["depth"] == 101
    zoo_compare.register()
    cfg.model.teacher_ckpt = None  # which is on the internet
    with torch.device("meta"):
        detector = MODELS.build(cfg.model)
    assert detector.teacher_model.backbone.depth == 101


def test_a_teacher_of_2x_is_converted(tmp_path, names):
    teacher = "model = dict(type='GFL', pretrained=None, backbone=dict(type='ResNet', depth=18))\n"
    (tmp_path / "teacher.py").write_text(
        teacher + "data = dict(samples_per_gpu=2)\noptimizer = dict(type='SGD', lr=0.01)\n"
    )
    content = convert_config_dict(zoo.old("ld/ld_r18_gflv1_r101_fpn_coco_1x.py"))[0]
    content["model"]["teacher_config"] = "teacher.py"
    file = tmp_path / "mine.py"
    file.write_text("")
    cfg = take_in(Config(content, filename=str(file)))
    assert cfg.model.teacher_config["model"]["type"] == "GFL"
    assert "data_preprocessor" in cfg.model.teacher_config["model"]
    content["model"]["teacher_config"] = str(Path("nowhere") / "teacher.py")
    with pytest.raises(ConfigError, match="teacher"):
        take_in(Config(content, filename=str(file)))
