"""Transformer models (DETR, Deformable DETR, Mask2Former, MaskFormer): 3.x restructured their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.kinds import be_dict
from deeplake_mmdet.legacy.models.transformer_layers import CROSS_FIRST, SELF_FIRST, convert_stack
from deeplake_mmdet.legacy.notes import Notebook, Settings
from deeplake_mmdet.legacy.onto_base import merge

__all__ = ["convert_detr", "convert_mask_head"]

Part = dict[str, Any]

_MOVED = ("encoder", "decoder", "positional_encoding")
_POSITIONS = {"num_feats": 128, "normalize": True}  # where a head of 2.x said nothing
# What the heads of 3.x read; those of 2.x passed over all else in silence.
_HEADS = ("DETRHead", "DeformableDETRHead")
_READ = (
    *("type", "num_classes", "embed_dims", "num_reg_fcs", "sync_cls_avg_factor", "loss_cls", "loss_bbox"),
    *("loss_iou", "train_cfg", "test_cfg", "init_cfg"),
)
_READ_DEFORMABLE = ("share_pred_layer", "num_pred_layer")


def convert_detr(model: Part, notes: Notebook) -> Part:
    """Move transformer and queries of a DETR's head to the detector, and its projection into a neck.

    Args:
        model: The whole model; not changed. One whose head has no transformer comes back as it is.
        notes: Where remarks go.

    Raises:
        ConfigError: Its positional encoding is of a kind that 3.x does not have in this place.
    """
    if not (model.get("bbox_head") or {}).get("transformer"):
        return model
    head = Settings(model["bbox_head"], "model.bbox_head", notes)
    transformer = Settings(head.take("transformer"), "model.bbox_head.transformer", notes)
    _own_kind(transformer, ("Transformer", "DeformableDetrTransformer"))
    deformable = model.get("type") == "DeformableDETR"
    encoder = convert_stack(transformer.take("encoder", {}), transformer.at("encoder"), notes)
    decoder = convert_stack(
        transformer.take("decoder", {}), transformer.at("decoder"), notes, decoder_order=SELF_FIRST
    )
    width = encoder.get("layer_cfg", {}).get("self_attn_cfg", {}).get("embed_dims", 256)
    detector: Part = {**model}
    two_stage = bool(head.take("as_two_stage", False)) if deformable else False
    detector["num_queries"] = _queries(head, transformer, deformable, two_stage)
    if deformable:
        detector |= {"with_box_refine": head.take("with_box_refine", False), "as_two_stage": two_stage}
        detector["num_feature_levels"] = transformer.take("num_feature_levels", 4)
        if (channels := head.take("in_channels")) is not None:
            notes.info(head.at("in_channels"), "left out", "the neck's channels count", old=channels)
        decoder.setdefault("post_norm_cfg", None)  # 3.x would put a norm there
    else:
        mapper = {
            "type": "ChannelMapper",
            "in_channels": [head.take("in_channels", 2048)],
            "kernel_size": 1,
            "out_channels": width,
            "act_cfg": None,
            "norm_cfg": None,
            "num_outs": 1,
        }
        own = model.get("neck") or {}
        # One of its own stood before the projection; the child of a 3.x base may change this one.
        detector["neck"] = [own, mapper] if own.get("type") else merge(mapper, own)
        decoder.setdefault("return_intermediate", True)
    detector |= {"encoder": encoder, "decoder": decoder}
    detector["positional_encoding"] = _positions(
        head.take("positional_encoding", _POSITIONS), head.at("positional_encoding"), notes
    )
    for name in ("num_queries", "with_box_refine", "as_two_stage", "num_feature_levels", *_MOVED):
        if name in model:  # said as 3.x says it, by the child of a 3.x base
            detector[name] = merge(detector.get(name), model[name])
    left = head.rest()
    if left.get("type") in _HEADS:
        read = (*_READ, *(_READ_DEFORMABLE if deformable else ()))
        for name in [name for name in left if name not in read]:
            notes.info(head.at(name), "left out", "2.x's head did not read it", old=left.pop(name))
    detector["bbox_head"] = left
    if not deformable or width != 256:  # the default of 3.x's; 2.x's took the transformer's
        detector["bbox_head"]["embed_dims"] = width
    transformer.drop("init_cfg", "the 3.x detector initialises itself")
    transformer.drop_rest("the 3.x detector has no such setting")
    return detector


def _queries(head: Settings, transformer: Settings, deformable: bool, two_stage: bool) -> int:
    queries = head.take("num_query", 300 if deformable else 100)
    proposals = transformer.take("two_stage_num_proposals", 300)
    if not two_stage:
        return int(queries)
    if proposals != queries:
        why = "the proposals of the first stage are the queries of the second"
        head.notes.info(head.at("num_query"), "left out", why, old=queries, new=proposals)
    return int(proposals)


def convert_mask_head(head: Part, notes: Notebook) -> Part:
    """Convert the settings of a Mask2Former or MaskFormer head.

    Args:
        head: ``model.panoptic_head``; not changed.
        notes: Where remarks go.

    Raises:
        ConfigError: A positional encoding is of a kind that 3.x does not have in this place.
    """
    key = "model.panoptic_head"
    new = dict(head)
    new["positional_encoding"] = _positions(
        head.get("positional_encoding"), f"{key}.positional_encoding", notes
    )
    if "num_queries" in head or "num_query" in head:
        new["num_queries"] = new.pop("num_query", head.get("num_queries"))
    be_dict(head.get("pixel_decoder"), f"{key}.pixel_decoder")
    pixels = dict(head.get("pixel_decoder") or {})
    if "encoder" in pixels:
        pixels["encoder"] = convert_stack(pixels["encoder"], f"{key}.pixel_decoder.encoder", notes)
    if "positional_encoding" in pixels:
        pixels["positional_encoding"] = _positions(
            pixels["positional_encoding"], f"{key}.pixel_decoder.positional_encoding", notes
        )
    new["pixel_decoder"] = pixels
    if "transformer_decoder" in head:
        order = CROSS_FIRST if head.get("type") == "Mask2FormerHead" else SELF_FIRST
        decoder = convert_stack(
            head["transformer_decoder"], f"{key}.transformer_decoder", notes, decoder_order=order
        )
        new["transformer_decoder"] = {**decoder, "init_cfg": None}
    return new


def _positions(encoding: Mapping[str, Any] | None, key: str, notes: Notebook) -> Part:
    settings = Settings(encoding, key, notes)
    if (kind := settings.take("type")) not in (None, "SinePositionalEncoding"):
        raise ConfigError(
            f"MMDetection 3.x has one kind of positions in this place, SinePositionalEncoding, not {kind}",
            where=f"config key '{key}.type'",
            advice="use SinePositionalEncoding and train anew, or register a detector of your own",
        )
    return settings.rest()


def _own_kind(settings: Settings, known: tuple[str, ...]) -> None:
    settings.drop("type", "3.x has one kind in this place", harmless=(None, *known))
