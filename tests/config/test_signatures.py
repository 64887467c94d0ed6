"""Which keys a part may have: told rightly, or not at all."""

from __future__ import annotations

from inspect import signature

import pytest
from mmdet.datasets import BaseDetDataset
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hub import get_config

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.config import keys_of, nearest
from deeplake_mmdet.config.data_check import LAKE_KEYS
from deeplake_mmdet.dataset.infos import _OF_FILES
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training.parts_check import check_parts


class Last:
    def __init__(self, a, b=1):
        pass


class HandsOn(Last):
    def __init__(self, c, **others):
        super().__init__(**others)


class Settles(Last):
    def __init__(self, c, **others):
        super().__init__(1, b=c, **others)


class Passes(Settles):
    pass


class Looks(Last):
    def __init__(self, c, **others):
        others.pop("d", None)
        super().__init__(**others)


class Keeps(Last):
    def __init__(self, c, **others):
        self.others = others


def function(a, *, b):
    pass


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Last, {"a", "b"}),
        (HandsOn, {"a", "b", "c"}),
        (Settles, {"c"}),
        (Passes, {"c"}),
        (Looks, None),
        (Keeps, None),
        (function, {"a", "b"}),
        (int, None),
    ],
)
def test_keys(kind, keys):
    assert keys_of(kind) == keys


def test_the_name_that_is_meant():
    assert nearest("num_clases", ["num_classes", "in_channels"]) == "num_classes"
    assert nearest("zebra", ["num_classes"]) is None


def test_the_keys_of_a_lake_are_those_of_its_dataset():
    kinds = (DeepLakeDataset, BaseDetDataset, BaseDataset)
    names = {name for kind in kinds for name in signature(kind).parameters} - {"args", "kwargs"}
    assert names | set(_OF_FILES) == LAKE_KEYS


@pytest.mark.parametrize(
    "name",
    [
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
        "cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco",
        "detr/detr_r50_8xb2-150e_coco",
        "mask2former/mask2former_r50_8xb2-lsj-50e_coco",
        "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco",
        "yolox/yolox_s_8xb8-300e_coco",
        "gcnet/mask-rcnn_r50-syncbn_fpn_1x_coco",
        "ssd/ssd300_coco",
        "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco",
    ],
)
def test_stock_configs_have_no_key_too_many(name):
    register_all_modules(init_default_scope=False)
    cfg = Config(get_config(f"mmdet::{name}.py").to_dict())
    check_parts(cfg, training=True)
    cfg.model.backbone = {**(cfg.model.get("backbone") or {"type": "ResNet"}), "dephts": 50}
    with pytest.raises(ConfigError, match=r"has no 'dephts'"):
        check_parts(cfg, training=True)
