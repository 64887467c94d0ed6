"""The model: settings in old places, renamed ones, and the preprocessor that took over from the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.legacy.guard import converting
from deeplake_mmdet.legacy.kinds import be_dict
from deeplake_mmdet.legacy.models.early_detr import early_detr
from deeplake_mmdet.legacy.models.early_models import Around, early_names, early_ssd
from deeplake_mmdet.legacy.models.shapes_of_models import check_model
from deeplake_mmdet.legacy.models.transformers import convert_detr, convert_mask_head
from deeplake_mmdet.legacy.names import counterpart
from deeplake_mmdet.legacy.notes import Note, Notebook
from deeplake_mmdet.legacy.onto_base import merge
from deeplake_mmdet.legacy.packages import modern_types
from deeplake_mmdet.legacy.pipelines.facts import Facts

__all__ = ["convert_model", "convert_model_dict", "preprocessor_of"]

Part = dict[str, Any]

_COSTS = ("cls_cost", "reg_cost", "iou_cost", "mask_cost", "dice_cost")
_LOOP_KEYS = ("type", "max_epochs", "max_iters", "val_interval", "val_begin", "dynamic_intervals")


def convert_model(cfg: Mapping[str, Any], facts: Mapping[str, list[Facts]], notes: Notebook) -> Part | None:
    """Convert ``model`` and give it the preprocessor that the pipelines imply.

    Args:
        cfg: A whole 2.x config; also ``train_cfg``, ``test_cfg`` and ``pretrained`` are read.
        facts: By split, what the pipelines say of normalisation, padding and masks.
        notes: Where remarks go.

    Returns:
        The 3.x model; None if the config has none.

    Raises:
        ConfigError: A setting stands in two places with different values, or has no counterpart in 3.x; or
            the pipelines normalise differently.
    """
    if not cfg.get("model"):
        why = "the file has no model; this is what belongs into the one that it is for"
        notes.info("model", "no data_preprocessor is made", why, new=preprocessor_of(facts, notes))
        return None
    check_model(cfg)
    head = cfg["model"].get("rpn_head")
    guided = isinstance(head, Mapping) and head.get("type") == "GARPNHead"
    around = Around(guided, stock="data_preprocessor" in cfg["model"])
    model = early_ssd(dict(_walk(cfg["model"], "model", notes, around)), "model", notes)
    model = _old_places(cfg, model, notes, around)
    model = _detector(model, facts.get("train", []), notes)
    found = preprocessor_of(facts, notes)
    model = _yolox(model, found, notes)
    given = model.pop("data_preprocessor", None)  # of a 3.x base
    if given is not None:
        found = {**given, **{name: value for name, value in found.items() if name != "type"}}
    return {"type": model.pop("type", None), "data_preprocessor": found, **model}


def convert_model_dict(
    model: Mapping[str, Any], train_cfg: Mapping[str, Any] | None, test_cfg: Mapping[str, Any] | None
) -> tuple[Part, list[Note]]:
    """Convert the ``model`` of a 2.x config alone, without a preprocessor: only its pipelines imply one.

    Args:
        model: The model; not changed. One with a ``data_preprocessor`` is for 3.x and comes back as it is.
        train_cfg: The ``train_cfg`` that old configs have beside the model; None if there is none.
        test_cfg: The ``test_cfg`` that old configs have beside the model; None if there is none.

    Returns:
        The 3.x model, and notes on everything that was changed, approximated or left out.

    Raises:
        ConfigError: A setting stands in both places, or cannot be converted.
    """
    if "data_preprocessor" in model:
        return dict(model), []
    notes = Notebook()
    beside = {"train_cfg": train_cfg, "test_cfg": test_cfg}
    with converting("model"):
        whole = {"model": modern_types(model, notes, "model"), **beside}
        converted = dict(convert_model(whole, {}, notes) or {})
    converted.pop("data_preprocessor", None)
    return converted, list(notes)


def preprocessor_of(facts: Mapping[str, list[Facts]], notes: Notebook) -> Part:
    """Make ``model.data_preprocessor`` of what the pipelines say.

    Args:
        facts: By split, what the pipelines say of normalisation, padding and masks.
        notes: Where remarks go.

    Raises:
        ConfigError: Training and validation normalise differently.
    """
    train, test = facts.get("train", []), [item for name in ("val", "test") for item in facts.get(name, [])]
    everything = [*train, *test]
    new: Part = {"type": "DetDataPreprocessor"}
    norms = [item.normalize for item in everything if item.normalize is not None]
    for other in norms[1:]:
        if other != norms[0]:
            raise ConfigError(
                "Training and validation normalise images differently",
                where=f"Normalize steps of the pipelines: {norms[0]} and {other}",
                advice="give all pipelines the same img_norm_cfg: 3.x normalises in the model",
            )
    if norms and (others := [split for split in facts if _leaves_raw(facts[split])]):
        notes.approximated(
            "Normalize",
            f"images of data.{', '.join(others)} are normalised too",
            "3.x normalises in the model",
        )
    if norms:
        reorder = norms[0]["to_rgb"] != any(item.rgb for item in everything)
        new |= {"mean": norms[0]["mean"], "std": norms[0]["std"], "bgr_to_rgb": reorder}
    elif any(item.rgb for item in everything):
        new["bgr_to_rgb"] = True
    divisors = sorted({item.divisor for item in everything if item.divisor}, reverse=True)
    if divisors:
        new["pad_size_divisor"] = divisors[0]
    if len(divisors) > 1:
        notes.approximated(
            "Pad.size_divisor",
            "all images are padded alike",
            "3.x has one preprocessor",
            old=divisors,
            new=divisors[0],
        )
    value = next((item.pad_value for item in everything if item.pad_value), None)
    if value:
        new["pad_value"] = value
    pads: Part = {}
    if any(item.masks for item in train):
        pads["pad_mask"] = True
        if (mask_pad := next((item.mask_pad for item in train if item.mask_pad), None)) is not None:
            pads["mask_pad_value"] = mask_pad
    if any(item.seg for item in train):
        pads["pad_seg"] = True
        if (seg_pad := next((item.seg_pad for item in train if item.seg_pad is not None), None)) is not None:
            pads["seg_pad_value"] = seg_pad
    new |= pads
    size = next((item.fixed_pad for item in train if item.fixed_pad), None)
    if size:
        pad: Part = {"type": "BatchFixedSizePad", "size": size}
        if value:
            pad["img_pad_value"] = value
        pad |= {"pad_mask": False, "pad_seg": False, **pads}
        new["batch_augments"] = [pad]
    return new


def _leaves_raw(facts: list[Facts]) -> bool:
    """Whether a split's 2.x pipelines do not normalise; those of a 3.x base never do it themselves."""
    stock = any("PackDetInputs" in item.seen for item in facts)
    return bool(facts) and not stock and not any(item.normalize for item in facts)


def _old_places(cfg: Mapping[str, Any], model: Part, notes: Notebook, around: Around) -> Part:
    """``train_cfg`` and ``test_cfg`` beside the model, and ``pretrained``."""
    for name in ("train_cfg", "test_cfg"):
        outside = cfg.get(name)
        if isinstance(outside, Mapping) and not set(outside) <= set(_LOOP_KEYS):
            inside = model.get(name)
            if inside and not around.stock:
                raise ConfigError(
                    f"{name} stands both in the model and beside it",
                    where=f"config keys '{name}', 'model.{name}'",
                )
            # A 3.x base has it inside, where a child of the 2.x one could say it beside.
            model[name] = merge(inside or {}, _walk(outside, name, notes, around))
            notes.info(name, f"moves to model.{name}", "3.x calls the training loop so")
    if pretrained := model.pop("pretrained", None):
        backbone = dict(model.get("backbone") or {})
        backbone["init_cfg"] = {"type": "Pretrained", "checkpoint": pretrained}
        model["backbone"] = backbone
    return model


def _walk(node: Any, key: str, notes: Notebook, around: Around) -> Any:
    """Renames that do not depend on where they stand."""
    if isinstance(node, (list, tuple)):
        return type(node)(_walk(item, f"{key}[{number}]", notes, around) for number, item in enumerate(node))
    if not isinstance(node, Mapping):
        return node
    new: Part = {name: _walk(value, f"{key}.{name}", notes, around) for name, value in node.items()}
    new = early_names(new, key, notes, around)
    if isinstance(teacher := new.get("teacher_config"), str) and (name := counterpart(teacher)):
        new["teacher_config"] = f"configs/{name}"
        notes.info(f"{key}.teacher_config", "names the 3.x file", old=teacher, new=new["teacher_config"])
    kind = new.get("type")
    if isinstance(kind, str):
        if kind in ("HungarianAssigner", "MaskHungarianAssigner"):
            new = _assigner(new, key)
        elif kind in ("CenterNetHead", "CTResNetNeck"):
            for old, now in (("in_channel", "in_channels"), ("feat_channel", "feat_channels")):
                if old in new:
                    new[now] = new.pop(old)
        elif kind.startswith("Ascend"):
            new["type"] = kind.removeprefix("Ascend")
            notes.info(
                f"{key}.type",
                "becomes the plain one",
                "3.x has no variants for NPUs",
                old=kind,
                new=new["type"],
            )
        elif kind == "SSDHead":
            new["type"] = "deeplake_mmdet.SSDHead"
            why = "MMDetection 3.x's own cannot predict; parameters and checkpoints are the same"
            notes.info(f"{key}.type", "becomes ours", why, old=kind, new=new["type"])
        elif kind == "StageCascadeRPNHead":
            _leave_out(new, "sampling", key, "it follows from train_cfg", notes)
        elif kind == "CascadeRPNHead":
            new.setdefault("num_classes", 1)  # 3.x asks for it
        elif kind == "NASFPN":
            _leave_out(new, "add_extra_convs", key, "2.x never read it", notes)
        elif kind in ("NormedLinear", "NormedConv2d") and "tempearture" in new:
            new["temperature"] = new.pop("tempearture")
    return new


def _leave_out(node: Part, name: str, key: str, why: str, notes: Notebook) -> None:
    if name in node:
        notes.info(f"{key}.{name}", "left out", why, old=node.pop(name))


def _assigner(assigner: Part, key: str) -> Part:
    """Costs by name -> a list of costs."""
    if "match_costs" in assigner:
        return {
            **{name: value for name, value in assigner.items() if name not in _COSTS},
            "type": "HungarianAssigner",
        }
    usual: dict[str, Part] = {"cls_cost": {"type": "ClassificationCost", "weight": 1.0}}
    if assigner["type"] == "HungarianAssigner":
        usual["reg_cost"] = {"type": "BBoxL1Cost", "weight": 1.0}
        usual["iou_cost"] = {"type": "IoUCost", "iou_mode": "giou", "weight": 1.0}
    else:
        usual["mask_cost"] = {"type": "FocalLossCost", "weight": 1.0, "binary_input": True}
        usual["dice_cost"] = {"type": "DiceCost", "weight": 1.0}
    costs = []
    for name in _COSTS:
        cost = assigner.pop(name, usual.get(name))
        be_dict(cost, f"{key}.{name}")
        if cost is None or not cost.get("weight", 1.0):
            continue
        if cost.get("type") == "BBoxL1Cost":
            cost = {**cost, "box_format": cost.get("box_format", "xyxy")}
        costs.append(cost)
    return {**assigner, "type": "HungarianAssigner", "match_costs": costs}


def _detector(model: Part, facts: list[Facts], notes: Notebook) -> Part:
    """Renames that depend on the detector."""
    kind = str(model.get("type", ""))
    scale = next((item.seg_scale for item in facts if item.seg_scale is not None), None)
    if kind in ("DETR", "DeformableDETR"):
        model = convert_detr(early_detr(model, notes), notes)
    if isinstance(model.get("panoptic_head"), Mapping):
        model["panoptic_head"] = convert_mask_head(dict(model["panoptic_head"]), notes)
    if kind == "FCOS" and model.get("train_cfg"):
        why = "FCOS assigns boxes by itself and never used it"
        notes.info("model.train_cfg", "left out", why, old=model["train_cfg"])
        model["train_cfg"] = None
    if kind == "YOLACT" and "segm_head" in model:
        model = _yolact(model, notes)
    if kind in ("PanopticFPN", "TwoStagePanopticSegmentor") and isinstance(model.get("test_cfg"), Mapping):
        test = dict(model["test_cfg"])
        if panoptic := test.get("panoptic"):
            # The fusion head reads its own two; the rest moved to the boxes and masks that it fuses.
            own = ("mask_overlap", "stuff_area_limit")
            moved = {name: value for name, value in panoptic.items() if name not in own}
            if replaced := {
                name: value
                for name, value in (test.get("rcnn") or {}).items()
                if moved.get(name, value) != value
            }:
                why = "test_cfg.panoptic decides, and 3.x reads its settings here"
                notes.info("model.test_cfg.rcnn", "replaced", why, old=replaced, new=moved)
            test["rcnn"] = {**(test.get("rcnn") or {}), **moved}
            test["panoptic"] = {name: panoptic[name] for name in own if name in panoptic}
            model["test_cfg"] = test
    if scale is not None:
        model = _semantic_scale(model, scale, notes)
    return model


def _semantic_scale(model: Part, scale: float, notes: Notebook) -> Part:
    """SegRescale of the pipeline -> the head that reads the maps."""
    roi = model.get("roi_head")
    if isinstance(roi, Mapping) and isinstance(roi.get("semantic_head"), Mapping):
        model["roi_head"] = {**roi, "semantic_head": {**roi["semantic_head"], "seg_scale_factor": scale}}
    elif isinstance(model.get("semantic_head"), Mapping):
        if scale != 0.25:  # the head's default
            model["semantic_head"] = {**model["semantic_head"], "seg_rescale_factor": scale}
    else:
        notes.dropped("SegRescale", "dropped", "no head of this model reads scaled semantic maps", old=scale)
    return model


def _yolact(model: Part, notes: Notebook) -> Part:
    segmentation = dict(model.pop("segm_head"))
    why = "its loss moves to mask_head.loss_segm; classes and channels are those of the mask head"
    notes.info("model.segm_head", "becomes part of the mask head", why, old=segmentation)
    mask_head = {**model.get("mask_head", {}), "with_seg_branch": True}
    mask_head["loss_segm"] = segmentation.get(
        "loss_segm", {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
    )
    test = {**model.get("test_cfg", {}), "mask_thr": 0.5, "mask_thr_binary": 0.5}
    return {**model, "mask_head": mask_head, "test_cfg": test}


def _yolox(model: Part, preprocessor: Part, notes: Notebook) -> Part:
    """Resizing of whole batches moved into the preprocessor; sizes are pixels now."""
    if model.get("type") != "YOLOX":
        return model
    if "data_preprocessor" in model and not {"input_size", "random_size_range"} & set(model):
        return model  # of a 3.x base
    _leave_out(model, "input_size", "model", "the pipeline's size counts until the first change", notes)
    low, high = model.pop("random_size_range", (15, 25))
    step, every = model.pop("size_multiplier", 32), model.pop("random_size_interval", 10)
    preprocessor.setdefault("pad_size_divisor", step)
    if low != high:
        preprocessor["batch_augments"] = [
            {
                "type": "BatchSyncRandomResize",
                "random_size_range": (low * step, high * step),
                "size_divisor": step,
                "interval": every,
            },
            *preprocessor.get("batch_augments", []),
        ]
    return model
