"""Children, written for 2.x, of models whose settings 3.x moved: DETR and its like, from their 3.x bases."""

from __future__ import annotations

import json

import pytest
import torch
import zoo
import zoo_compare
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from deeplake_mmdet.legacy import as_legacy, convert_config_dict, merge
from deeplake_mmdet.legacy.models.model import convert_model
from deeplake_mmdet.legacy.models.old_models import as_old_model
from deeplake_mmdet.legacy.notes import Notebook

FOLDERS = (
    *("detr", "deformable_detr", "mask2former", "maskformer", "queryinst", "sparse_rcnn", "yolox"),
    *("yolact", "centernet", "fcos", "panoptic_fpn", "htc"),
)
DETR = "detr/detr_r50_8xb2-150e_coco.py"
DEFORMABLE = "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py"
TWO_STAGE = "deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py"
MASKS = "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py"


def models():
    paths = [path for folder in FOLDERS for path in sorted((zoo.OFFICIAL / folder).glob("*.py"))]
    for path in paths:
        name = str(path.relative_to(zoo.OFFICIAL))
        if model := zoo.official(name).get("model"):
            yield name, model


def plain(value):
    return json.loads(json.dumps(value, default=str))


def test_a_stock_model_comes_back_as_it_is_and_without_a_word():
    found = 0
    for name, model in models():
        before = plain(model)
        notes = Notebook()
        again = plain(convert_model({"model": as_old_model(model)}, {}, notes))
        assert plain(model) == before
        expected = plain(model)
        if decoder := (expected.get("panoptic_head") or {}).get("transformer_decoder"):
            decoder.setdefault("init_cfg", None)  # the default
        if (expected.get("test_cfg") or {}).get("panoptic") is not None or name.startswith("yolact"):
            continue  # no 2.x layout; these pass as they are
        assert again == expected, name
        assert not [note for note in notes if note.severity != "info"], name
        found += 1
    assert found > 30


def child(base, **model):
    """The model of a 2.x config that has this base and changes it."""
    merged = merge(as_legacy(zoo.official(base)), {"model": model})
    content, notes = convert_config_dict(merged)
    return content["model"], list(notes)


def built(model):
    zoo_compare.register()
    model["backbone"] = {**model["backbone"], "init_cfg": None}
    with torch.device("meta"):
        return MODELS.build(ConfigDict(model))


def test_a_detr():
    model, notes = child(
        DETR,
        backbone={"depth": 18},
        bbox_head={
            "num_query": 50,
            "num_classes": 3,
            "in_channels": 512,
            "transformer": {
                "encoder": {"num_layers": 2, "transformerlayers": {"feedforward_channels": 64}},
                "decoder": {"num_layers": 1, "transformerlayers": {"ffn_dropout": 0.3}},
            },
            "positional_encoding": {"normalize": False},
        },
        train_cfg={"assigner": {"cls_cost": {"weight": 7.0}}},
    )
    detector = built(model)
    assert (detector.num_queries, len(detector.encoder.layers), len(detector.decoder.layers)) == (50, 2, 1)
    assert detector.encoder.layers[0].ffn.feedforward_channels == 64
    assert detector.decoder.layers[0].ffn.layers[-1].p == 0.3
    assert detector.neck.convs[0].conv.in_channels == 512
    assert model["positional_encoding"] == {"num_feats": 128, "normalize": False}
    costs = {cost["type"]: cost["weight"] for cost in model["train_cfg"]["assigner"]["match_costs"]}
    assert costs == {"ClassificationCost": 7.0, "BBoxL1Cost": 5.0, "IoUCost": 2.0}
    assert not [note for note in notes if note.severity != "info"]


def test_a_deformable_detr():
    layers = {"transformer": {"encoder": {"num_layers": 3}, "decoder": {"num_layers": 2}}}
    head = {"num_query": 100, "num_classes": 3, "with_box_refine": True, **layers}
    cost = {"type": "FocalLossCost", "weight": 1.0}
    model, notes = child(DEFORMABLE, bbox_head=head, train_cfg={"assigner": {"cls_cost": cost}})
    detector = built(model)
    assert (detector.num_queries, detector.with_box_refine) == (100, True)
    assert (len(detector.encoder.layers), len(detector.decoder.layers)) == (3, 2)
    assert len(detector.bbox_head.cls_branches) == 2
    assert model["train_cfg"]["assigner"]["match_costs"][0] == cost
    assert not [note for note in notes if note.severity != "info"]


def test_a_deformable_detr_is_as_wide_as_its_transformer():
    attention = {"attn_cfgs": {"embed_dims": 64, "num_heads": 4}}
    decoder = [{"type": "MultiheadAttention", "embed_dims": 64, "num_heads": 4}]
    decoder.append({"type": "MultiScaleDeformableAttention", "embed_dims": 64, "num_heads": 4})
    layers = {"encoder": {"num_layers": 1, "transformerlayers": attention}}
    layers["decoder"] = {"num_layers": 1, "transformerlayers": {"attn_cfgs": decoder}}
    head = {"transformer": layers, "positional_encoding": {"num_feats": 32}}
    model, _ = child(DEFORMABLE, neck={"out_channels": 64}, bbox_head=head)
    detector = built(model)
    assert detector.bbox_head.embed_dims == detector.encoder.embed_dims == 64
    assert "embed_dims" not in child(DEFORMABLE, bbox_head={"num_query": 9})[0]["bbox_head"]  # 3.x's own


def test_two_stages_have_as_many_queries_as_proposals():
    """2.x took the transformer's number, 300 if it did not say, and left the head's alone."""
    model, notes = child(TWO_STAGE, bbox_head={"num_query": 100})
    assert model["num_queries"] == 300
    assert any(note.key == "model.bbox_head.num_query" for note in notes)
    model, _ = child(TWO_STAGE, bbox_head={"transformer": {"two_stage_num_proposals": 50}})
    assert model["num_queries"] == 50
    model, _ = child(DEFORMABLE, bbox_head={"num_query": 40, "transformer": {"two_stage_num_proposals": 50}})
    assert model["num_queries"] == 40
    model, _ = child(DEFORMABLE, bbox_head={"as_two_stage": True})
    assert (model["as_two_stage"], model["num_queries"]) == (True, 300)


def test_a_mask2former():
    decoder = {"num_layers": 3, "transformerlayers": {"attn_cfgs": {"attn_drop": 0.1}}}
    pixels = {"encoder": {"num_layers": 2, "transformerlayers": {"attn_cfgs": {"num_points": 2}}}}
    head = {"num_things_classes": 3, "num_stuff_classes": 2, "num_queries": 20, "pixel_decoder": pixels}
    head |= {"transformer_decoder": decoder, "loss_cls": {"class_weight": [1.0] * 5 + [0.1]}}
    fusion = {"num_things_classes": 3, "num_stuff_classes": 2}
    costs = {"assigner": {"mask_cost": {"weight": 9.0}}}
    model, notes = child(MASKS, panoptic_head=head, panoptic_fusion_head=fusion, train_cfg=costs)
    detector = built(model)
    assert detector.panoptic_head.num_queries == 20
    decoder = detector.panoptic_head.transformer_decoder
    assert (len(decoder.layers), decoder.layers[0].cross_attn.attn.dropout) == (3, 0.1)
    assert detector.panoptic_head.pixel_decoder.encoder.layers[0].self_attn.num_points == 2
    weights = [cost["weight"] for cost in model["train_cfg"]["assigner"]["match_costs"]]
    assert weights == [2.0, 9.0, 5.0]
    assert not [note for note in notes if note.severity != "info"]


@pytest.mark.parametrize("base", ["sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py"])
def test_costs_of_many_stages(base):
    """A child names the stages anew: lists replace each other."""
    stages = [
        {"assigner": {"type": "HungarianAssigner", "cls_cost": {"type": "FocalLossCost", "weight": 1.0}}}
    ]
    model, _ = child(base, train_cfg={"rcnn": stages * 6})
    for stage in model["train_cfg"]["rcnn"]:
        costs = {cost["type"]: cost["weight"] for cost in stage["assigner"]["match_costs"]}
        assert costs == {"FocalLossCost": 1.0, "BBoxL1Cost": 1.0, "IoUCost": 1.0}


def test_what_a_child_says_as_3x_says_it():
    model, _ = child(DETR, num_queries=30, encoder={"num_layers": 2})
    assert (model["num_queries"], model["encoder"]["num_layers"]) == (30, 2)
    costs = [{"type": "ClassificationCost", "weight": 4.0}]
    model, _ = child(DETR, train_cfg={"assigner": {"match_costs": costs}})
    assert model["train_cfg"]["assigner"] == {"type": "HungarianAssigner", "match_costs": costs}


def test_a_nano_yolox_keeps_its_range_of_sizes():
    """Not that of 2.x's default: its base had another."""
    model, _ = child("yolox/yolox_nano_8xb8-300e_coco.py", input_size=(320, 320))
    (resize,) = model["data_preprocessor"]["batch_augments"]
    assert resize["random_size_range"] == (320, 640)
    model, _ = child("yolox/yolox_nano_8xb8-300e_coco.py", random_size_range=(10, 10))
    assert not model["data_preprocessor"].get("batch_augments")
