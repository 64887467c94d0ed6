"""Transforms with a level, as policies of AutoAugment use them: 3.x has other units."""

from __future__ import annotations

import math
from collections.abc import Callable

from deeplake_mmdet.legacy.facts import Facts, Step
from deeplake_mmdet.legacy.notes import Settings

__all__ = ["enhance", "rotate", "shear", "translate"]


def enhance(kind: str) -> Callable[[Settings, Facts], list[Step]]:
    """Brightness and its like: the level means the same, the default probability changed."""

    def make(settings: Settings, _: Facts) -> list[Step]:
        step: Step = {"type": kind, "prob": settings.take("prob", 0.5)}
        return [{**step, **settings.move("level")}]

    return make


def _geometric(settings: Settings, kind: str, largest: float) -> list[Step]:
    take = settings.take
    take("level"), take("axis")
    fill = take("img_fill_val", 128)
    return [
        {
            "type": kind,
            "prob": take("prob", 0.5),
            "level": 10,
            "min_mag": 0.0,
            "max_mag": largest,
            "reversal_prob": 1 - take("random_negative_prob", 0.5),
            "img_border_value": tuple(fill) if isinstance(fill, (list, tuple)) else fill,
            **settings.move("seg_ignore_label", "interpolation"),
        }
    ]


def shear(settings: Settings, _: Facts) -> list[Step]:
    """Shear: a slope became an angle."""
    axis = "X" if settings.take("direction", "horizontal") == "horizontal" else "Y"
    slope = (settings.take("level", 10) or 0) / 10 * settings.take("max_shear_magnitude", 0.3)
    angle = math.degrees(math.atan(slope))
    settings.notes.approximated(
        settings.key, f"becomes Shear{axis} by an angle", "3.x rounds it to 0.1 degrees"
    )
    return _geometric(settings, f"Shear{axis}", angle)


def rotate(settings: Settings, _: Facts) -> list[Step]:
    """Rotate: by an angle, as before."""
    angle = (settings.take("level", 10) or 0) / 10 * settings.take("max_rotate_angle", 30)
    settings.drop("scale", "the 3.x Rotate does not scale", harmless=(1, 1.0))
    settings.drop("center", "the 3.x Rotate turns around the middle")
    return _geometric(settings, "Rotate", angle)


def translate(settings: Settings, _: Facts) -> list[Step]:
    """Translate: pixels became a part of the image."""
    axis = "X" if settings.take("direction", "horizontal") == "horizontal" else "Y"
    pixels = (settings.take("level", 10) or 0) / 10 * settings.take("max_translate_offset", 250.0)
    settings.take("min_size")
    part = round(min(1.0, pixels / (1333 if axis == "X" else 800)), 1)
    settings.notes.approximated(
        settings.key,
        f"becomes Translate{axis} by part of the image",
        "2.x counted pixels; an image of 1333 by 800 is assumed, and 3.x rounds to 0.1",
        old=pixels,
        new=part,
    )
    return _geometric(settings, f"Translate{axis}", part)
