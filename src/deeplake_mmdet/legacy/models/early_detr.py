"""DETR of MMDetection 2.7 to 2.11, whose transformer was one flat dict, as 2.12 and later wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.kinds import be_dict
from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["early_detr", "early_matcher"]

Part = dict[str, Any]

_RELU, _LAYER_NORM = {"type": "ReLU", "inplace": True}, {"type": "LN"}
# What the transformer took, and where it said nothing.
_FLAT: Part = {
    "embed_dims": 512,
    "num_heads": 8,
    "num_encoder_layers": 6,
    "num_decoder_layers": 6,
    "feedforward_channels": 2048,
    "dropout": 0.0,
    "act_cfg": _RELU,
    "norm_cfg": _LAYER_NORM,
    "num_fcs": 2,
    "pre_norm": False,
    "return_intermediate_dec": False,
}
# That of a head without one.
_OF_HEAD: Part = {"embed_dims": 256, "dropout": 0.1, "return_intermediate_dec": True}
_OF_ATTENTION = ("embed_dims", "num_heads", "dropout")
_OF_LAYER = {
    "feedforward_channels": "feedforward_channels",
    "dropout": "ffn_dropout",
    "num_fcs": "ffn_num_fcs",
    "act_cfg": "act_cfg",
    "norm_cfg": "norm_cfg",
}
_USUAL = {"num_fcs": 2, "act_cfg": _RELU, "norm_cfg": _LAYER_NORM}
_WEIGHTS: dict[str, tuple[str, Part]] = {
    "cls_weight": ("cls_cost", {"type": "ClassificationCost"}),
    "bbox_weight": ("reg_cost", {"type": "BBoxL1Cost", "box_format": "xywh"}),
    "iou_weight": ("iou_cost", {"type": "IoUCost", "iou_mode": "giou"}),
}


def early_detr(model: Part, notes: Notebook) -> Part:
    """Write the head and the transformer of an early DETR as 2.28 has them; others come back as they are.

    Args:
        model: The whole model; not changed. If it has an encoder and a decoder as well, those of a base, the
            flat settings change these.
        notes: Where remarks go.

    Raises:
        ConfigError: It normalises before its layers, which no DETR of 3.x does.
    """
    head = model.get("bbox_head")
    if model.get("type") != "DETR" or not isinstance(head, Mapping):
        return model
    early = head.get("type") == "TransformerHead"
    transformer = dict(head.get("transformer") or (_OF_HEAD if early else {}))
    flat = {name: transformer.pop(name) for name in _FLAT if name in transformer}
    if not early and not flat:
        return model
    key = "model.bbox_head"
    new = dict(head)
    if early:
        new["type"] = "DETRHead"
        notes.info(f"{key}.type", "becomes DETRHead", "its name since 2.12", old="TransformerHead")
        new.pop("embed_dims", None)  # the transformer's
        for name in ("num_fcs", "reg_num_fcs"):
            if name in new:
                new["num_reg_fcs"] = new.pop(name)
        new.setdefault("num_query", (model.get("test_cfg") or {}).get("max_per_img", 100))
    if flat or not {"encoder", "decoder"} & set(transformer):
        why = "as MMDetection wrote them since 2.12"
        notes.info(f"{key}.transformer", "its settings become those of encoder and decoder", why, old=flat)
        if not {"encoder", "decoder"} & set(transformer):
            flat = {**_FLAT, **flat}
        transformer |= _stacks(transformer, flat, f"{key}.transformer", notes)
    return {**model, "bbox_head": {**new, "transformer": transformer}}


def _stacks(transformer: Part, flat: Part, key: str, notes: Notebook) -> Part:
    if flat.get("pre_norm"):
        raise ConfigError(
            "This DETR normalises before its layers, and no DETR of MMDetection 3.x does",
            where=f"config key '{key}.pre_norm'",
            advice="set pre_norm=False and train it anew, or register a detector of your own",
        )
    if flat.get("act_cfg", _RELU).get("type") != "ReLU":
        why = "3.x has no setting for it; the layers of encoder and decoder have the other"
        notes.approximated(f"{key}.act_cfg", "the boxes' branch has ReLU", why, old=flat["act_cfg"])
    encoder = _stack(transformer.get("encoder") or {}, flat, "num_encoder_layers")
    decoder = _stack(transformer.get("decoder") or {}, flat, "num_decoder_layers")
    if "return_intermediate_dec" in flat:
        decoder["return_intermediate"] = flat["return_intermediate_dec"]
    if flat.get("norm_cfg", _LAYER_NORM) != _LAYER_NORM:
        decoder["post_norm_cfg"] = flat["norm_cfg"]
    return {"encoder": encoder, "decoder": decoder}


def _stack(stack: Mapping[str, Any], flat: Part, count: str) -> Part:
    layers = dict(stack.get("transformerlayers") or {})
    attentions = layers.get("attn_cfgs") or {}
    attentions = [attentions] if isinstance(attentions, Mapping) else attentions
    given = {name: flat[name] for name in _OF_ATTENTION if name in flat}
    layers["attn_cfgs"] = [{**attention, **given} for attention in attentions]
    for old, now in _OF_LAYER.items():
        if old in flat and (now in layers or flat[old] != _USUAL.get(old)):
            layers[now] = flat[old]
    new = {**stack, "transformerlayers": layers}
    if count in flat:
        new["num_layers"] = flat[count]
    return new


def early_matcher(node: Part, key: str, notes: Notebook) -> Part:
    """Write the weights of 2.7's ``HungarianAssigner`` as costs.

    It compared boxes as centre, width and height, as DETR's authors did; 2.8 and later compare their corners
    by default.

    Args:
        node: The settings of the assigner; not changed. Those without weights come back as they are.
        key: Its dotted path.
        notes: Where remarks go.

    Raises:
        ConfigError: A cost or its ``iou_calculator`` is no dict.
    """
    if not {*_WEIGHTS, "iou_mode", "iou_calculator"} & set(node):
        return node
    new = dict(node)
    for name, (cost, usual) in _WEIGHTS.items():
        base = new.get(cost) or {**usual, "weight": 1.0}
        be_dict(base, f"{key}.{cost}")
        new[cost] = {**base, **({"weight": new.pop(name)} if name in new else {})}
    if mode := new.pop("iou_mode", None):
        new["iou_cost"]["iou_mode"] = mode
    overlaps = new.pop("iou_calculator", None) or {"type": "BboxOverlaps2D"}
    be_dict(overlaps, f"{key}.iou_calculator")
    if overlaps.get("type") != "BboxOverlaps2D":
        notes.dropped(f"{key}.iou_calculator", "dropped", "3.x has one kind in this place", old=overlaps)
    notes.info(key, "its weights become costs", "as MMDetection wrote them since 2.8", old=node)
    return new
