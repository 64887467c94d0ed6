"""Our SSD head trains like the stock one and predicts, which the stock one cannot."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.hub import get_config
from mmengine.structures import InstanceData

import deeplake_mmdet  # noqa: F401 - stands in for ops that are not compiled

ZOO = ("ssd/ssd300_coco.py", "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py")


def model_of(name: str, head: str) -> torch.nn.Module:
    register_all_modules()
    content = deepcopy(get_config(f"mmdet::{name}").model)
    content.bbox_head.type = head
    content.backbone.init_cfg = None
    content.test_cfg.score_thr = 0.0  # untrained scores are low
    content.test_cfg.nms_pre = 50
    torch.manual_seed(0)
    model = MODELS.build(content)
    model.init_weights()  # until then the neck's norm is whatever its memory held
    return model


def batch(size: int) -> dict:
    draw = torch.Generator().manual_seed(0)
    samples = []
    for number in range(2):
        shape = {"img_shape": (size, size), "ori_shape": (size, size), "scale_factor": (1.0, 1.0)}
        truth = InstanceData(bboxes=torch.tensor([[8.0, 8, 150, 160]]), labels=torch.tensor([number]))
        samples.append(DetDataSample(gt_instances=truth, metainfo={**shape, "img_id": number}))
    images = [torch.randint(256, (3, size, size), generator=draw, dtype=torch.uint8) for _ in samples]
    return {"inputs": images, "data_samples": samples}


@pytest.mark.parametrize("name", ZOO)
def test_it_has_the_stock_head_s_losses_and_parameters_and_predicts(name):
    size = 320 if "lite" in name else 300
    ours, stock = model_of(name, "deeplake_mmdet.SSDHead"), model_of(name, "SSDHead")
    assert type(ours.bbox_head).__module__.startswith("deeplake_mmdet.")
    stock.load_state_dict(ours.state_dict())
    losses = []
    for model in (ours, stock):
        model.train()
        data = model.data_preprocessor(batch(size), training=True)
        losses.append(model.parse_losses(model.loss(data["inputs"], data["data_samples"]))[0])
    assert torch.isfinite(losses[0])
    assert losses[0] == losses[1]

    ours.eval()
    data = ours.data_preprocessor(batch(size), training=False)
    with torch.no_grad():
        raw = ours(data["inputs"])
        predicted = ours.predict(data["inputs"], data["data_samples"])
    scores = torch.cat([level.permute(0, 2, 3, 1).reshape(2, -1, 81) for level in raw[0]], 1).softmax(-1)
    for sample, probabilities in zip(predicted, scores, strict=True):
        found = sample.pred_instances
        assert len(found)
        of_label = probabilities[:, found.labels]  # softmax over classes and the background
        assert float((of_label - found.scores).abs().amin(0).max()) < 1e-6
