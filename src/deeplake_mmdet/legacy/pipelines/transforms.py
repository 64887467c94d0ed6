"""The table of transforms: each 2.x type -> its 3.x equal.

What a step hands to the model's preprocessor instead (normalisation, padding) it writes into the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.notes import Notebook, Settings
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step
from deeplake_mmdet.legacy.pipelines.magnitudes import enhance, equalize, rotate, shear, translate
from deeplake_mmdet.legacy.pipelines.padding import AFTER_PADDING, normalize, pad, pad_others
from deeplake_mmdet.legacy.pipelines.sizes import random_crop, sized

__all__ = ["convert_step", "kinds_of"]

_KEYS = ("img", "gt_bboxes", "gt_labels", "gt_masks", "gt_semantic_seg", "proposals", "gt_bboxes_ignore")
# Arguments that only 3.x has: of a base that is there in its 3.x form.
_NEW_LOADING = ("box_type", "reduce_zero_label", "ignore_index", "imdecode_backend", "backend_args")
_FORMATTING = (
    "DefaultFormatBundle",
    "ImageToTensor",
    "ToTensor",
    "ToDataContainer",
    "Transpose",
    "WrapFieldsToLists",
)


def convert_step(step: Mapping[str, Any], key: str, facts: Facts, notes: Notebook) -> list[Step]:
    """Convert one transform.

    Args:
        step: The 2.x transform.
        key: Its dotted path.
        facts: What the pipeline says so far; added to.
        notes: Where remarks go.

    Returns:
        The transforms that take its place: none, one, or several.
    """
    kind = str(step.get("type", "")).removeprefix("mmdet.")
    settings = Settings({name: value for name, value in step.items() if name != "type"}, key, notes)
    facts.seen.append(kind)
    if kind in _FORMATTING:
        return _formatting(kind, settings, facts)
    if facts.divisor and kind not in AFTER_PADDING:
        notes.approximated(
            key, "comes before the padding", "3.x pads in the model, when the pipeline is over", old=kind
        )
    if kind in _SAME:
        return [{"type": kind, **_same(settings)}]
    make = _TABLE.get(kind)
    if make is None:
        if kind not in _STOCK:
            notes.info(
                key, f"{kind or step!r} is passed on as it is", "it is no transform of MMDetection 2.x"
            )
        return [dict(step)]
    steps = make(settings, facts)
    settings.drop_rest(f"the 3.x {kind} has no such argument")
    return steps


def _same(settings: Settings) -> Step:
    arguments = backend_args(settings)
    return {**settings.rest(), **arguments}


def _formatting(kind: str, settings: Settings, facts: Facts) -> list[Step]:
    """Steps whose work PackDetInputs and the preprocessor do now."""
    if kind == "DefaultFormatBundle" and (pad := settings.take("pad_val")):
        pad = pad if isinstance(pad, Mapping) else {"img": pad}
        facts.pad_value = facts.pad_value or pad.get("img") or None
        pad_others(pad, facts)
    settings.drop("img_to_float", "the model makes floats of all images", harmless=(None, True))
    fields = [field["key"] for field in settings.take("fields", ()) if isinstance(field, Mapping)]
    for name in (*settings.take("keys", ()), *fields):
        if name not in _KEYS:
            settings.notes.dropped(settings.at("keys"), "dropped", "PackDetInputs has its own keys", old=name)
    settings.drop_rest(f"PackDetInputs does the work of {kind}")
    return []


def _load_image(settings: Settings, facts: Facts) -> list[Step]:
    step: Step = {"type": "LoadImageFromFile", **backend_args(settings)}
    step |= settings.move("to_float32", "imdecode_backend", "ignore_empty", "backend_args")
    if (color := settings.take("color_type", "color")) != "color":
        step["color_type"] = color
    if settings.take("channel_order", "bgr") == "rgb":
        facts.rgb = True
        settings.notes.info(
            settings.at("channel_order"),
            "images stay BGR in the pipeline; the preprocessor reorders them",
            "3.x has no such argument; only steps that work on single colours see a difference",
            old="rgb",
        )
    return [step]


def _load_annotations(settings: Settings, facts: Facts) -> list[Step]:
    step: Step = {
        "type": "LoadAnnotations",
        **backend_args(settings),
        "with_bbox": settings.take("with_bbox", True),
    }
    facts.masks = bool(settings.take("with_mask", False))
    facts.seg = bool(settings.take("with_seg", False))
    facts.poly2mask = bool(settings.take("poly2mask", True))
    if facts.masks:
        step["with_mask"] = True
    if facts.seg:
        step["with_seg"] = True
    if not facts.poly2mask:
        step["poly2mask"] = False
    if not settings.take("with_label", True):
        settings.notes.info(
            settings.at("with_label"), "labels are loaded", "3.x heads without classes need them"
        )
    for name in ("denorm_bbox", "normed_bbox"):
        if (value := settings.take(name)) is not None:
            settings.notes.info(settings.at(name), "left out", "OpenImagesDataset does it in 3.x", old=value)
    return [{**step, **settings.move(*_NEW_LOADING)}]


def _load_panoptic(settings: Settings, facts: Facts) -> list[Step]:
    step: Step = {"type": "LoadPanopticAnnotations", **backend_args(settings)}
    step |= settings.move("with_bbox", "with_label", "with_mask", "with_seg", *_NEW_LOADING)
    facts.panoptic = True
    facts.masks = bool(step.get("with_mask", True))
    facts.seg = bool(step.get("with_seg", True))
    return [step]


def _load_proposals(settings: Settings, facts: Facts) -> list[Step]:
    facts.proposals = True
    return [{"type": "LoadProposals", "num_max_proposals": settings.take("num_max_proposals")}]


def _resize(settings: Settings, _: Facts) -> list[Step]:
    take = settings.take
    scale, ratio, mode = (
        take("img_scale", take("scale")),
        take("ratio_range"),
        take("multiscale_mode", "range"),
    )
    take("override")  # 3.x resizes as often as it is told to
    if mode not in ("range", "value"):
        settings.notes.dropped(
            settings.at("multiscale_mode"), "becomes 'range'", "2.x knew 'range' and 'value'", old=mode
        )
    arguments: Step = {"keep_ratio": take("keep_ratio", True)}
    if not take("bbox_clip_border", True):
        arguments["clip_object_border"] = False
    arguments |= settings.move("backend", "interpolation", "clip_object_border")
    if isinstance(scale, list) and len(scale) == 1:
        scale = scale[0]
    if ratio is not None:
        return [{"type": "RandomResize", "scale": scale, "ratio_range": ratio, **arguments}]
    if isinstance(scale, (list, tuple)) and scale and isinstance(scale[0], (list, tuple)):
        scales = [tuple(item) for item in scale]
        if mode == "value":
            return [{"type": "RandomChoiceResize", "scales": scales, **arguments}]
        # 2.x drew the long and the short side, 3.x draws the first and the second.
        sides = [(max(pair), min(pair)) for pair in scales]
        return [{"type": "RandomResize", "scale": sides, **arguments}]
    if scale is None:
        factor = take("scale_factor")
        return [] if factor in (None, 1, 1.0) else [{"type": "Resize", "scale_factor": factor, **arguments}]
    return [{"type": "Resize", "scale": tuple(scale) if isinstance(scale, list) else scale, **arguments}]


def _random_flip(settings: Settings, facts: Facts) -> list[Step]:
    probability, direction = settings.take("flip_ratio", settings.take("prob")), settings.take("direction")
    if not facts.train and not probability:
        return []
    step: Step = {"type": "RandomFlip", "prob": _probability(probability)}
    if direction is not None:
        step["direction"] = direction
    return [step]


def _probability(value: Any) -> Any:
    return [float(item) for item in value] if isinstance(value, (list, tuple)) else float(value or 0)


def _random_shift(settings: Settings, _: Facts) -> list[Step]:
    step: Step = {"type": "RandomShift", "prob": settings.take("shift_ratio", settings.take("prob", 0.5))}
    return [{**step, **settings.move("max_shift_px", "filter_thr_px")}]


def _seg_rescale(settings: Settings, facts: Facts) -> list[Step]:
    facts.seg_scale = settings.take("scale_factor", 1)
    settings.drop("backend", "the head of 3.x scales the maps", harmless=(None, "cv2"))
    return []


def _albu(settings: Settings, _: Facts) -> list[Step]:
    if (update := settings.take("update_pad_shape")) is not None:
        why = "3.x takes the padded shape from the image"
        settings.notes.info(settings.at("update_pad_shape"), "left out", why, old=update)
    step: Step = {
        "type": "Albu",
        **settings.move("transforms", "bbox_params", "keymap", "skip_img_without_anno"),
    }
    if isinstance(step.get("bbox_params"), Mapping) and "label_fields" in step["bbox_params"]:
        fields = [
            "gt_bboxes_labels" if name == "gt_labels" else name
            for name in step["bbox_params"]["label_fields"]
        ]
        if "gt_ignore_flags" not in fields:
            fields.append("gt_ignore_flags")
        step["bbox_params"] = {**step["bbox_params"], "label_fields": fields}
    if isinstance(step.get("keymap"), Mapping):
        step["keymap"] = {
            ("gt_bboxes_labels" if k == "gt_labels" else k): v for k, v in step["keymap"].items()
        }
    return [step]


def _auto_augment(settings: Settings, facts: Facts) -> list[Step]:
    policies = [
        _inner(policy, f"{settings.key}.policies[{choice}]", facts, settings.notes)
        for choice, policy in enumerate(settings.take("policies", []))
    ]
    return [{"type": "RandomChoice", "transforms": policies}]


def _compose(settings: Settings, facts: Facts) -> list[Step]:
    return _inner(settings.take("transforms", []), f"{settings.key}.transforms", facts, settings.notes)


def _inner(steps: Sequence[Mapping[str, Any]], key: str, facts: Facts, notes: Notebook) -> list[Step]:
    """Convert the steps that a step holds."""
    found: list[Step] = []
    outer = facts.ahead
    for number, step in enumerate(steps):
        facts.ahead = (*kinds_of(steps[number + 1 :]), *outer)
        found += convert_step(step, f"{key}[{number}]", facts, notes)
    facts.ahead = outer
    return found


def kinds_of(steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The types of pipeline steps, without the scope ``mmdet.``.

    Args:
        steps: Steps of 2.x or 3.x.
    """
    return tuple(str(step.get("type", "")).removeprefix("mmdet.") for step in steps)


_SAME = (
    *("MinIoURandomCrop", "PhotoMetricDistortion", "CutOut", "CopyPaste", "InstaBoost", "YOLOXHSVRandomAug"),
    *("Corrupt", "FilterAnnotations", "LoadMultiChannelImageFromFiles", "Expand"),
)
# Known to 3.x under the same name; may stand in a 2.x config that someone wrote by hand.
_STOCK = (
    "RandomResize",
    "RandomChoiceResize",
    "RandomChoice",
    "RandomApply",
    "PackDetInputs",
    "TestTimeAug",
    "ProposalBroadcaster",
)

_TABLE: dict[str, Callable[[Settings, Facts], list[Step]]] = {
    "LoadImageFromFile": _load_image,
    "LoadImageFromWebcam": lambda settings, facts: [
        {**_load_image(settings, facts)[0], "type": "LoadImageFromNDArray"}
    ],
    "LoadAnnotations": _load_annotations,
    "LoadPanopticAnnotations": _load_panoptic,
    "LoadProposals": _load_proposals,
    "Resize": _resize,
    "RandomFlip": _random_flip,
    "Normalize": normalize,
    "Pad": pad,
    "Mosaic": sized("Mosaic"),
    "MixUp": sized("MixUp"),
    "RandomAffine": sized("RandomAffine"),
    "RandomCenterCropPad": sized("RandomCenterCropPad"),
    "RandomCrop": random_crop,
    "RandomShift": _random_shift,
    "SegRescale": _seg_rescale,
    "Albu": _albu,
    "AutoAugment": _auto_augment,
    "Compose": _compose,
    "BrightnessTransform": enhance("Brightness"),
    "ContrastTransform": enhance("Contrast"),
    "ColorTransform": enhance("Color"),
    "EqualizeTransform": equalize,
    "Shear": shear,
    "Rotate": rotate,
    "Translate": translate,
}
