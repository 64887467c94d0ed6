"""A one-stage and a two-stage detector of the installed zoo train and predict on the stand-in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from deeplake_mmdet import ops


def small(name: str) -> Any:
    """The zoo's config, with a thin backbone and without pretrained weights."""
    from mmdet.utils import register_all_modules
    from mmengine.hub import get_config

    register_all_modules()
    model = get_config(name).model
    if "faster" in name:
        channels = [16, 32, 64, 128]
        model["backbone"].update(depth=18, base_channels=16, init_cfg=None, frozen_stages=-1)
        model["backbone"]["norm_eval"] = False
        model["neck"].update(in_channels=channels, out_channels=32)
        model["rpn_head"].update(in_channels=32, feat_channels=32)
        model["roi_head"]["bbox_roi_extractor"]["out_channels"] = 32
        model["roi_head"]["bbox_head"].update(in_channels=32, fc_out_channels=64, num_classes=3)
    else:
        model["bbox_head"]["num_classes"] = 3
    model["data_preprocessor"].pop("batch_augments", None)
    return model


def batch(n: int = 2, size: int = 96) -> Any:
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    draw = torch.Generator().manual_seed(0)
    images, samples = [], []
    for k in range(n):
        images.append(torch.randint(256, (3, size, size), generator=draw, dtype=torch.uint8))
        boxes = torch.tensor([[8.0, 8, 50, 60], [30, 20, 90, 80]])
        truth = InstanceData(bboxes=boxes, labels=torch.tensor([k % 3, 2]))
        meta = {
            "img_shape": (size, size), "ori_shape": (size, size), "pad_shape": (size, size),
            "scale_factor": (1.0, 1.0), "batch_input_shape": (size, size), "img_id": k,
        }  # fmt: skip
        samples.append(DetDataSample(gt_instances=truth, metainfo=meta))
    return {"inputs": images, "data_samples": samples}


@pytest.mark.parametrize(
    "name", ["mmdet::yolox/yolox_nano_8xb8-300e_coco.py", "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"]
)
def test_trains_and_predicts(name):
    from mmdet.registry import MODELS

    ops.install()
    torch.manual_seed(0)
    model = MODELS.build(small(name))
    model.train()
    data = model.data_preprocessor(copy.deepcopy(batch()), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    grads = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    assert grads
    assert any(g.abs().sum() > 0 for g in grads)

    model.eval()
    data = model.data_preprocessor(copy.deepcopy(batch()), training=False)
    with torch.no_grad():
        predicted = model.predict(data["inputs"], data["data_samples"])
    assert len(predicted) == 2
    assert all(p.pred_instances.bboxes.shape[1] == 4 for p in predicted)
    if ops.in_use() == "compiled":
        pytest.skip("passed, but with compiled ops")
