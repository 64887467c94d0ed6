"""One detector of each family trains and validates on a lake, from its own converted 2.x config.

The configs are MMDetection 2.28.2's, made small as a user of 2.x would do it: by overriding their keys.
Where mmcv has no compiled ops, all need the stand-in (`deeplake_mmdet.ops`) to be imported; all but
Deformable DETR call its nms, Faster and Mask R-CNN its roi_align. Deformable attention on a CPU is mmcv's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from reference_2x import learning_rate

import deeplake_mmdet
from deeplake_mmdet import convert_config, import_coco

CLASSES = ("square", "bar")
Part = dict[str, Any]
R18: Part = {"depth": 18, "base_channels": 16, "init_cfg": None, "frozen_stages": -1, "norm_eval": False}
R18_WIDTHS = [16, 32, 64, 128]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four images of 128 x 96 pixels, each with a square and a bar, boxes and polygons."""
    folder = tmp_path_factory.mktemp("coco")
    draw = np.random.default_rng(0)
    truth: Part = {"images": [], "annotations": []}
    truth["categories"] = [{"id": number + 1, "name": name} for number, name in enumerate(CLASSES)]
    for image in range(4):
        pixels = draw.integers(0, 60, (96, 128, 3), np.uint8)
        truth["images"].append({"id": image, "file_name": f"{image}.png", "width": 128, "height": 96})
        for number, (wide, high) in enumerate(((40, 40), (56, 20))):
            x, y = int(draw.integers(0, 128 - wide)), int(draw.integers(0, 96 - high))
            pixels[y : y + high, x : x + wide] = (200, 40, 90) if number else (40, 200, 60)
            outline = [x, y, x + wide, y, x + wide, y + high, x, y + high]
            annotation = {"image_id": image, "category_id": number + 1, "bbox": [x, y, wide, high]}
            annotation |= {"area": wide * high, "iscrowd": 0, "segmentation": [outline]}
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, **annotation})
        Image.fromarray(pixels).save(folder / f"{image}.png")
    (folder / "truth.json").write_text(json.dumps(truth))
    import_coco(folder / "truth.json", folder / "lake", images=folder, progress=False)
    return str(folder / "lake")


def two_stage(model: Part) -> None:
    model["neck"].update(in_channels=R18_WIDTHS, out_channels=32)
    model["rpn_head"].update(in_channels=32, feat_channels=32)
    roi = model["roi_head"]
    roi["bbox_roi_extractor"]["out_channels"] = 32
    roi["bbox_head"].update(in_channels=32, fc_out_channels=64)
    if "mask_head" in roi:
        roi["mask_roi_extractor"]["out_channels"] = 32
        roi["mask_head"].update(num_convs=1, in_channels=32, conv_out_channels=32)
    model["train_cfg"]["rcnn"]["sampler"]["num"] = 64


def one_stage(model: Part) -> None:
    model["neck"].update(in_channels=R18_WIDTHS, out_channels=32)
    model["bbox_head"].update(in_channels=32, feat_channels=32, stacked_convs=1)


def fcos(model: Part) -> None:
    model["backbone"]["style"] = "pytorch"  # 18 layers have no other
    one_stage(model)


def yolox(model: Part) -> None:
    model.update(input_size=(96, 96), random_size_range=(3, 4))
    for part in ("backbone", "neck", "bbox_head"):  # batch norm knows nothing after so few iterations
        model[part]["norm_cfg"] = {"type": "GN", "num_groups": 4}


def deformable_detr(model: Part) -> None:
    model["neck"]["in_channels"] = R18_WIDTHS[1:]
    model["bbox_head"]["num_query"] = 20
    transformer = model["bbox_head"]["transformer"]
    for part in ("encoder", "decoder"):
        transformer[part]["num_layers"] = 2


FAMILIES: dict[str, tuple[str, Callable[[Part], None] | None, Part]] = {
    "YOLOv3": ("yolo/yolov3_d53_mstrain-416_273e_coco.py", None, {}),
    "SSD": ("ssd/ssd300_coco.py", None, {}),
    "SSDLite": ("ssd/ssdlite_mobilenetv2_scratch_600e_coco.py", None, {}),
    "RetinaNet": ("retinanet/retinanet_r50_fpn_1x_coco.py", one_stage, R18),
    "Faster R-CNN": ("faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py", two_stage, R18),
    "Mask R-CNN": ("mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py", two_stage, R18),
    "FCOS": ("fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py", fcos, R18),
    "ATSS": ("atss/atss_r50_fpn_1x_coco.py", one_stage, R18),
    "YOLOX": ("yolox/yolox_nano_8x8_300e_coco.py", yolox, {}),
    "Deformable DETR": ("deformable_detr/deformable_detr_r50_16x2_50e_coco.py", deformable_detr, R18),
}


def small(family: str, lake: str) -> Part:
    """The family's 2.x config for the lake: small images, few channels, no weights, few iterations."""
    name, change, backbone = FAMILIES[family]
    cfg: Part = zoo.old(name)
    fixed = {"SSD": (300, 300), "SSDLite": (320, 320)}.get(family, (96, 96))
    data = {split: on_lake(cfg["data"][split], lake, fixed) for split in ("train", "val")}
    cfg["data"] = {"samples_per_gpu": 2, "workers_per_gpu": 0, **data}
    cfg["seed"] = 0
    model = cfg["model"]
    model.pop("pretrained", None)
    model["backbone"].update(backbone, init_cfg=None)
    few(model)
    if change is not None:
        change(model)
    epochs = 3 if family == "YOLOX" else 1
    cfg["runner"] = {"type": "EpochBasedRunner", "max_epochs": epochs}
    cfg["evaluation"] = {"interval": epochs, "metric": cfg["evaluation"].get("metric", "bbox")}
    cfg["log_config"] = {"interval": 1, "hooks": [{"type": "TextLoggerHook"}]}
    if family == "YOLOX":
        cfg["lr_config"].update(warmup_iters=1, num_last_epochs=1)
        cfg["custom_hooks"][0]["num_last_epochs"] = 1
    return cfg


def on_lake(node: Part, lake: str, size: tuple[int, int]) -> Part:
    """A 2.x dataset, or the one that it wraps, reading the lake; all images of one size."""
    node = {key: resized(value, size) if key == "pipeline" else value for key, value in node.items()}
    if "dataset" in node:
        once = {"times": 1} if "times" in node else {}
        return {**node, **once, "dataset": on_lake(node["dataset"], lake, size)}
    kept = {key: node[key] for key in ("type", "pipeline", "filter_empty_gt") if key in node}
    return {**kept, "deeplake_path": lake, "classes": CLASSES}


def resized(node: Any, size: tuple[int, int]) -> Any:
    """The same steps with other sizes."""
    if isinstance(node, dict):
        changed = {"img_scale": [size, size] if isinstance(node.get("img_scale"), list) else size}
        changed |= {"border": (-size[0] // 2, -size[1] // 2), "scales": [size]}
        return {key: changed[key] if key in changed else resized(value, size) for key, value in node.items()}
    return [resized(item, size) for item in node] if isinstance(node, list) else node


def few(node: Any) -> None:
    """Two classes and few boxes, all of which count: an untrained detector is sure of nothing."""
    values = {"num_classes": len(CLASSES), "score_thr": 0.0, "nms_pre": 50, "max_per_img": 20}
    for key, value in node.items() if isinstance(node, dict) else ():
        node[key] = values.get(key, value)
        few(value)


@pytest.fixture(scope="module", autouse=True)
def _zoo():
    try:
        zoo.folder()
    except zoo.NoIndexError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_config_trains_and_validates(family, lake, tmp_path):
    cfg, _ = convert_config(Config(small(family, lake)))
    assert cfg.train_dataloader.dataset.get("dataset", cfg.train_dataloader.dataset).path == lake
    cfg.default_hooks.checkpoint.interval = 10  # nothing to keep
    run = deeplake_mmdet.train(cfg, work_dir=tmp_path)
    losses = train_losses(tmp_path)
    assert len(losses) >= 2
    assert all(map(math.isfinite, losses))
    assert 0 <= run.metrics["coco/bbox_mAP"] <= 1
    assert ("coco/segm_mAP" in run.metrics) == (family == "Mask R-CNN")


def train_losses(work_dir: Path) -> list[float]:
    """The loss of every iteration, as the log has them."""
    return [line["loss"] for line in log_lines(work_dir) if "loss" in line]


def log_lines(work_dir: Path) -> list[Part]:
    """The run's scalars, line by line."""
    paths = sorted(work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_wrappers_hooks_and_iterations(lake, tmp_path):
    """What stands around a model, all at once: a list of wrapped datasets, accumulation, momentum, EMA."""
    old = small("RetinaNet", lake)
    train = old["data"]["train"]
    old["data"]["train"] = [
        {"type": "ClassBalancedDataset", "oversample_thr": 0.6, "dataset": train},
        {"type": "RepeatDataset", "times": 2, "dataset": train},
    ]
    old["data"]["val_dataloader"] = {"samples_per_gpu": 2}
    old["runner"] = {"type": "IterBasedRunner", "max_iters": 6}
    old["evaluation"] = {"interval": 3, "metric": "bbox", "save_best": "bbox_mAP", "classwise": True}
    old["checkpoint_config"] = {"by_epoch": False, "interval": 3, "max_keep_ckpts": 1}
    old["optimizer_config"] = {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 2}
    warmup = {"warmup": "exp", "warmup_iters": 2, "warmup_ratio": 0.1}
    old["lr_config"] = {"policy": "CosineAnnealing", "min_lr": 0, **warmup}
    old["momentum_config"] = {"policy": "step", "step": [4], "gamma": 0.9}
    old["custom_hooks"] = [{"type": "EMAHook", "momentum": 0.01}, {"type": "NumClassCheckHook"}]
    old["workflow"] = [("train", 1)]
    cfg, _ = convert_config(Config(old))
    run = deeplake_mmdet.train(cfg, work_dir=tmp_path)
    assert len(train_losses(tmp_path)) == 6
    rates = [line["lr"] for line in log_lines(tmp_path) if "lr" in line]
    config = {**old["lr_config"], "by_epoch": False}
    assert rates == pytest.approx(
        [learning_rate(config, 0.01, number, 1, 6) for number in range(6)], rel=1e-9
    )
    assert run.last_checkpoint.name == "iter_6.pth"
    assert run.best_checkpoint is not None
    assert len(list(tmp_path.glob("iter_*.pth"))) == 1


@pytest.mark.slow
def test_flips_and_scales_are_seen_by_test_time_augmentation(lake, tmp_path):
    old = small("RetinaNet", lake)
    old["data"]["val"]["pipeline"][1].update(img_scale=[(96, 96), (128, 128)], flip=True)
    old["data"]["test"] = old["data"]["val"]
    cfg, notes = convert_config(Config(old))
    assert any("tta_pipeline" in note.what for note in notes)
    # As MMDetection's tools/test.py --tta does it.
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = {**cfg.tta_model, "module": cfg.model}
    cfg.work_dir = str(tmp_path)
    assert 0 <= Runner.from_cfg(cfg).test()["coco/bbox_mAP"] <= 1
