"""The table of transforms: each 2.x type -> its 3.x equal.

What a step hands to the model's preprocessor instead (normalisation, padding) it writes into the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deeplake_mmdet.legacy.facts import Facts, Step
from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.magnitudes import enhance, rotate, shear, translate
from deeplake_mmdet.legacy.notes import Notebook, Settings

__all__ = ["convert_step"]

_KEYS = ("img", "gt_bboxes", "gt_labels", "gt_masks", "gt_semantic_seg", "proposals", "gt_bboxes_ignore")
# Steps that do the same before and after padding to a multiple.
_AFTER_PADDING = ("Pad", "Normalize", "SegRescale", "PackDetInputs")
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
    if facts.divisor and kind not in _AFTER_PADDING:
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


def swapped(pair: Any) -> Any:
    """(height, width) <-> (width, height)."""
    return (pair[1], pair[0]) if isinstance(pair, (list, tuple)) and len(pair) == 2 else pair


def _same(settings: Settings) -> Step:
    arguments = backend_args(settings)
    return {**settings.rest(), **arguments}


def _formatting(kind: str, settings: Settings, facts: Facts) -> list[Step]:
    """Steps whose work PackDetInputs and the preprocessor do now."""
    if kind == "DefaultFormatBundle" and (pad := settings.take("pad_val")):
        pad = pad if isinstance(pad, Mapping) else {"img": pad}
        facts.pad_value = facts.pad_value or pad.get("img") or None
        _pad_others(pad, facts)
    settings.drop("img_to_float", "the model makes floats of all images", harmless=(None, True))
    fields = [field["key"] for field in settings.take("fields", ()) if isinstance(field, Mapping)]
    for name in (*settings.take("keys", ()), *fields):
        if name not in _KEYS:
            settings.notes.dropped(settings.at("keys"), "dropped", "PackDetInputs has its own keys", old=name)
    settings.drop_rest(f"PackDetInputs does the work of {kind}")
    return []


def _pad_others(value: Mapping[str, Any], facts: Facts) -> None:
    facts.mask_pad = value.get("masks") or facts.mask_pad
    if value.get("seg", 255) != 255:
        facts.seg_pad = value["seg"]


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
    return [step]


def _load_panoptic(settings: Settings, facts: Facts) -> list[Step]:
    step: Step = {"type": "LoadPanopticAnnotations", **backend_args(settings)}
    step |= settings.move("with_bbox", "with_label", "with_mask", "with_seg", "backend_args")
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
        if not arguments["keep_ratio"]:
            settings.notes.approximated(
                settings.at("img_scale"),
                "width and height are drawn, each between its two bounds",
                "2.x drew the long and the short side; the same where all scales have the same orientation",
                old=scales,
            )
        return [{"type": "RandomResize", "scale": scales, **arguments}]
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


def _normalize(settings: Settings, facts: Facts) -> list[Step]:
    if facts.pad_value:
        settings.notes.approximated(
            settings.key,
            "images are padded with the mean, to a multiple of size_divisor",
            "2.x padded before it normalised; 3.x pads in the model, after it",
            old=facts.pad_value,
        )
        facts.pad_value = None
    facts.normalize = {
        "mean": list(settings.take("mean", [0, 0, 0])),
        "std": list(settings.take("std", [1, 1, 1])),
        "to_rgb": bool(settings.take("to_rgb", True)),
    }
    return []


def _pad(settings: Settings, facts: Facts) -> list[Step]:
    size, divisor, square = (
        settings.take("size"),
        settings.take("size_divisor"),
        settings.take("pad_to_square", False),
    )
    value = settings.take("pad_val")
    value = value if isinstance(value, Mapping) else ({} if value is None else {"img": value})
    image = value.get("img", 0)
    uniform = image[0] if isinstance(image, (list, tuple)) and len(set(image)) == 1 else image
    if divisor is not None and not square:
        facts.divisor = divisor
        _pad_others(value, facts)
        if uniform:
            facts.pad_value = uniform
        return []
    if size is not None and facts.normalize and facts.train:
        facts.fixed_pad = (int(size[0]), int(size[1]))  # the preprocessor pads after normalising, as 2.x did
        _pad_others(value, facts)
        if uniform:
            facts.pad_value = uniform
        return []
    step: Step = {"type": "Pad", **({"pad_to_square": True} if square else {"size": swapped(size)})}
    if square and divisor is not None:
        step["size_divisor"] = divisor
    if facts.normalize:
        mean = facts.normalize["mean"][:: -1 if facts.normalize["to_rgb"] else 1]
        step["pad_val"] = {**value, "img": tuple(mean)}
        settings.notes.approximated(
            settings.key,
            "pads with the mean before normalising",
            "2.x padded normalised images with 0; means are rounded to whole numbers here",
            new=step["pad_val"],
        )
    elif value:
        step["pad_val"] = dict(value)
    return [step]


def _sized(kind: str, *names: str) -> Callable[[Settings, Facts], list[Step]]:
    """Arguments that were (height, width) and are (width, height); filters went to FilterAnnotations."""

    def make(settings: Settings, _: Facts) -> list[Step]:
        skip = settings.take("skip_filter", True)
        for name in ("min_bbox_size", "min_area_ratio", "max_aspect_ratio"):
            if not skip:
                settings.drop(name, "FilterAnnotations filters by size only")
            elif (value := settings.take(name)) is not None:
                settings.notes.info(settings.at(name), "left out", "skip_filter made it idle", old=value)
        settings.drop("dynamic_scale", "3.x resizes whole batches in the preprocessor")
        step: Step = {"type": kind, **_same(settings)}
        for name in names:
            if name in step:
                step[name] = swapped(step[name])
        if skip:
            return [step]
        settings.notes.approximated(
            settings.at("skip_filter"),
            "boxes are filtered by a FilterAnnotations step",
            "it filters by size only",
        )
        return [step, {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False}]

    return make


def _random_crop(settings: Settings, _: Facts) -> list[Step]:
    step: Step = {"type": "RandomCrop", **settings.rest()}
    if step.get("crop_type", "absolute") != "absolute_range":  # a range for both sides alike
        step["crop_size"] = swapped(step.get("crop_size"))
    return [step]


def _random_shift(settings: Settings, _: Facts) -> list[Step]:
    step: Step = {"type": "RandomShift", "prob": settings.take("shift_ratio", settings.take("prob", 0.5))}
    return [{**step, **settings.move("max_shift_px", "filter_thr_px")}]


def _seg_rescale(settings: Settings, facts: Facts) -> list[Step]:
    facts.seg_scale = settings.take("scale_factor", 1)
    settings.drop("backend", "the head of 3.x scales the maps", harmless=(None, "cv2"))
    return []


def _albu(settings: Settings, _: Facts) -> list[Step]:
    settings.drop("update_pad_shape", "3.x keeps no pad_shape in the pipeline", harmless=(None, False))
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
    policies = settings.take("policies", [])
    return [
        {
            "type": "RandomChoice",
            "transforms": [
                [
                    new
                    for number, step in enumerate(policy)
                    for new in convert_step(
                        step, f"{settings.key}.policies[{choice}][{number}]", facts, settings.notes
                    )
                ]
                for choice, policy in enumerate(policies)
            ],
        }
    ]


def _compose(settings: Settings, facts: Facts) -> list[Step]:
    return [
        new
        for number, step in enumerate(settings.take("transforms", []))
        for new in convert_step(step, f"{settings.key}.transforms[{number}]", facts, settings.notes)
    ]


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
    "Normalize": _normalize,
    "Pad": _pad,
    "Mosaic": _sized("Mosaic", "img_scale"),
    "MixUp": _sized("MixUp", "img_scale"),
    "RandomAffine": _sized("RandomAffine", "border"),
    "RandomCenterCropPad": _sized("RandomCenterCropPad", "crop_size"),
    "RandomCrop": _random_crop,
    "RandomShift": _random_shift,
    "SegRescale": _seg_rescale,
    "Albu": _albu,
    "AutoAugment": _auto_augment,
    "Compose": _compose,
    "BrightnessTransform": enhance("Brightness"),
    "ContrastTransform": enhance("Contrast"),
    "ColorTransform": enhance("Color"),
    "EqualizeTransform": enhance("Equalize"),
    "Shear": shear,
    "Rotate": rotate,
    "Translate": translate,
}
