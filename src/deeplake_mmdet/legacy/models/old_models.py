"""A stock 3.x model with its settings where MMDetection 2.x had them, for those that 3.x moved.

A 2.x child of such a model says ``bbox_head=dict(num_query=50)`` or ``assigner=dict(cls_cost=...)``; merged
with the settings of its base, the conversion moves all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

__all__ = ["as_old_model"]

Part = dict[str, Any]

_DETRS = ("DETR", "DeformableDETR")
_COST_NAMES = {
    "ClassificationCost": "cls_cost",
    "FocalLossCost": "cls_cost",
    "BBoxL1Cost": "reg_cost",
    "IoUCost": "iou_cost",
    "CrossEntropyLossCost": "mask_cost",
    "DiceCost": "dice_cost",
}
_BOXES, _MASKS = ("cls_cost", "reg_cost", "iou_cost"), ("cls_cost", "mask_cost", "dice_cost")
_OF_LAYER = {
    "feedforward_channels": "feedforward_channels",
    "ffn_drop": "ffn_dropout",
    "num_fcs": "ffn_num_fcs",
}


def as_old_model(model: Mapping[str, Any]) -> Part:
    """Write a stock 3.x model as MMDetection 2.x had it; `convert_model` makes the same model of it again.

    Args:
        model: The 3.x model; not changed.
    """
    old: Part = _assigners(deepcopy(dict(model)))
    if old.get("type") in _DETRS and "encoder" in old:
        old = _detr(old)
    if isinstance(old.get("panoptic_head"), Mapping):
        old["panoptic_head"] = _mask_head(dict(old["panoptic_head"]))
    return _yolox(old) if old.get("type") == "YOLOX" else old


def _assigners(node: Any) -> Any:
    """A list of costs -> costs by name, anywhere."""
    if isinstance(node, (list, tuple)):
        return type(node)(map(_assigners, node))
    if not isinstance(node, Mapping):
        return node
    old = {name: _assigners(value) for name, value in node.items()}
    costs = old.get("match_costs")
    if old.get("type") != "HungarianAssigner" or not isinstance(costs, (list, tuple)):
        return old
    masks = any(cost.get("type") == "DiceCost" for cost in costs)
    known = _MASKS if masks else _BOXES
    named: Part = dict.fromkeys(known)  # None: there is none, where 2.x had a default
    for cost in costs:
        name = _COST_NAMES.get(str(cost.get("type")))
        if name == "cls_cost" and cost.get("binary_input"):
            name = "mask_cost"
        if name not in known or named[name] is not None:
            return old  # not one that 2.x could say
        named[name] = cost
    del old["match_costs"]
    return {**old, "type": "MaskHungarianAssigner" if masks else "HungarianAssigner", **named}


def _detr(old: Part) -> Part:
    deformable = old["type"] == "DeformableDETR"
    transformer: Part = {
        "encoder": _stack(old.pop("encoder"), one=deformable),
        "decoder": _stack(old.pop("decoder"), one=not deformable),
    }
    head = {**old.get("bbox_head", {}), "num_query": old.pop("num_queries", 300 if deformable else 100)}
    if deformable:
        transformer["num_feature_levels"] = old.pop("num_feature_levels", 4)
        head |= {name: old.pop(name) for name in ("with_box_refine", "as_two_stage") if name in old}
        if head.get("as_two_stage"):
            transformer["two_stage_num_proposals"] = head["num_query"]
    else:
        head.pop("embed_dims", None)
        neck = old.pop("neck", None) or {}
        head["in_channels"] = (neck.get("in_channels") or [2048])[0]
    head |= {"transformer": transformer, "positional_encoding": old.pop("positional_encoding", {})}
    return {**old, "bbox_head": head}


def _mask_head(head: Part) -> Part:
    pixels = dict(head.get("pixel_decoder") or {})
    if "encoder" in pixels:
        pixels["encoder"] = _stack(pixels["encoder"], one=True, inside=True)
        head["pixel_decoder"] = pixels
    if "transformer_decoder" in head:
        decoder = _stack(head["transformer_decoder"], one=True, inside=True)
        decoder.pop("init_cfg", None)
        head["transformer_decoder"] = decoder
    return head


def _stack(stack: Mapping[str, Any], *, one: bool, inside: bool = False) -> Part:
    """An encoder or decoder.

    Args:
        stack: Its 3.x settings.
        one: Whether 2.x's files have one attention for all places, if all are equal, rather than a list.
        inside: Whether they have the settings of the feed-forward network in a dict of its own.
    """
    old = {name: value for name, value in stack.items() if name != "layer_cfg"}
    if layer := stack.get("layer_cfg"):
        old["transformerlayers"] = _layer(dict(layer), one, inside)
    return old


def _layer(layer: Part, one: bool, inside: bool) -> Part:
    found = [layer.pop(f"{name}_cfg") for name in ("self_attn", "cross_attn") if f"{name}_cfg" in layer]
    attentions = [{name: value for name, value in part.items() if name != "batch_first"} for part in found]
    for attention in attentions if inside else ():
        # MultiheadAttention's, in those files; only the other kind has levels.
        if attention.get("dropout") == 0.0 and "num_levels" not in attention:
            del attention["dropout"]
            attention |= {"attn_drop": 0.0, "proj_drop": 0.0, "dropout_layer": None}
    forward = dict(layer.pop("ffn_cfg", {}))
    width = attentions[0].get("embed_dims", 256) if attentions else 256
    if forward.get("embed_dims") == width:
        del forward["embed_dims"]
    equal = one and all(attention == attentions[0] for attention in attentions)
    old: Part = {"attn_cfgs": attentions[0] if equal else attentions}
    if not inside:
        old |= {outer: forward.pop(name) for name, outer in _OF_LAYER.items() if name in forward}
    if forward:
        old["ffn_cfgs"] = forward
    return {**old, **layer}


def _yolox(old: Part) -> Part:
    """The resizing of whole batches, which was the model's."""
    preprocessor = dict(old.get("data_preprocessor") or {})
    augments = list(preprocessor.get("batch_augments") or [])
    resize = next((part for part in augments if part.get("type") == "BatchSyncRandomResize"), None)
    if resize is None:
        return old
    step = resize.get("size_divisor", 32)
    low, high = resize["random_size_range"]
    if low % step or high % step:
        return old
    augments.remove(resize)
    preprocessor["batch_augments"] = augments
    if not augments:
        del preprocessor["batch_augments"]
    settings = {"random_size_range": (low // step, high // step), "size_multiplier": step}
    settings["random_size_interval"] = resize.get("interval", 10)
    return {**old, "data_preprocessor": preprocessor, **settings}
