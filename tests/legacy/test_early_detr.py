"""DETR as MMDetection 2.7 to 2.11 wrote it: one flat transformer, and weights in the assigner."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import zoo
import zoo_compare
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import as_legacy, convert_config_dict, merge
from deeplake_mmdet.legacy.models.model import convert_model_dict

OFFICIAL = "detr/detr_r50_8xb2-150e_coco.py"
FLAT = {"type": "Transformer", "embed_dims": 256, "num_heads": 8, "num_encoder_layers": 6}
FLAT |= {"num_decoder_layers": 6, "feedforward_channels": 2048, "dropout": 0.1, "num_fcs": 2}
FLAT |= {"act_cfg": {"type": "ReLU", "inplace": True}, "norm_cfg": {"type": "LN"}, "pre_norm": False}
FLAT |= {"return_intermediate_dec": True}
SINE = {"type": "SinePositionalEncoding", "num_feats": 128, "normalize": True}
CLASSES = {"type": "CrossEntropyLoss", "bg_cls_weight": 0.1, "use_sigmoid": False, "loss_weight": 1.0}
HEAD = {"type": "TransformerHead", "num_classes": 80, "in_channels": 2048, "num_fcs": 2}
HEAD |= {"transformer": FLAT, "positional_encoding": SINE, "loss_cls": {**CLASSES, "class_weight": 1.0}}
HEAD |= {"loss_bbox": {"type": "L1Loss", "loss_weight": 5.0}}
HEAD |= {"loss_iou": {"type": "GIoULoss", "loss_weight": 2.0}}
WEIGHTS = {"type": "HungarianAssigner", "cls_weight": 1.0, "bbox_weight": 5.0, "iou_weight": 2.0}
WEIGHTS |= {"iou_calculator": {"type": "BboxOverlaps2D"}, "iou_mode": "giou"}
COSTS = {"type": "HungarianAssigner", "cls_cost": {"type": "ClassificationCost", "weight": 1.0}}
COSTS |= {"reg_cost": {"type": "BBoxL1Cost", "weight": 5.0}}
COSTS |= {"iou_cost": {"type": "IoUCost", "iou_mode": "giou", "weight": 2.0}}


def converted(head=None, transformer=None, assigner=WEIGHTS, test=None, depth=50):
    """The model of an early DETR with changes, and the notes."""
    backbone = deepcopy(zoo.official(OFFICIAL)["model"]["backbone"]) | {"depth": depth}
    head = {**HEAD, "transformer": {**FLAT, **(transformer or {})}, **(head or {})}
    model = {"type": "DETR", "backbone": backbone, "bbox_head": head}
    return convert_model_dict(model, {"assigner": assigner}, test or {"max_per_img": 100})


def parameters(model):
    zoo_compare.register()
    with torch.device("meta"):
        built = MODELS.build(ConfigDict(zoo_compare.without(model, {"init_cfg"})))
    return {name: tuple(value.shape) for name, value in built.named_parameters()}


def test_it_is_the_detr_of_3x():
    model, notes = converted()
    official = zoo.official(OFFICIAL)["model"]
    assert parameters(model) == parameters(official)
    assert model["train_cfg"] == official["train_cfg"]  # boxes by centre and size, as in 2.7
    for name in ("encoder", "decoder", "positional_encoding", "num_queries"):
        theirs = official[name]
        if name in ("encoder", "decoder"):  # which says defaults, too
            theirs = deepcopy(theirs)
            for default in ("act_cfg", "num_fcs"):
                theirs["layer_cfg"]["ffn_cfg"].pop(default, None)
        assert model[name] == theirs, name
    assert {note.severity for note in notes} == {"info"}


def test_the_assigner_of_2_8():
    model, _ = converted(assigner=COSTS)
    costs = {cost["type"]: cost for cost in model["train_cfg"]["assigner"]["match_costs"]}
    assert costs["BBoxL1Cost"] == {"type": "BBoxL1Cost", "weight": 5.0, "box_format": "xyxy"}


def test_every_setting_reaches_the_layers():
    other = {"embed_dims": 64, "num_heads": 4, "num_encoder_layers": 2, "num_decoder_layers": 3}
    other |= {"feedforward_channels": 96, "dropout": 0.25, "num_fcs": 3, "return_intermediate_dec": False}
    other |= {"act_cfg": {"type": "GELU"}, "norm_cfg": {"type": "LN", "eps": 0.5}}
    head = {"num_fcs": 4, "in_channels": 512, "positional_encoding": {**SINE, "num_feats": 32}}
    model, notes = converted(head, other, test={"max_per_img": 30}, depth=18)
    zoo_compare.register()
    detector = MODELS.build(ConfigDict(zoo_compare.without(model, {"init_cfg"})))
    encoder, decoder = detector.encoder, detector.decoder
    assert (len(encoder.layers), len(decoder.layers), detector.num_queries) == (2, 3, 30)
    assert detector.neck.convs[0].conv.weight.shape == (64, 512, 1, 1)
    for layer, attentions in ((encoder.layers[0], 1), (decoder.layers[0], 2)):
        found = [part for part in (layer.self_attn, getattr(layer, "cross_attn", None)) if part is not None]
        assert len(found) == attentions
        for attention in found:
            assert (attention.embed_dims, attention.attn.num_heads) == (64, 4)
            assert attention.attn.dropout == 0.25
            assert attention.dropout_layer.p == 0.25
        linear = [part for part in layer.ffn.modules() if isinstance(part, torch.nn.Linear)]
        assert [part.out_features for part in linear] == [96, 96, 64]
        assert {part.p for part in layer.ffn.modules() if isinstance(part, torch.nn.Dropout)} == {0.25}
        assert any(isinstance(part, torch.nn.GELU) for part in layer.ffn.modules())
        assert {norm.eps for norm in layer.norms} == {0.5}
    assert (decoder.post_norm.eps, decoder.return_intermediate) == (0.5, False)
    assert len(list(detector.bbox_head.reg_ffn.modules())) > 0
    assert detector.bbox_head.num_reg_fcs == 4
    assert [note.key for note in notes if note.severity != "info"] == [
        "model.bbox_head.transformer.act_cfg"  # the boxes' branch has ReLU in 3.x
    ]


def test_what_is_not_said_is_as_it_was():
    """The transformer's own defaults, and those of a head without a transformer."""
    model, _ = converted()
    head = {name: value for name, value in HEAD.items() if name not in ("transformer", "positional_encoding")}
    bare = {"type": "DETR", "backbone": model["backbone"], "bbox_head": head}
    assert parameters(convert_model_dict(bare, {"assigner": WEIGHTS}, None)[0]) == parameters(model)
    bare["bbox_head"] = {**head, "transformer": {"type": "Transformer", "dropout": 0.1}}
    wide = convert_model_dict(bare, {"assigner": WEIGHTS}, None)[0]
    assert wide["encoder"]["layer_cfg"]["self_attn_cfg"]["embed_dims"] == 512
    assert wide["decoder"]["return_intermediate"] is False


@pytest.mark.parametrize("kind", ["TransformerHead", "DETRHead"])
def test_queries_are_counted_by_the_head_if_it_says_so(kind):
    model, notes = converted({"type": kind, "num_query": 40, "stacked_convs": 4, "reg_num_fcs": 3})
    assert model["num_queries"] == 40
    assert model["bbox_head"]["type"] == "DETRHead"
    assert "stacked_convs" not in model["bbox_head"]
    assert "model.bbox_head.stacked_convs" in {note.key for note in notes}
    assert model["bbox_head"].get("num_reg_fcs") == (3 if kind == "TransformerHead" else None)
    parameters(model)


@pytest.mark.parametrize(
    ("head", "transformer", "key"),
    [
        ({}, {"pre_norm": True}, "model.bbox_head.transformer.pre_norm"),
        (
            {"positional_encoding": {"type": "LearnedPositionalEncoding", "num_feats": 128}},
            {},
            "encoding.type",
        ),
    ],
)
def test_what_no_detr_of_3x_does_is_refused_by_its_key(head, transformer, key):
    with pytest.raises(ConfigError, match=key):
        converted(head, transformer)


def test_the_child_of_a_missing_base_changes_its_layers():
    base = as_legacy(zoo.official(OFFICIAL))
    head = {"type": "TransformerHead", "num_fcs": 3, "transformer": {"num_encoder_layers": 2, "dropout": 0.3}}
    child = {"model": {"bbox_head": head, "train_cfg": {"assigner": {"bbox_weight": 7.0}}}}
    model = convert_config_dict(merge(base, child))[0]["model"]
    assert (model["encoder"]["num_layers"], model["decoder"]["num_layers"]) == (2, 6)
    for stack in ("encoder", "decoder"):
        layer = model[stack]["layer_cfg"]
        assert (layer["self_attn_cfg"]["dropout"], layer["ffn_cfg"]["ffn_drop"]) == (0.3, 0.3)
        assert (layer["self_attn_cfg"]["embed_dims"], layer["ffn_cfg"]["feedforward_channels"]) == (256, 2048)
    assert model["bbox_head"]["num_reg_fcs"] == 3
    costs = {cost["type"]: cost for cost in model["train_cfg"]["assigner"]["match_costs"]}
    assert costs["BBoxL1Cost"] == {"type": "BBoxL1Cost", "weight": 7.0, "box_format": "xywh"}
    assert costs["ClassificationCost"]["weight"] == 1.0
    parameters(model)
