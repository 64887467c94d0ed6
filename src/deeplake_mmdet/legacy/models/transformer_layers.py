"""Encoders and decoders of transformer models: ``transformerlayers`` -> ``layer_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.kinds import DICT, TEXTS, each, either, maybe, must_be
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["CROSS_FIRST", "SELF_FIRST", "convert_stack"]

Part = dict[str, Any]

SELF_FIRST = ("self_attn", "norm", "cross_attn", "norm", "ffn", "norm")
CROSS_FIRST = ("cross_attn", "norm", "self_attn", "norm", "ffn", "norm")  # Mask2Former's
_ENCODER = ("self_attn", "norm", "ffn", "norm")
_STACKS = ("DetrTransformerEncoder", "DetrTransformerDecoder", "DeformableDetrTransformerDecoder")
_LAYERS = ("BaseTransformerLayer", "DetrTransformerDecoderLayer")
_ATTENTIONS = ("MultiheadAttention", "MultiScaleDeformableAttention")
_DICTS = each(DICT, "a list of dicts", "[dict(...)]")
_LAYER_LIST = each(DICT, "a list of dicts with at least one", "[dict(...)]", least=1)
_ONE_PLACE = "3.x has one kind in this place"


def convert_stack(
    stack: Mapping[str, Any], key: str, notes: Notebook, *, decoder_order: tuple[str, ...] | None = None
) -> Part:
    """Convert an encoder or decoder.

    Args:
        stack: The 2.x settings.
        key: Their dotted path.
        notes: Where remarks go.
        decoder_order: What a layer of the 3.x decoder does in turn; None for encoders.
    """
    settings = Settings(stack, key, notes)
    settings.drop("type", _ONE_PLACE, harmless=(None, *_STACKS))
    settings.drop("init_cfg", "the 3.x detector initialises itself")
    layers = settings.take("transformerlayers")
    place = settings.at("transformerlayers")
    must_be(maybe(either(DICT, _LAYER_LIST)), layers, place)
    if isinstance(layers, (list, tuple)):
        if any(layer != layers[0] for layer in layers):
            notes.dropped(place, "all layers are like the first", "3.x has one layer_cfg", old=list(layers))
        layers = layers[0]
    new = settings.rest()
    if layers:
        new["layer_cfg"] = _layer(Settings(layers, place, notes), decoder_order or _ENCODER)
    return new


def _layer(settings: Settings, usual: tuple[str, ...]) -> Part:
    take = settings.take
    settings.drop("type", _ONE_PLACE, harmless=(None, *_LAYERS))
    order = take("operation_order") or usual
    must_be(TEXTS, order, settings.at("operation_order"))
    order = tuple(order)
    if order != usual:
        why = "the layers of 3.x have a fixed order"
        settings.notes.dropped(settings.at("operation_order"), f"becomes {usual}", why, old=order)
    attentions = take("attn_cfgs") or {}
    must_be(either(_DICTS, DICT), attentions, settings.at("attn_cfgs"))
    attentions = [attentions] if isinstance(attentions, Mapping) else list(attentions)
    names = [name for name in order if name.endswith("attn")]
    if len(attentions) == 1 and len(names) > 1:
        attentions = attentions * len(names)
    place = settings.at("attn_cfgs")
    new: Part = {
        f"{name}_cfg": _attention(Settings(part, place, settings.notes))
        for name, part in zip(names, attentions, strict=False)
    }
    new["ffn_cfg"] = _feed_forward(settings, attentions[0].get("embed_dims", 256) if attentions else 256)
    if (norm := take("norm_cfg")) not in (None, {"type": "LN"}):  # 3.x's default
        new["norm_cfg"] = norm
    _batch_first(settings)
    settings.drop("init_cfg", "the 3.x detector initialises itself")
    settings.drop_rest("the layers of 3.x have no such setting")
    return new


def _attention(settings: Settings) -> Part:
    settings.drop("type", _ONE_PLACE, harmless=(None, *_ATTENTIONS))
    new = settings.move("embed_dims", "num_heads", "num_levels", "num_points", "im2col_step")
    if new.get("im2col_step") == 64:  # the default
        del new["im2col_step"]
    one = settings.take("dropout")
    inside, behind, layer = (settings.take(name) for name in ("attn_drop", "proj_drop", "dropout_layer"))
    if one is None and inside is not None and inside == (behind or 0.0) and not layer:
        one = inside  # the same as dropout inside, and of what is added to the input
    if one is not None:
        new["dropout"] = one
    else:
        given = {"attn_drop": inside, "proj_drop": behind, "dropout_layer": layer}
        new |= {name: value for name, value in given.items() if value is not None}
    new["batch_first"] = True  # of all 3.x layers
    _batch_first(settings)
    settings.drop("norm_cfg", "3.x has no norm here")
    settings.drop("init_cfg", "the 3.x detector initialises itself")
    return {**new, **settings.rest()}


def _batch_first(settings: Settings) -> None:
    if (first := settings.take("batch_first")) is not None:
        why = "the order of dimensions inside; what is computed stays the same"
        settings.notes.info(settings.at("batch_first"), "becomes True", why, old=first, new=True)


def _feed_forward(layer: Settings, width: int) -> Part:
    """Settings of the layer win over those of ``ffn_cfgs``, as in 2.x."""
    given = Settings(layer.take("ffn_cfgs"), layer.at("ffn_cfgs"), layer.notes)
    given.drop("type", _ONE_PLACE, harmless=(None, "FFN"))
    given.drop("embed_dims", "it is that of the attention", harmless=(None, width))
    new: Part = {"embed_dims": width}
    outer = {"feedforward_channels": "feedforward_channels", "num_fcs": "ffn_num_fcs"}
    outer["ffn_drop"] = "ffn_dropout"
    for name, outside in outer.items():
        inner, value = given.take(name), layer.take(outside)
        if value is not None and inner is not None and value != inner:
            why = f"{layer.at(outside)} wins, as in 2.x"
            layer.notes.info(given.at(name), "left out", why, old=inner, new=value)
        value = inner if value is None else value
        if value is not None:
            new[name] = value
    activation = layer.take("act_cfg")
    if (activation := given.take("act_cfg", activation)) is not None:
        new["act_cfg"] = activation
    if not given.take("add_identity", True):
        new["add_identity"] = False
    if layer_drop := given.take("dropout_layer"):
        new["dropout_layer"] = layer_drop
    given.drop("init_cfg", "the 3.x detector initialises itself")
    return {**new, **given.rest()}
