"""Sizes whose order changed: (height, width) in 2.x, (width, height) in 3.x; both ways.

Resize, MultiScaleFlipAug, CutOut and MinIoURandomCrop have the same order in both, an ``absolute_range`` is
one for both sides, and 3.x forgot to change ``relative_range``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from deeplake_mmdet.legacy.files import backend_args
from deeplake_mmdet.legacy.notes import Settings
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step

__all__ = ["as_old_steps", "random_crop", "sized", "swapped"]

_SIZES = {
    "Pad": "size",
    "Mosaic": "img_scale",
    "MixUp": "img_scale",
    "RandomAffine": "border",
    "RandomCenterCropPad": "crop_size",
    "RandomCrop": "crop_size",
}
_SWAPPED_CROPS = ("absolute", "relative")


def swapped(pair: Any) -> Any:
    """Exchange the two sides of a size: (height, width) <-> (width, height).

    Args:
        pair: The size; whatever is no list or tuple of two comes back as it is.
    """
    return (pair[1], pair[0]) if isinstance(pair, (list, tuple)) and len(pair) == 2 else pair


def as_old_steps(steps: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Write the steps of a stock 3.x pipeline so that the conversion gives them back as they are.

    Only what it would read differently is changed: the order of sizes, and a default that changed.

    Args:
        steps: The 3.x steps; not changed.
    """
    return [_as_old_step(step) for step in steps]


def _as_old_step(step: Mapping[str, Any]) -> Step:
    old: Step = deepcopy(dict(step))
    kind = str(old.get("type", "")).removeprefix("mmdet.")
    name = _SIZES.get(kind)
    if name in old and (kind != "RandomCrop" or old.get("crop_type", "absolute") in _SWAPPED_CROPS):
        old[name] = swapped(old[name])
    if kind == "Resize":
        old.setdefault("keep_ratio", False)  # True in 2.x
    return old


def sized(kind: str) -> Callable[[Settings, Facts], list[Step]]:
    """The converter for ``Mosaic`` and other steps with a size: its sides are exchanged.

    What these steps filtered by ``skip_filter=False`` becomes a step ``FilterAnnotations``.

    Args:
        kind: ``Mosaic``, ``MixUp``, ``RandomAffine`` or ``RandomCenterCropPad``.

    Returns:
        A function that takes the step's settings and the pipeline's facts and returns the 3.x steps.
    """

    def make(settings: Settings, _: Facts) -> list[Step]:
        skip = settings.take("skip_filter", True)
        for name in ("min_bbox_size", "min_area_ratio", "max_aspect_ratio"):
            if not skip:
                settings.drop(name, "FilterAnnotations filters by size only")
            elif (value := settings.take(name)) is not None:
                settings.notes.info(settings.at(name), "left out", "skip_filter made it idle", old=value)
        settings.drop("dynamic_scale", "3.x resizes whole batches in the preprocessor")
        arguments = backend_args(settings)
        step: Step = {"type": kind, **settings.rest(), **arguments}
        if _SIZES[kind] in step:
            step[_SIZES[kind]] = swapped(step[_SIZES[kind]])
        if kind == "MixUp":
            what, why = "fills around a small other image with pad_val", "2.x filled with 0, whatever pad_val"
            settings.notes.info(settings.key, what, why)
        if skip:
            return [step]
        settings.notes.approximated(
            settings.at("skip_filter"),
            "boxes are filtered by a FilterAnnotations step",
            "it filters by size only",
        )
        return [step, {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1), "keep_empty": False}]

    return make


def random_crop(settings: Settings, _: Facts) -> list[Step]:
    """Convert ``RandomCrop``; the order of its size changes for some kinds of crop.

    ``absolute`` and ``relative`` crops take (height, width) in 2.x and (width, height) in 3.x.

    Args:
        settings: The 2.x step; all of it is taken out.
    """
    step: Step = {"type": "RandomCrop", **settings.rest()}
    if step.get("crop_type", "absolute") in _SWAPPED_CROPS:
        step["crop_size"] = swapped(step.get("crop_size"))
    return [step]
