"""Padding and normalisation: the model does both in 3.x, in the end; 2.x where the pipeline said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.notes import Settings
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step
from deeplake_mmdet.legacy.pipelines.sizes import swapped

__all__ = ["AFTER_PADDING", "normalize", "pad", "pad_others"]

# Steps that do the same before and after padding to a multiple.
AFTER_PADDING = (
    *("Pad", "Normalize", "SegRescale", "PackDetInputs", "Collect", "DefaultFormatBundle", "ImageToTensor"),
    *("ToTensor", "ToDataContainer", "Transpose", "WrapFieldsToLists"),
)


def normalize(settings: Settings, facts: Facts) -> list[Step]:
    """Convert ``Normalize``: 3.x normalises in the model, so no step remains.

    Args:
        settings: The 2.x step; what is read is taken out.
        facts: Of the pipeline; mean, std and channel order are recorded here.
    """
    if facts.divisor and facts.normalize is None:
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


def pad(settings: Settings, facts: Facts) -> list[Step]:
    """Convert ``Pad``: the model pads where that gives the same, else ``Pad`` stays a step.

    The model pads to a multiple of ``size_divisor``, except for a training pipeline that pads before it
    normalises or before steps that see the padding; and to a fixed ``size`` for a training pipeline that has
    normalised before. In a test pipeline, padding to a multiple never stays: its ``img_shape`` would be
    that of the padded image, and heads that cut masks by it would scale them wrongly.

    Args:
        settings: The 2.x step; what is read is taken out.
        facts: Of the pipeline; what the model has to do is recorded here.

    Returns:
        The 3.x steps; none if the model pads.
    """
    size, divisor, square = (
        settings.take("size"),
        settings.take("size_divisor"),
        settings.take("pad_to_square", False),
    )
    value = settings.take("pad_val")
    value = value if isinstance(value, Mapping) else ({} if value is None else {"img": value})
    image = value.get("img", 0)
    uniform = image[0] if isinstance(image, (list, tuple)) and len(set(image)) == 1 else image
    behind = "Normalize" in facts.ahead or any(kind not in AFTER_PADDING for kind in facts.ahead)
    stays = facts.train and facts.normalize is None and behind
    if divisor is not None and not square and not stays:
        facts.divisor = divisor
        pad_others(value, facts)
        if uniform:
            facts.pad_value = uniform
        return []
    if size is not None and facts.normalize and facts.train:
        facts.fixed_pad = (int(size[0]), int(size[1]))  # the preprocessor pads after normalising, as 2.x did
        pad_others(value, facts)
        if uniform:
            facts.pad_value = uniform
        return []
    if divisor is not None and stays:
        what, why = "stays a step of the pipeline", "steps behind it saw padded images, and so they do"
        settings.notes.info(settings.key, what, why, old=divisor)
    step: Step = {"type": "Pad", **({"pad_to_square": True} if square else {})}
    if size is not None and not square:
        step["size"] = swapped(size)
    if divisor is not None:
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


def pad_others(value: Mapping[str, Any], facts: Facts) -> None:
    """Record with which values masks and semantic maps are padded.

    Args:
        value: ``pad_val`` of a 2.x ``Pad``, by ``img``, ``masks`` and ``seg``.
        facts: Of the pipeline; changed.
    """
    facts.mask_pad = value.get("masks") or facts.mask_pad
    if value.get("seg", 255) != 255:
        facts.seg_pad = value["seg"]
