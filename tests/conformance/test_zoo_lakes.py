"""A lake in place of the files of MMDetection 3.x's own configs gives the samples of stock datasets."""

from __future__ import annotations

import copy
import os
from collections import Counter

import numpy as np
import pytest
import torch
import zoo_lakes
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.errors import ConfigError

# One of each kind of dataset, wrapper and pipeline that there is.
SAMPLE = (
    *("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", "openimages/faster-rcnn_r50_fpn_32xb2-1x_openimages.py"),
    *("pascal_voc/retinanet_r50_fpn_1x_voc0712.py", "cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py"),
    *("yolox/yolox_tiny_8xb8-300e_coco.py", "crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py"),
    *("glip/glip_atss_swin-t_a_fpn_dyhead_16xb2_ms-2x_funtune_coco.py", "dsdl/objects365v2.py"),
    *("wider_face/retinanet_r50_fpn_1x_widerface.py", "detr/detr_r50_8xb2-150e_coco.py"),
)
# Why a dataset is not compared: nothing of it is a matter of lakes.
NOT_COMPARED = ("of another task", "stock does not build", "stock gives no sample", "a class has no name")
REFUSED = "refused by its key: proposal_file"


def test_a_sample_of_the_zoo(tmp_path):
    found = zoo_lakes.sweep(SAMPLE, tmp_path)
    assert len(found) == 2 * len(SAMPLE)
    assert {line for line in found if line[2] != zoo_lakes.EQUAL} == set()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif("DEEPLAKE_MMDET_LONG_TESTS" not in os.environ, reason="takes up to half an hour")
def test_the_whole_zoo(tmp_path):
    found = zoo_lakes.sweep(zoo_lakes.names(), tmp_path)
    left = [line for line in found if not line[2].startswith((zoo_lakes.EQUAL, REFUSED, *NOT_COMPARED))]
    assert left == []
    counts = Counter(result for _, _, result in found)
    assert counts[zoo_lakes.EQUAL] > 1450
    assert counts[REFUSED] == 18


def test_the_comparison_finds_what_differs():
    boxes = InstanceData(bboxes=torch.ones(2, 4), labels=torch.zeros(2, dtype=torch.long))
    sample = DetDataSample(metainfo={"img_id": 3, "img_path": "a", "ori_shape": (4, 5)})
    sample.gt_instances = boxes
    packed = {"inputs": torch.zeros(3, 4, 5), "data_samples": sample}
    same = copy.deepcopy(packed)
    same["data_samples"].set_metainfo({"img_path": "b"})
    assert zoo_lakes.difference(packed, same) is None
    changes = (
        lambda one: one["inputs"].add_(1),
        lambda one: one["data_samples"].gt_instances.labels.add_(1),
        lambda one: one["data_samples"].gt_instances.bboxes[0].add_(1e-3),
        lambda one: one["data_samples"].set_metainfo({"ori_shape": (5, 4)}),
        lambda one: one["data_samples"].set_metainfo({"flip": True}),
        lambda one: one["data_samples"].__delattr__("gt_instances"),
    )
    for change in changes:
        other = copy.deepcopy(packed)
        change(other)
        assert zoo_lakes.difference(packed, other) is not None
    assert zoo_lakes.difference([np.zeros(2)], [np.ones(2)]) is not None


FILES = ("label_file", "meta_file", "hierarchy_file", "image_level_ann_file", "img_subdir", "extra_ann_file")


def test_keys_of_files_are_ignored_and_said(caplog):
    DeepLakeDataset("lake", lazy_init=True, ann_file="a", **dict.fromkeys(FILES, "b"))
    assert all(key in caplog.text for key in ("ann_file", *FILES))


def test_an_argument_that_nobody_knows_is_one_error():
    with pytest.raises(ConfigError, match="'my_key'"):
        DeepLakeDataset("lake", lazy_init=True, my_key=3)
    for key in ("proposal_file", "backend_args", "file_client_args"):
        with pytest.raises(ConfigError, match=key):
            DeepLakeDataset("lake", lazy_init=True, **{key: {"backend": "petrel"}})
        DeepLakeDataset("lake", lazy_init=True, **{key: None})
