"""Names that MMDetection 2.0 to 2.19 took, also where its 2.28 would not."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch
import zoo
import zoo_compare
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy import as_legacy, convert_config_dict, merge
from deeplake_mmdet.legacy.models.model import convert_model_dict

BOXES = {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0] * 4, "target_stds": [0.1, 0.1, 0.2, 0.2]}
NEW_RPN = {"nms_pre": 200, "max_per_img": 100, "nms": {"type": "nms", "iou_threshold": 0.7}}
NEW_RPN |= {"min_bbox_size": 0}
OLD_RPN = {"nms_pre": 200, "nms_post": 100, "max_num": 100, "nms_thr": 0.7, "min_bbox_size": 0}
OLD_RPN |= {"nms_across_levels": False}


def faster(rpn, layer, threshold):
    """The model, ``train_cfg`` and ``test_cfg`` of a small Faster R-CNN."""
    widths = [64, 128, 256, 512]
    anchors = {"type": "AnchorGenerator", "scales": [8], "strides": [4, 8, 16, 32, 64]}
    anchors["ratios"] = [0.5, 1.0, 2.0]
    rpn_head = {"type": "RPNHead", "in_channels": 32, "feat_channels": 32, "anchor_generator": anchors}
    rpn_head["bbox_coder"] = BOXES
    extractor = {"type": "SingleRoIExtractor", "roi_layer": {"type": "RoIAlign", **layer}}
    extractor |= {"out_channels": 32, "featmap_strides": [4, 8, 16, 32]}
    box_head = {"type": "Shared2FCBBoxHead", "in_channels": 32, "fc_out_channels": 64, "num_classes": 3}
    box_head |= {"roi_feat_size": 7, "bbox_coder": BOXES}
    roi = {"type": "StandardRoIHead", "bbox_roi_extractor": extractor, "bbox_head": box_head}
    model = {
        "type": "FasterRCNN",
        "backbone": {"type": "ResNet", "depth": 18},
        "neck": {"type": "FPN", "in_channels": widths, "out_channels": 32, "num_outs": 5},
        "rpn_head": rpn_head,
        "roi_head": roi,
    }
    assigner = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "ignore_iof_thr": -1}
    sampler = {"type": "RandomSampler", "num": 64, "pos_fraction": 0.5}
    part = {"assigner": assigner, "sampler": sampler, "allowed_border": -1, "pos_weight": -1, "debug": False}
    train = {"rpn": part, "rpn_proposal": dict(rpn), "rcnn": part}
    final = {"score_thr": 0.0, "nms": {"type": "nms", **threshold}, "max_per_img": 50}
    return model, train, {"rpn": dict(rpn), "rcnn": final}


NEW = faster(NEW_RPN, {"output_size": 7, "sampling_ratio": 0}, {"iou_threshold": 0.5})
OLD = faster(OLD_RPN, {"out_size": 7, "sample_num": 0}, {"iou_thr": 0.5})


def test_old_names_make_the_model_of_the_new_ones():
    before = pickle.dumps(OLD)
    model, notes = convert_model_dict(*OLD)
    assert pickle.dumps(OLD) == before
    assert model == convert_model_dict(*NEW)[0]
    assert {note.severity for note in notes} == {"info"}
    said = {note.key for note in notes}
    assert {"train_cfg.rpn_proposal.nms_thr", "test_cfg.rpn.max_num", "test_cfg.rcnn.nms.iou_thr"} <= said


def test_a_model_of_old_names_is_built_and_predicts():
    zoo_compare.register()
    model, _ = convert_model_dict(*OLD)
    detector = MODELS.build(
        ConfigDict({**model, "data_preprocessor": {"type": "DetDataPreprocessor"}})
    ).eval()
    inputs = [torch.zeros(3, 64, 64, dtype=torch.uint8)]
    meta = {"img_shape": (64, 64), "ori_shape": (64, 64), "scale_factor": (1.0, 1.0), "img_id": 0}
    sample = DetDataSample(metainfo=meta)
    (found,) = detector.test_step({"inputs": inputs, "data_samples": [sample]})
    assert len(found.pred_instances) <= 50


@pytest.mark.parametrize(
    ("change", "key"),
    [({"max_per_img": 7}, "max_num"), ({"nms": {"type": "nms", "iou_threshold": 0.5}}, "nms_thr")],
)
def test_two_names_with_two_values_are_refused_as_2x_did(change, key):
    model, train, test = faster({**OLD_RPN, **change}, {"output_size": 7}, {"iou_threshold": 0.5})
    with pytest.raises(ConfigError, match=key):
        convert_model_dict(model, train, test)


def test_what_has_no_meaning_is_said():
    other = {**OLD_RPN, "nms_post": 500, "nms_across_levels": True}
    model, notes = convert_model_dict(*faster(other, {"output_size": 7}, {"iou_threshold": 0.5}))
    assert model["test_cfg"]["rpn"] == NEW_RPN
    said = {note.key: note.severity for note in notes if note.severity != "info"}
    assert said["test_cfg.rpn.nms_across_levels"] == "dropped"
    assert said["test_cfg.rpn.nms_post"] == "approximated"
    only = {"nms_pre": 200, "nms_post": 50, "nms_thr": 0.7}  # as the first versions read it
    model, _ = convert_model_dict(*faster(only, {"output_size": 7}, {"iou_threshold": 0.5}))
    assert model["test_cfg"]["rpn"]["max_per_img"] == 50


def test_guided_anchors_keep_what_they_read():
    model, train, test = deepcopy(OLD)
    model["rpn_head"]["type"] = "GARPNHead"
    made, _ = convert_model_dict(model, train, test)
    assert made["test_cfg"]["rpn"]["nms_post"] == 100
    assert made["test_cfg"]["rpn"]["nms"] == NEW_RPN["nms"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"add_extra_convs": True, "extra_convs_on_inputs": False}, "on_output"),
        ({"add_extra_convs": True, "extra_convs_on_inputs": True}, "on_input"),
        ({"add_extra_convs": "on_lateral", "extra_convs_on_inputs": True}, "on_lateral"),
        ({"add_extra_convs": False, "extra_convs_on_inputs": False}, False),
    ],
)
@pytest.mark.parametrize("kind", ["FPN", "PAFPN"])
def test_extra_levels_of_a_pyramid(kind, old, new):
    neck = {"type": kind, "in_channels": [8, 8], "out_channels": 8, "num_outs": 4, **old}
    model, _ = convert_model_dict({"type": "RetinaNet", "neck": neck}, None, None)
    assert model["neck"]["add_extra_convs"] == new
    assert "extra_convs_on_inputs" not in model["neck"]
    zoo_compare.register()
    MODELS.build(ConfigDict(model["neck"]))


@pytest.mark.parametrize("size", [300, 512])
def test_an_ssd_without_a_neck_is_that_of_2_28(size):
    """Its configs of before 2.14: the layers of the neck were the backbone's."""
    try:
        new = zoo.old(f"ssd/ssd{size}_coco.py")["model"]
    except zoo.NoIndexError as error:
        pytest.skip(str(error))
    old = deepcopy(new)
    del old["neck"], old["backbone"]["init_cfg"]
    old["neck"] = None
    old["pretrained"] = new["backbone"]["init_cfg"]["checkpoint"]
    old["backbone"] |= {"input_size": size, "l2_norm_scale": 20}
    train, test = old.pop("train_cfg"), old.pop("test_cfg")
    test["nms"] = {"type": "nms", "iou_thr": test["nms"]["iou_threshold"]}
    made, notes = convert_model_dict(old, train, test)
    assert made == convert_model_dict(new, None, None)[0]
    assert any(note.key == "model.neck" for note in notes)


def test_an_ssd_of_another_size_is_refused():
    old = {"type": "SingleStageDetector", "backbone": {"type": "SSDVGG", "input_size": 400}}
    with pytest.raises(ConfigError, match="400"):
        convert_model_dict({**old, "bbox_head": {"type": "SSDHead"}}, None, None)


def test_settings_beside_the_model_change_those_of_a_3x_base():
    """In early 2.x they stood beside the model, in the base as in the child."""
    base = as_legacy(zoo.official("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"))
    beside = {
        "train_cfg": {"rpn_proposal": {"max_num": 500}},
        "test_cfg": {"rpn": {"nms_thr": 0.8}, "rcnn": {"score_thr": 0.3}},
    }
    model = convert_config_dict(merge(base, beside))[0]["model"]
    assert model["train_cfg"]["rpn_proposal"]["max_per_img"] == 500
    assert model["test_cfg"]["rpn"]["nms"] == {"type": "nms", "iou_threshold": 0.8}
    assert model["test_cfg"]["rcnn"]["score_thr"] == 0.3
    assert model["test_cfg"]["rcnn"]["nms"] == {"type": "nms", "iou_threshold": 0.5}
    inside = convert_config_dict(merge(base, {"model": beside}))[0]["model"]
    assert inside == model


@pytest.mark.parametrize(("label", "severity"), [(None, "info"), (3, "info"), (0, "dropped")])
def test_the_label_of_the_background(label, severity):
    """Until 2.3 heads could be told; 2.4 and later have the last one, as 3.x."""
    head = {"type": "RetinaHead", "num_classes": 3, "in_channels": 8, "feat_channels": 8}
    model, notes = convert_model_dict(
        {"type": "RetinaNet", "bbox_head": {**head, "background_label": label}}, None, None
    )
    assert model["bbox_head"] == head
    assert [(note.key, note.severity) for note in notes] == [("model.bbox_head.background_label", severity)]


def test_ranges_of_a_semantic_head_become_its_numbers():
    head = {"type": "PanopticFPNHead", "num_stuff_classes": 3, "in_channels": 8, "inner_channels": 32}
    old = {**head, "num_classes": 4, "fg_range": (0, 6), "bg_range": (7, 9)}
    model, notes = convert_model_dict({"type": "PanopticFPN", "semantic_head": old}, None, None)
    assert model["semantic_head"] == {**head, "num_things_classes": 7}
    assert {note.key for note in notes} == {
        "model.semantic_head.fg_range, bg_range",
        "model.semantic_head.num_classes",
    }
    zoo_compare.register()
    assert MODELS.build(ConfigDict(model["semantic_head"])).conv_logits.out_channels == 4


@pytest.mark.parametrize("part", [{"type": "HourglassNet"}, {"type": "StandardRoIHead"}])
def test_no_pretrained_weights_of_a_part_are_no_argument(part):
    model, _ = convert_model_dict({"type": "CornerNet", "backbone": {**part, "pretrained": None}}, None, None)
    assert model["backbone"] == part
