"""A small detector's config as it was written for MMDetection 2.x, over lakes."""

from __future__ import annotations

from typing import Any

NORM = {"mean": [10.0, 20.0, 30.0], "std": [200.0, 210.0, 220.0], "to_rgb": True}
SIDE = 64


def old_model(classes: int = 5) -> dict[str, Any]:
    strides = [32, 16]
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0, "reduction": "sum"}
    return {
        "type": "YOLOV3",
        "backbone": {
            "type": "MobileNetV2", "out_indices": (4, 6), "widen_factor": 0.25,
            "act_cfg": {"type": "LeakyReLU"},
        },
        "neck": {"type": "YOLOV3Neck", "num_scales": 2, "in_channels": [80, 24], "out_channels": [24, 24]},
        "bbox_head": {
            "type": "YOLOV3Head", "num_classes": classes, "in_channels": [24, 24], "out_channels": [24, 24],
            "anchor_generator": {
                "type": "YOLOAnchorGenerator",
                "base_sizes": [[(40, 40), (24, 48), (48, 24)], [(16, 16), (12, 24), (24, 12)]],
                "strides": strides,
            },
            "bbox_coder": {"type": "YOLOBBoxCoder"}, "featmap_strides": strides,
            "loss_cls": loss, "loss_conf": loss, "loss_xy": {**loss, "loss_weight": 2.0},
            "loss_wh": {"type": "MSELoss", "loss_weight": 2.0, "reduction": "sum"},
        },
        "train_cfg": {
            "assigner": {"type": "GridAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0}
        },
        "test_cfg": {
            "nms_pre": 100, "min_bbox_size": 0, "score_thr": 0.001, "conf_thr": 0.0005,
            "nms": {"type": "nms", "iou_threshold": 0.45}, "max_per_img": 20,
        },
    }  # fmt: skip


def old_config(train: str | None, val: str | None, epochs: int = 1) -> dict[str, Any]:
    """Without a path, a split has none."""
    load = [{"type": "LoadImageFromFile"}]
    ends = [{"type": "Normalize", **NORM}, {"type": "Pad", "size_divisor": 32}]
    train_pipeline = [
        *load, {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "img_scale": (SIDE, SIDE), "keep_ratio": True},
        {"type": "RandomFlip", "flip_ratio": 0.5}, *ends, {"type": "DefaultFormatBundle"},
        {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
    ]  # fmt: skip
    steps = [
        {"type": "Resize", "keep_ratio": True}, {"type": "RandomFlip"}, *ends,
        {"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect", "keys": ["img"]},
    ]  # fmt: skip
    flip = {"type": "MultiScaleFlipAug", "img_scale": (SIDE, SIDE), "flip": False, "transforms": steps}
    data: dict[str, Any] = {"samples_per_gpu": 4, "workers_per_gpu": 0}
    if train is not None:
        data["train"] = {"pipeline": train_pipeline, "deeplake_path": train}
    if val is not None:
        data["val"] = {"pipeline": [*load, flip], "deeplake_path": val}
    return {
        "model": old_model(),
        "train_pipeline": train_pipeline,
        "test_pipeline": [*load, flip],
        "data": data,
        "optimizer": {"type": "SGD", "lr": 0.001, "momentum": 0.9},
        "optimizer_config": {"grad_clip": {"max_norm": 10, "norm_type": 2}},
        "lr_config": {"policy": "step", "step": [1]},
        "runner": {"type": "EpochBasedRunner", "max_epochs": epochs},
        "checkpoint_config": {"interval": 1},
        "log_config": {"interval": 1, "hooks": [{"type": "TextLoggerHook"}]},
        "evaluation": {"interval": 1, "metric": ["bbox"]},
        "deeplake_metrics_format": "COCO",
        "seed": 0,
        "workflow": [("train", 1)],
    }


def innermost(node: Any) -> Any:
    """The dataset inside all wrappers, of a config or built."""
    if isinstance(node, dict):
        return innermost(node["dataset"]) if "dataset" in node else node
    return innermost(node.dataset) if hasattr(node, "dataset") else node
