"""What the configs of `field/` mean to MMDetection 2.28.2, written down by reading them; no test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TRASH = ("General trash", "Paper", "Plastic bag")
BALLOON = ("balloon",)
SHORT_WARMUP: dict[str, Any] = {"warmup": "linear", "warmup_iters": 500, "warmup_ratio": 0.001}
ONE_X = {"policy": "step", "step": [8, 11], **SHORT_WARMUP}


@dataclass
class Meaning:
    """What a config means.

    Attributes:
        optimizer: Type, rate and what else the config says of it.
        schedule: Its ``lr_config`` with what its bases have.
        images: Images of one pass, wrappers counted.
        length: Epochs; iterations if negative.
        interval: Of the validation, in the same unit.
        classes: Their names, or their number.
        metrics: Keys that the validation reports, among others; none if the detector finds nothing as yet.
        batch: Images per iteration.
        best: What picks the best checkpoint.
        clip: The largest norm of gradients.
        options: What shortens it besides.
    """

    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    images: int
    length: int
    interval: int
    classes: Any
    metrics: Sequence[str] = ("coco/bbox_mAP", "coco/bbox_mAP_50")
    batch: int = 2
    best: str | None = None
    clip: float | None = None
    options: Sequence[str] = field(default_factory=list)


def sgd(lr: float, **others: Any) -> dict[str, Any]:
    return {"type": "SGD", "lr": lr, "momentum": 0.9, "weight_decay": 1e-4, **others}


def adamw(lr: float, weight_decay: float, **others: Any) -> dict[str, Any]:
    return {"type": "AdamW", "lr": lr, "weight_decay": weight_decay, **others}


def cosine(**others: Any) -> dict[str, Any]:
    return {"policy": "CosineAnnealing", **others}


def step(*steps: int, **others: Any) -> dict[str, Any]:
    return {"policy": "step", "step": list(steps), **others}


def yolox(warmup: int, last: int) -> dict[str, Any]:
    named = {"warmup": "exp", "warmup_iters": warmup, "warmup_ratio": 1, "warmup_by_epoch": True}
    return {"policy": "YOLOX", "by_epoch": False, "num_last_epochs": last, "min_lr_ratio": 0.05, **named}


BOTH = ("coco/bbox_mAP", "coco/segm_mAP")
CLASSWISE = ("coco/bbox_mAP", "coco/Paper_precision")
VOC = ("pascal_voc/mAP", "pascal_voc/AP50")
SEEN = ("model.test_cfg.score_thr=0.0",)
SWIN = {"betas": (0.9, 0.999)}
RESTARTS = {"periods": [20, 20, 40, 80], "restart_weights": [1, 0.85, 0.75, 0.7], "min_lr": 5e-6}
SMALL_WARMUP = {"warmup": "linear", "warmup_iters": 10, "warmup_ratio": 0.001}
THIRD = {"warmup": "linear", "warmup_iters": 500, "warmup_ratio": 1 / 3}


def warm(iters: int, ratio: float, kind: str = "linear") -> dict[str, Any]:
    return {"warmup": kind, "warmup_iters": iters, "warmup_ratio": ratio}


MEANINGS: dict[str, Meaning] = {
    "recycling/experiments/faster_r18.py": Meaning(
        adamw(1e-4, 0.05), cosine(**warm(1000, 0.1), min_lr_ratio=1e-5), 4, 30, 1, TRASH, CLASSWISE,
        best="coco/bbox_mAP_50", clip=35,
    ),
    "recycling/experiments/cascade_swin.py": Meaning(
        adamw(1e-4, 0.05, **SWIN), {"policy": "CosineRestart", **RESTARTS, **SMALL_WARMUP, "by_epoch": False},
        4, 12, 1, TRASH, best="coco/bbox_mAP_75", clip=35,
    ),
    "tutorials/mask_rcnn_balloon.py": Meaning(
        sgd(0.02), ONE_X, 4, 12, 1, BALLOON, BOTH, options=["model.test_cfg.rcnn.score_thr=0.0"]
    ),
    "old_voc/ssd300_voc.py": Meaning(
        sgd(1e-3, weight_decay=5e-4), step(16, 20, **SHORT_WARMUP), 4, 24, 1, 20, VOC
    ),
    "old_voc/retinanet_voc_onefile.py": Meaning(
        sgd(0.01 / 8), step(3, **THIRD), 4, 4, 1, 20, VOC, best="pascal_voc/mAP", clip=35
    ),
    "old_voc/faster_voc0712_lists.py": Meaning(sgd(0.01), step(3), 8, 4, 1, ("dog", "person", "car"), VOC),
    "traffic/fcos_cones.py": Meaning(
        sgd(0.00125), step(40, 50, **warm(500, 1 / 3, "constant")), 4, 60, 5, BALLOON, best="auto", clip=35,
        options=SEEN,
    ),
    "traffic/yolov3_mobilenet_signs.py": Meaning(
        sgd(0.003, weight_decay=5e-4), step(24, 28, **warm(4000, 1e-4)), 8, 30, 1, BALLOON,
        best="coco/bbox_mAP", clip=35, options=[*SEEN, "model.test_cfg.conf_thr=0.0"],
    ),
    "traffic/cityscapes_child.py": Meaning(sgd(0.01), step(7, **SHORT_WARMUP), 8, 8, 1, 8, BOTH),
    "wildlife/gfl_camera_traps.py": Meaning(
        sgd(0.01, nesterov=True),
        {"policy": "poly", "power": 0.9, "min_lr": 1e-4, "by_epoch": False, **warm(20, 0.001, "exp")},
        6, 24, 2, ("zebra", "empty nest", "lion"), ("coco/bbox_mAP", "coco/empty nest_precision"), batch=3,
        options=[*SEEN, "evaluation.start=None"],
    ),
    "wildlife/retinanet_effnet.py": Meaning(
        sgd(0.04), step(8, 11, **warm(1000, 0.1)), 4, 12, 1, ("zebra", "empty nest", "lion"), options=SEEN
    ),
    "lakes_team/yolov3_lake.py": Meaning(
        sgd(0.001, weight_decay=5e-4), step(218, 246, **warm(2000, 0.1)), 4, 10, 1, TRASH, clip=35
    ),
    "lakes_team/atss_two_lakes.py": Meaning(
        {"type": "Adam", "lr": 3e-4}, {"policy": "fixed", **warm(4, 0.5)}, 6, 40, 4, TRASH,
        ("0/coco/bbox_mAP", "1/coco/bbox_mAP"), batch=3, best="0/coco/bbox_mAP",
    ),
    "lakes_team/mask_rcnn_lake_iters.py": Meaning(
        sgd(0.02), step(60000, 80000, **warm(1000, 0.001), by_epoch=False), 12, -90000, 10000, TRASH, BOTH
    ),
    "lakes_team/yolox_lake.py": Meaning(
        sgd(0.01 / 8, weight_decay=5e-4, nesterov=True), yolox(5, 15), 4, 120, 10, TRASH, best="auto",
        options=SEEN,
    ),
    "yolox_lab/yolox_s_manhole.py": Meaning(
        sgd(0.01 / 8, weight_decay=5e-4, nesterov=True), yolox(5, 15), 4, 120, 10, BALLOON, best="auto",
        options=SEEN,
    ),
    "yolox_lab/yolox_tiny_child.py": Meaning(
        sgd(0.01, weight_decay=5e-4, nesterov=True), yolox(1, 5), 4, 50, 5, 80, best="auto", options=SEEN
    ),
    "detr_lab/detr_r18_parts.py": Meaning(
        adamw(1e-4, 1e-4), step(100), 4, 150, 1, TRASH, CLASSWISE, clip=0.1
    ),
    "detr_lab/deformable_detr_child.py": Meaning(adamw(1e-4, 1e-4), step(24), 4, 30, 1, TRASH, clip=0.1),
    "detr_lab/sparse_rcnn_loop.py": Meaning(
        adamw(2.5e-5, 1e-4), step(27, 33, **SHORT_WARMUP), 4, 36, 36, BALLOON, batch=1, clip=1
    ),
    "detr_lab/queryinst_small.py": Meaning(
        adamw(1e-4, 1e-4), step(8, 11, **warm(1000, 0.001)), 4, 12, 1, TRASH, BOTH, clip=0.1
    ),
    "heads/double_head_mobilenet.py": Meaning(
        sgd(0.005), step(16, 22, **warm(100, 0.001), gamma=0.5), 4, 24, 2, 80
    ),
    "heads/libra_neck_list.py": Meaning(sgd(0.02 / 8), cosine(by_epoch=False, min_lr=0.0), 4, 30, 3, TRASH),
    "heads/dynamic_gn_ws.py": Meaning(
        {"type": "RMSprop", "lr": 1e-4, "alpha": 0.9}, {"policy": "exp", "gamma": 0.95}, 4, 30, 1, TRASH,
        CLASSWISE, best="coco/bbox_mAP_50", clip=35,
    ),
    "heads/retina_pvt_free_anchor.py": Meaning(
        adamw(1e-4 / 1.4, 1e-4), ONE_X, 4, 12, 1, 80, batch=1, clip=1.0
    ),
    "heads/faster_hrnet_w18.py": Meaning(
        adamw(1e-4, 0.05),
        {"policy": "OneCycle", "max_lr": 0.001, "anneal_strategy": "linear", "div_factor": 10},
        4, 30, 1, TRASH, CLASSWISE, best="coco/bbox_mAP_50", clip=35,
    ),
    "heads/yolof_c5.py": Meaning(
        sgd(0.12), step(15000, 20000, **warm(1500, 0.00066667), by_epoch=False), 4, -22500, 4500, 80
    ),
    "heads/solo_light.py": Meaning(
        sgd(0.01), step(27, 33, **THIRD, min_lr=1e-5), 4, 36, 1, TRASH, ("coco/segm_mAP",),
        best="coco/segm_mAP",
    ),
    "dumps/faster_rcnn_dump.py": Meaning(
        sgd(0.0025), cosine(by_epoch=False, min_lr=0.0, **SHORT_WARMUP), 4, 20, 1, TRASH,
        best="coco/bbox_mAP_50", clip=35,
    ),
    "dumps/retinanet.json": Meaning(sgd(0.01), step(8, 11, **warm(1000, 0.001)), 4, 12, 1, TRASH, clip=10),
    "medical/ssdlite_cells.py": Meaning(
        sgd(0.015, weight_decay=4e-5), {"policy": "Cyclic", "target_ratio": (10, 1e-4), "step_ratio_up": 0.4},
        8, 120, 5, TRASH,
    ),
    "medical/rpn_only.py": Meaning(sgd(0.02), ONE_X, 4, 12, 1, 80, ("coco/AR@100", "coco/AR@1000")),
    "medical/centernet_nuclei.py": Meaning(
        sgd(0.0025), step(18, 24, **warm(1000, 0.001)), 8, 28, 7, BALLOON, best="coco/bbox_mAP", clip=35
    ),
    "aerial/point_rend_roofs.py": Meaning(
        sgd(0.002), step(28, 34), 4, 30, 1, TRASH, ("coco/bbox_mAP", "coco/segm_mAP_50"), clip=35
    ),
    "aerial/yolact_fields.py": Meaning(
        sgd(1e-3, weight_decay=5e-4), step(20, 42, 49, 52, **warm(500, 0.1)), 4, 55, 1, TRASH, BOTH
    ),
    "aerial/cascade_mask_res2net.py": Meaning(
        sgd(0.02), step(16, 19, **SHORT_WARMUP), 4, 20, 1, TRASH, (*BOTH, "coco/Paper_precision")
    ),
    "aerial/fovea_regnet_two_vals.py": Meaning(
        sgd(0.01), {"policy": "LinearAnnealing", "min_lr_ratio": 0.1, **warm(3, 0.1)}, 4, 24, 1, 80,
        ("0/coco/bbox_mAP", "1/coco/bbox_mAP"),
    ),
    "aerial/early_names.py": Meaning(sgd(0.0025), ONE_X, 4, 8, 1, 80),
    "finals/atss_all_data_swa.py": Meaning(
        adamw(5e-5, 0.05, **SWIN), step(27, 33, **SHORT_WARMUP), 6, 36, 36, TRASH, batch=3
    ),
    "finals/ms_rcnn_keys.py": Meaning(
        {"type": "Adagrad", "lr": 0.005, "weight_decay": 1e-4},
        {"policy": "inv", "gamma": 0.1, "power": 0.5, "by_epoch": False},
        4, 12, 4, ("person", "bicycle", "car"), BOTH, best="coco/segm_mAP", clip=5,
    ),
}  # fmt: skip
