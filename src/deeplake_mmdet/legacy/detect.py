"""Telling what a config is written for: MMDetection 2.x, 3.x, both, 1.x, or another toolbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from deeplake_mmdet.errors import ConfigError

__all__ = ["check_toolbox", "is_legacy", "kind_of", "speaks_new"]

# Per part of a config: keys of MMDetection 2.x, keys of 3.x.
_PARTS = {
    "data": (("data",), ("train_dataloader", "val_dataloader", "test_dataloader")),
    "optimizer": (("optimizer", "optimizer_config"), ("optim_wrapper",)),
    "schedule": (("lr_config",), ("param_scheduler",)),
    "hooks": (("checkpoint_config", "log_config"), ("default_hooks",)),
    "evaluation": (("evaluation",), ("val_evaluator", "test_evaluator")),
}
# By the types of their models, as 2.x has them ...
_OTHERS = {
    "mmsegmentation": ("EncoderDecoder", "CascadeEncoderDecoder"),
    "mmpretrain (mmclassification)": ("ImageClassifier", "TimmClassifier", "HuggingFaceClassifier"),
    "mmyolo": ("YOLODetector",),
    "mmpose": ("TopDown", "AssociativeEmbedding", "BottomUp", "ParametricMesh", "PoseLifter"),
    "mmaction2": ("Recognizer2D", "Recognizer3D", "SkeletonGCN", "FastRCNN3D", "BMN", "BSN"),
    "mmdetection3d": ("VoxelNet", "CenterPoint", "VoteNet", "MVXFasterRCNN", "DynamicVoxelNet", "PartA2"),
    "mmrotate": ("RotatedFasterRCNN", "RotatedRetinaNet", "OrientedRCNN", "RoITransformer", "S2ANet"),
    "mmocr": ("DBNet", "PANet", "PSENet", "SARNet", "CRNNNet", "TextSnake", "OCRMaskRCNN"),
    "mmediting": ("BasicRestorer", "ESRGAN", "BasicVSR"),
    "mmtracking": ("SELSA", "FGFA", "DFF", "DeepSORT", "Tracktor", "SiamRPN"),
}

# ... and by their scope in 3.x's registries. Those that train detectors on boxes (mmyolo, mmrotate) may pass.
_OTHER_SCOPES = {
    "mmseg": "mmsegmentation",
    "mmpose": "mmpose",
    "mmpretrain": "mmpretrain",
    "mmcls": "mmclassification",
    "mmaction": "mmaction2",
    "mmocr": "mmocr",
    "mmdet3d": "mmdetection3d",
    "mmagic": "mmagic",
    "mmedit": "mmediting",
}


def is_legacy(cfg: Mapping[str, Any]) -> bool:
    """Whether this is an MMDetection 2.x config, whole or the child of one.

    Args:
        cfg: The config's content.

    Raises:
        ConfigError: See `kind_of`.
    """
    return kind_of(cfg) == "2.x"


def kind_of(cfg: Mapping[str, Any]) -> Literal["2.x", "3.x"]:
    """Tell the major version that a config is written for.

    A config with keys of neither version counts as 3.x: there is nothing to convert.

    Args:
        cfg: The config's content; that of a 2.x child without its base will do.

    Raises:
        ConfigError: It is half migrated, for MMDetection 1.x, or for another toolbox.
    """
    old, new = _old_keys(cfg), _new_keys(cfg)
    if not old:
        return "3.x"
    if new:
        raise ConfigError(
            "This config is half migrated: it has keys of MMDetection 2.x and of 3.x",
            where=f"2.x keys {', '.join(old)}; 3.x keys {', '.join(new)}",
            advice="write it wholly for one version; a 2.x config is converted by itself",
        )
    _refuse_other_toolboxes(cfg)
    _refuse_first_version(cfg)
    return "2.x"


def speaks_new(names: Iterable[str]) -> bool:
    """Whether keys that only MMDetection 3.x knows are among the names that a config sets.

    Args:
        names: The config's top-level keys.
    """
    keys, ends = set(names), ("_dataloader", "_evaluator", "_cfg")
    return bool(keys & {"optim_wrapper", "param_scheduler", "default_hooks"}) or any(
        f"{split}{end}" in keys for split in ("train", "val", "test") for end in ends
    )


def check_toolbox(content: Mapping[str, Any]) -> None:
    """Refuse a 3.x config whose default scope is that of another toolbox, whose models are no detectors.

    Args:
        content: The config's content.

    Raises:
        ConfigError: Naming the toolbox.
    """
    toolbox = _OTHER_SCOPES.get(str(content.get("default_scope")))
    if toolbox is not None:
        raise ConfigError(
            f"This config is for {toolbox}, not for MMDetection",
            where=f"config key 'default_scope'={content['default_scope']!r}",
            advice="use a detection config",
        )


def _old_keys(cfg: Mapping[str, Any]) -> list[str]:
    found = [
        key
        for olds, news in _PARTS.values()
        for key in olds
        if key in cfg and not any(new in cfg for new in news)
    ]
    runner = cfg.get("runner")
    if isinstance(runner, Mapping) and ("max_epochs" in runner or "max_iters" in runner):
        found.append("runner")
    if "total_epochs" in cfg:
        found.append("total_epochs")
    return [] if found == ["total_epochs"] and _new_keys(cfg) else found


def _new_keys(cfg: Mapping[str, Any]) -> list[str]:
    return [key for _, news in _PARTS.values() for key in news if key in cfg]


def _refuse_other_toolboxes(cfg: Mapping[str, Any]) -> None:
    model = cfg.get("model")
    kind = str(model.get("type", "")) if isinstance(model, Mapping) else ""
    for toolbox, kinds in _OTHERS.items():
        if kind in kinds:
            raise ConfigError(
                f"This config is for {toolbox}, not for MMDetection",
                where=f"config key 'model.type'={kind!r}",
                advice="use a detection config",
            )


def _refuse_first_version(cfg: Mapping[str, Any]) -> None:
    marks = []
    model = cfg.get("model")
    if isinstance(model, Mapping):
        marks += [
            f"model.{key}" for key in ("bbox_roi_extractor", "mask_roi_extractor", "rpn") if key in model
        ]
        for name in ("rpn_head", "bbox_head"):
            head = model.get(name)
            if isinstance(head, Mapping):
                marks += [
                    f"model.{name}.{key}"
                    for key in ("anchor_scales", "anchor_ratios", "target_means")
                    if key in head
                ]
                if (
                    name == "bbox_head"
                    and "roi_head" not in model
                    and model.get("type")
                    in (
                        "FasterRCNN",
                        "MaskRCNN",
                        "CascadeRCNN",
                        "HTC",
                    )
                ):
                    marks.append("model.bbox_head (2.x: model.roi_head.bbox_head)")
    data = cfg.get("data")
    train = data.get("train") if isinstance(data, Mapping) else None
    if isinstance(train, Mapping):
        marks += [
            f"data.train.{key}"
            for key in ("img_scale", "img_norm_cfg", "size_divisor", "flip_ratio")
            if key in train
        ]
    if marks:
        raise ConfigError(
            "This is a config for MMDetection 1.x or older",
            where=f"keys {', '.join(marks)}",
            advice="use the config of the same name of MMDetection 2.x or 3.x",
        )
