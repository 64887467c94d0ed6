"""Stock detectors of the zoo, thin and for small images, with the steps of their stock pipelines."""

from __future__ import annotations

from typing import Any

from mmengine.hub import get_config

from deeplake_mmdet.demo.drawing import CLASS_NAMES

SIDE = 96
NAMES = {
    "rtmdet": "rtmdet/rtmdet_tiny_8xb32-300e_coco",
    "yolox": "yolox/yolox_nano_8xb8-300e_coco",
    "yolov3": "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco",
    "faster_rcnn": "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
}
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
FLIP = {"type": "RandomFlip", "prob": 0.5}
PACK = {"type": "PackDetInputs"}
RESIZE = {"type": "Resize", "scale": (SIDE, SIDE), "keep_ratio": True}
GREY = {"img": (114, 114, 114)}


def small_detector(name: str, lake: str) -> dict[str, Any]:
    """Model and training dataset of one detector."""
    model = get_config(f"mmdet::{NAMES[name]}.py").model
    build = globals()[f"_{name}"]
    pipeline, mixed = build(model)
    dataset = {
        "type": "deeplake_mmdet.DeepLakeDataset", "path": lake, "pipeline": pipeline,
        "filter_cfg": {"filter_empty_gt": False},
    }  # fmt: skip
    if mixed:
        dataset = {"type": "MultiImageMixDataset", "dataset": dataset, "pipeline": mixed}
    return {"model": model.to_dict(), "dataset": dataset}


def _rtmdet(model: Any) -> Any:
    model.data_preprocessor.batch_augments = None
    model.backbone.update(widen_factor=0.125, init_cfg=None, norm_cfg={"type": "BN"})
    model.neck.update(in_channels=[32, 64, 128], out_channels=32, norm_cfg={"type": "BN"})
    model.bbox_head.update(
        num_classes=len(CLASS_NAMES), in_channels=32, feat_channels=32, norm_cfg={"type": "BN"}
    )
    steps = [
        {"type": "RandomResize", "scale": (SIDE, SIDE), "ratio_range": (0.7, 1.5), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (SIDE, SIDE)},
        {"type": "YOLOXHSVRandomAug"}, FLIP,
        {"type": "Pad", "size": (SIDE, SIDE), "pad_val": GREY},
    ]  # fmt: skip
    return [*LOAD, *steps, PACK], None


def _yolox(model: Any) -> Any:
    model.bbox_head.num_classes = len(CLASS_NAMES)
    model.data_preprocessor.batch_augments[0].update(random_size_range=(64, 160), interval=3)
    steps = [
        {"type": "Mosaic", "img_scale": (SIDE, SIDE), "pad_val": 114.0},
        {"type": "RandomAffine", "scaling_ratio_range": (0.5, 1.5), "border": (-SIDE // 2, -SIDE // 2)},
        {"type": "MixUp", "img_scale": (SIDE, SIDE), "ratio_range": (0.8, 1.6), "pad_val": 114.0},
        {"type": "YOLOXHSVRandomAug"}, FLIP, RESIZE,
        {"type": "Pad", "pad_to_square": True, "pad_val": GREY},
        {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False}, PACK,
    ]  # fmt: skip
    return LOAD, steps


def _yolov3(model: Any) -> Any:
    model.backbone.update(init_cfg=None, widen_factor=0.25)
    model.neck.update(in_channels=[80, 24, 8], out_channels=[24, 24, 24])
    model.bbox_head.update(num_classes=len(CLASS_NAMES), in_channels=[24, 24, 24], out_channels=[24, 24, 24])
    steps = [
        {"type": "Expand", "mean": (123.7, 116.3, 103.5), "to_rgb": True, "ratio_range": (1, 2)},
        {"type": "MinIoURandomCrop", "min_ious": (0.4, 0.6, 0.8), "min_crop_size": 0.3},
        RESIZE, FLIP, {"type": "PhotoMetricDistortion"},
    ]  # fmt: skip
    return [*LOAD, *steps, PACK], None


def _faster_rcnn(model: Any) -> Any:
    model.backbone.update(depth=18, base_channels=16, init_cfg=None, frozen_stages=-1, norm_eval=False)
    model.neck.update(in_channels=[16, 32, 64, 128], out_channels=32)
    model.rpn_head.update(in_channels=32, feat_channels=32)
    model.roi_head.bbox_roi_extractor.out_channels = 32
    model.roi_head.bbox_head.update(in_channels=32, fc_out_channels=64, num_classes=len(CLASS_NAMES))
    model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=100)
    model.train_cfg.rcnn.sampler.num = 32
    return [*LOAD, RESIZE, FLIP, PACK], None
