"""The demo's training config: MMDetection's own YOLOX-nano file, cut down to minutes on two CPU cores."""

# Configs are written as MMDetection writes them.
# ruff: noqa: C408

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.errors import InstallError

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["STOCK_CONFIG", "demo_config"]

STOCK_CONFIG = "yolox/yolox_nano_8xb8-300e_coco.py"

# Variables of the stock file that only fed what is replaced here. MMEngine writes the config into the run
# folder, and a COCO path there would mislead.
_SPENT = (
    "auto_scale_lr",
    "base_lr",
    "data_root",
    "dataset_type",
    "img_scale",
    "img_scales",
    "interval",
    "max_epochs",
    "num_last_epochs",
    "test_pipeline",
    "train_dataset",
    "train_pipeline",
    "tta_model",
    "tta_pipeline",
)


def _stock_path() -> Path:
    spec = importlib.util.find_spec("mmdet")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / ".mim" / "configs" / STOCK_CONFIG
        if path.is_file():
            return path
    raise InstallError(
        "the installed MMDetection comes without its config files",
        where=f"mmdet/.mim/configs/{STOCK_CONFIG}",
        advice="install onedl-mmdetection from its release; an editable install may lack the .mim folder",
    )


def _dataset(
    lake: str, class_names: Sequence[str], pipeline: list[dict[str, Any]], test: bool
) -> dict[str, Any]:
    return dict(
        type="deeplake_mmdet.DeepLakeDataset",
        path=lake,
        metainfo=dict(classes=tuple(class_names)),
        # The empty images are there to be learned from.
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=pipeline,
        test_mode=test,
    )


def demo_config(
    train_lake: str,
    val_lake: str,
    class_names: Sequence[str],
    work_dir: str,
    *,
    epochs: int = 8,
    batch_size: int = 4,
    scale: tuple[int, int] = (160, 128),
    num_workers: int = 2,
    seed: int = 0,
) -> Config:
    """Write the demo's config: ``STOCK_CONFIG`` of the installed MMDetection, changed where it has to be.

    Changed are: the number of classes, the data, the input size, plain convolutions in place of depthwise
    ones, no Mosaic, MixUp, multi-scale input or weight averaging (each needs a schedule of hundreds of epochs
    to pay off), small batches, AdamW with one cosine over the run, and validation, checkpoints and logging at
    the pace of a short run. The architecture, its losses, its assigner and its box decoding are the stock
    file's; the weights start random.

    Args:
        train_lake: Path or URL of the lake to train on.
        val_lake: Path or URL of the lake to evaluate on.
        class_names: Names of the classes, in the order of their labels.
        work_dir: Folder of the run: logs, config and checkpoints.
        epochs: Passes over the training lake.
        batch_size: Images a step.
        scale: Width and height in pixels that images are scaled to fit into, aspect kept.
        num_workers: Loader processes; 0 loads in the training process.
        seed: Seeds weights, order and augmentation.

    Returns:
        A config for ``mmengine.runner.Runner``.

    Raises:
        InstallError: The installed MMDetection has no config files.
    """
    from mmengine.config import Config

    cfg = Config.fromfile(str(_stock_path()))
    for name in _SPENT:
        cfg.pop(name, None)

    cfg.model.bbox_head.num_classes = len(class_names)
    cfg.model.data_preprocessor.batch_augments = None
    for part in ("backbone", "neck", "bbox_head"):
        # On a CPU and at this size depthwise convolutions are slower than plain ones, and learn less a step.
        cfg.model[part].use_depthwise = False
        # The stock file's 0.03 follows the weights too slowly for a run of a thousand steps.
        cfg.model[part].norm_cfg = dict(type="BN", momentum=0.1, eps=0.001)

    resize = dict(type="Resize", scale=tuple(scale), keep_ratio=True)
    train_pipeline: list[dict[str, Any]] = [
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations", with_bbox=True),
        resize,
        # Before the flip, as in the stock file: it cannot write into a flipped view.
        dict(type="YOLOXHSVRandomAug"),
        dict(type="RandomFlip", prob=[0.4, 0.3], direction=["horizontal", "vertical"]),
        dict(type="PackDetInputs"),
    ]
    val_pipeline: list[dict[str, Any]] = [
        dict(type="LoadImageFromFile"),
        resize,
        dict(
            type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
        ),
    ]
    loader = dict(batch_size=batch_size, num_workers=num_workers, persistent_workers=num_workers > 0)
    cfg.train_dataloader = dict(
        **loader,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=_dataset(train_lake, class_names, train_pipeline, test=False),
    )
    cfg.val_dataloader = dict(
        **loader,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=_dataset(val_lake, class_names, val_pipeline, test=True),
    )
    cfg.test_dataloader = cfg.val_dataloader
    cfg.val_evaluator = dict(type="deeplake_mmdet.CocoMetric", metric="bbox")
    cfg.test_evaluator = cfg.val_evaluator

    cfg.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=epochs, val_interval=2)
    cfg.optim_wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.01),
        paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
        clip_grad=dict(max_norm=10),
    )
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=30),
        dict(
            type="CosineAnnealingLR",
            T_max=epochs,
            eta_min=2e-5,
            begin=0,
            end=epochs,
            by_epoch=True,
            convert_to_iter_based=True,
        ),
    ]

    cfg.custom_hooks = []
    cfg.default_hooks.logger.interval = 10
    cfg.log_processor.window_size = 10
    cfg.default_hooks.checkpoint = dict(
        type="CheckpointHook", interval=2, save_best="coco/bbox_mAP", rule="greater", max_keep_ckpts=1
    )
    cfg.randomness = dict(seed=seed)
    cfg.default_scope = "mmdet"
    cfg.work_dir = work_dir
    return cfg
