"""Transformer models (DETR, Deformable DETR, Mask2Former, MaskFormer): 3.x restructured their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.notes import Notebook

__all__ = ["convert_detr", "convert_mask_head"]

Part = dict[str, Any]

_ATTENTION = ("embed_dims", "num_heads", "num_levels", "num_points", "im2col_step", "batch_first")


def convert_detr(model: Part, notes: Notebook) -> Part:
    """Move transformer and queries of a DETR's head to the detector, and its projection into a neck."""
    head = dict(model.get("bbox_head") or {})
    transformer = dict(head.pop("transformer", None) or {})
    if not transformer:
        return model
    deformable = model.get("type") == "DeformableDETR"
    encoder, decoder = transformer.pop("encoder", {}), transformer.pop("decoder", {})
    queries = transformer.pop("two_stage_num_proposals", None) or head.pop(
        "num_query", 300 if deformable else 100
    )
    head.pop("num_query", None)
    detector: Part = {**model, "num_queries": queries}
    if deformable:
        for name, default in (("with_box_refine", False), ("as_two_stage", False)):
            detector[name] = head.pop(name, default)
        detector["num_feature_levels"] = transformer.pop("num_feature_levels", 4)
        head.pop("in_channels", None)
    else:
        detector["neck"] = {
            "type": "ChannelMapper",
            "in_channels": [head.pop("in_channels", 2048)],
            "kernel_size": 1,
            "out_channels": 256,
            "act_cfg": None,
            "norm_cfg": None,
            "num_outs": 1,
        }
        head["embed_dims"] = 256
    detector["encoder"] = _stack(encoder)
    detector["decoder"] = _stack(decoder)
    detector["positional_encoding"] = _positions(head.pop("positional_encoding", {}))
    if deformable:
        detector["decoder"].setdefault("post_norm_cfg", None)  # 3.x would put a norm there
    else:
        detector["decoder"].setdefault("return_intermediate", True)
    detector["bbox_head"] = head
    for name in transformer:
        if name not in ("type", "init_cfg"):
            notes.dropped(
                f"model.bbox_head.transformer.{name}", "dropped", "the 3.x detector has no such setting"
            )
    return detector


def convert_mask_head(head: Part) -> Part:
    """Convert the settings of a Mask2Former or MaskFormer head."""
    new = dict(head)
    new["positional_encoding"] = _positions(head.get("positional_encoding") or {})
    if "num_queries" in head or "num_query" in head:
        new["num_queries"] = new.pop("num_query", head.get("num_queries"))
    pixels = dict(head.get("pixel_decoder") or {})
    if "encoder" in pixels:
        pixels["encoder"] = _stack(pixels["encoder"])
    if "positional_encoding" in pixels:
        pixels["positional_encoding"] = _positions(pixels["positional_encoding"])
    new["pixel_decoder"] = pixels
    if "transformer_decoder" in head:
        new["transformer_decoder"] = {**_stack(head["transformer_decoder"]), "init_cfg": None}
    return new


def _positions(encoding: Mapping[str, Any]) -> Part:
    return {name: value for name, value in encoding.items() if name != "type"}


def _stack(stack: Mapping[str, Any]) -> Part:
    """An encoder or decoder: ``transformerlayers`` -> ``layer_cfg``."""
    new: Part = {
        name: value for name, value in stack.items() if name not in ("type", "init_cfg", "transformerlayers")
    }
    layers = stack.get("transformerlayers")
    if isinstance(layers, (list, tuple)):
        layers = layers[0]
    if layers:
        new["layer_cfg"] = _layer(layers)
    return new


def _layer(layer: Mapping[str, Any]) -> Part:
    attentions = layer.get("attn_cfgs") or {}
    attentions = [attentions] if isinstance(attentions, Mapping) else list(attentions)
    order = [name for name in layer.get("operation_order") or () if name.endswith("attn")]
    if len(attentions) == 1 and len(order) > 1:
        attentions = attentions * len(order)
    names = order or ["self_attn", "cross_attn"][: len(attentions)]
    new: Part = {f"{name}_cfg": _attention(part) for name, part in zip(names, attentions, strict=False)}
    new["ffn_cfg"] = _feed_forward(layer, attentions[0].get("embed_dims", 256) if attentions else 256)
    return new


def _attention(attention: Mapping[str, Any]) -> Part:
    new: Part = {name: attention[name] for name in _ATTENTION if name in attention}
    if new.get("im2col_step") == 64:  # the default
        del new["im2col_step"]
    drop = attention.get("dropout", attention.get("attn_drop"))
    if drop is not None:
        new["dropout"] = drop
    new["batch_first"] = True  # of all 3.x layers
    return new


def _feed_forward(layer: Mapping[str, Any], width: int) -> Part:
    given = layer.get("ffn_cfgs") or {}
    new: Part = {"embed_dims": width}
    channels = given.get("feedforward_channels", layer.get("feedforward_channels"))
    if channels is not None:
        new["feedforward_channels"] = channels
    if "num_fcs" in given:
        new["num_fcs"] = given["num_fcs"]
    drop = given.get("ffn_drop", layer.get("ffn_dropout"))
    if drop is not None:
        new["ffn_drop"] = drop
    activation = given.get("act_cfg", layer.get("act_cfg"))
    if activation:
        new["act_cfg"] = activation
    return new
