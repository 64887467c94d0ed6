"""A stock 3.x pipeline as MMDetection 2.x wrote it; the conversion makes the same 3.x steps of it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

__all__ = ["img_norm_cfg", "old_pipeline"]

Step = dict[str, Any]

# Arguments that are (width, height) in 3.x and were (height, width).
_SWAPPED = {
    "Mosaic": "img_scale",
    "MixUp": "img_scale",
    "RandomAffine": "border",
    "RandomCenterCropPad": "crop_size",
    "RandomCrop": "crop_size",
    "Pad": "size",
}
_RESIZES = {"Resize": None, "RandomResize": "range", "RandomChoiceResize": "value"}
_TEST_META = {"img_id", "img_path", "ori_shape", "img_shape", "scale_factor"}


def img_norm_cfg(preprocessor: Mapping[str, Any]) -> Step | None:
    """The 2.x ``img_norm_cfg`` that a model's preprocessor stands for; None if it does not normalise."""
    if preprocessor.get("mean") is None:
        return None
    return {
        "mean": list(preprocessor["mean"]),
        "std": list(preprocessor["std"]),
        "to_rgb": bool(preprocessor.get("bgr_to_rgb", False)),
    }


def old_pipeline(steps: Sequence[Mapping[str, Any]], preprocessor: Mapping[str, Any]) -> list[Step]:
    """Write 3.x steps as 2.x; what has no other name or arguments there stays as it is.

    Args:
        steps: The 3.x pipeline, of training if it does not set ``meta_keys`` as tests do.
        preprocessor: That of the model: in 2.x, pipelines normalised and padded.
    """
    flat = [inner for step in steps for inner in _inner(step)]
    pack = next((step for step in flat if step.get("type") == "PackDetInputs"), None)
    test = pack is not None and set(pack.get("meta_keys", ())) >= _TEST_META
    if pack is not None and (test or "meta_keys" not in pack):
        return _test(flat, preprocessor) if test else _train(flat, preprocessor)
    return [_old_step(step) for step in flat]


def _inner(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(step["transforms"]) if step.get("type") == "ProposalBroadcaster" else [step]


def _train(steps: Sequence[Mapping[str, Any]], preprocessor: Mapping[str, Any]) -> list[Step]:
    old: list[Step] = []
    keys = ["img"]
    for step in steps:
        kind = step.get("type")
        if kind == "LoadProposals":
            keys.append("proposals")
        elif kind in ("LoadAnnotations", "LoadPanopticAnnotations"):
            every = kind == "LoadPanopticAnnotations"
            asked = {"gt_bboxes": "with_bbox", "gt_masks": "with_mask", "gt_semantic_seg": "with_seg"}
            for name, setting in asked.items():
                if step.get(setting, every):
                    keys += [name, "gt_labels"] if name == "gt_bboxes" else [name]
        if kind == "PackDetInputs":
            old += _normalised(preprocessor)
            old += [{"type": "DefaultFormatBundle"}, {"type": "Collect", "keys": keys}]
        else:
            old.append(_old_step(step))
    return old


def _test(steps: Sequence[Mapping[str, Any]], preprocessor: Mapping[str, Any]) -> list[Step]:
    """Loading, and a MultiScaleFlipAug of one scale around the rest."""
    load: list[Step] = []
    inner: list[Step] = []
    scale: Step = {"scale_factor": 1.0}
    tensors, keys = {"type": "ImageToTensor", "keys": ["img"]}, ["img"]
    for step in steps:
        kind, old = str(step.get("type")), _old_step(step)
        if kind in ("LoadAnnotations", "LoadPanopticAnnotations", "PackDetInputs"):
            continue  # 2.x loaded none to test
        if kind == "LoadProposals":
            keys = ["img", "proposals"]
        if kind == "Resize" and "img_scale" in old:
            scale = {"img_scale": old.pop("img_scale")}
            inner += [old, {"type": "RandomFlip"}]
        else:
            (load if kind.startswith("Load") else inner).append(old)
    inner += [*_normalised(preprocessor), tensors, {"type": "Collect", "keys": keys}]
    return [*load, {"type": "MultiScaleFlipAug", **scale, "flip": False, "transforms": inner}]


def _normalised(preprocessor: Mapping[str, Any]) -> list[Step]:
    old: list[Step] = []
    if (norm := img_norm_cfg(preprocessor)) is not None:
        old.append({"type": "Normalize", **norm})
    if preprocessor.get("pad_size_divisor", 1) > 1:
        old.append({"type": "Pad", "size_divisor": preprocessor["pad_size_divisor"]})
    return old


def _old_step(step: Mapping[str, Any]) -> Step:
    old: Step = {name: deepcopy(value) for name, value in step.items() if name != "backend_args"}
    if step.get("backend_args"):
        old["file_client_args"] = dict(step["backend_args"])
    kind = step.get("type")
    if kind in _RESIZES:
        old["type"] = "Resize"
        for name in ("scale", "scales"):
            if name in old:
                old["img_scale"] = old.pop(name)
        old.pop("resize_type", None)  # 2.x had no other
        if _RESIZES[kind] and "ratio_range" not in old:
            old["multiscale_mode"] = _RESIZES[kind]
        # As a reader of 2.x expects them: the scale before the rest.
        first: Step = {name: old.pop(name) for name in ("type", "img_scale") if name in old}
        return {**first, **old}
    for name, now in (("RandomFlip", "flip_ratio"), ("RandomShift", "shift_ratio")):
        if kind == name and "prob" in old:
            old[now] = old.pop("prob")
    swapped = _SWAPPED.get(str(kind), "")
    same = ("absolute_range", "relative_range")
    if isinstance(old.get(swapped), (list, tuple)) and old.get("crop_type") not in same:
        old[swapped] = type(old[swapped])(reversed(old[swapped]))
    return old
