"""Transforms with a level, as policies of AutoAugment use them: ours, for stock 3.x ones round magnitudes."""

from __future__ import annotations

from collections.abc import Callable

from deeplake_mmdet.legacy.notes import Settings
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step

__all__ = ["enhance", "equalize", "rotate", "shear", "translate"]

_HIGHEST = 10


def enhance(kind: str) -> Callable[[Settings, Facts], list[Step]]:
    """The converter for ``BrightnessTransform``, ``ContrastTransform`` or ``ColorTransform``.

    The level of 0 to 10 becomes a factor from 0.1 to 1.9.

    Args:
        kind: ``Brightness``, ``Contrast`` or ``Color``.

    Returns:
        A function that takes the step's settings and the pipeline's facts and returns the 3.x steps.
    """

    def make(settings: Settings, _: Facts) -> list[Step]:
        magnitude = round(_part(settings) * 1.8 + 0.1, 12)
        return [_ours(settings, kind, magnitude, prob=settings.take("prob", 0.5))]

    return make


def equalize(settings: Settings, _: Facts) -> list[Step]:
    """Convert ``EqualizeTransform``; 3.x only has another default probability.

    Args:
        settings: The 2.x step; what is read is taken out.
    """
    return [{"type": "Equalize", "prob": settings.take("prob", 0.5)}]


def shear(settings: Settings, _: Facts) -> list[Step]:
    """Convert ``Shear``; its level becomes a slope.

    Args:
        settings: The 2.x step; what is read is taken out.
    """
    slope = _part(settings) * settings.take("max_shear_magnitude", 0.3)
    return [_geometric(settings, f"Shear{_axis(settings)}", slope)]


def rotate(settings: Settings, _: Facts) -> list[Step]:
    """Convert ``Rotate``; its level becomes an angle in degrees.

    Args:
        settings: The 2.x step; what is read is taken out.
    """
    angle = _part(settings) * settings.take("max_rotate_angle", 30)
    settings.drop("scale", "the 3.x Rotate does not scale", harmless=(1, 1.0))
    settings.drop("center", "the 3.x Rotate turns around the middle")
    return [_geometric(settings, "Rotate", angle)]


def translate(settings: Settings, _: Facts) -> list[Step]:
    """Convert ``Translate``; its level becomes a shift in whole pixels.

    Args:
        settings: The 2.x step; what is read is taken out.
    """
    pixels = int(_part(settings) * settings.take("max_translate_offset", 250.0))
    return [_geometric(settings, f"Translate{_axis(settings)}", pixels, **settings.move("min_size"))]


def _part(settings: Settings) -> float:
    return float((settings.take("level", _HIGHEST) or 0) / _HIGHEST)


def _axis(settings: Settings) -> str:
    return "X" if settings.take("direction", "horizontal") == "horizontal" else "Y"


def _geometric(settings: Settings, kind: str, magnitude: float, **more: object) -> Step:
    take = settings.take
    fill = take("img_fill_val", 128)
    told: Step = {
        "prob": take("prob", 0.5),
        "negative_prob": take("random_negative_prob", 0.5),
        "img_border_value": tuple(fill) if isinstance(fill, (list, tuple)) else fill,
        **settings.move("seg_ignore_label", "interpolation"),
    }
    return _ours(settings, kind, magnitude, **told, **more)


def _ours(settings: Settings, kind: str, magnitude: float, **told: object) -> Step:
    why = "3.x's own rounds the magnitude to 0.1" + (
        "" if kind in ("Brightness", "Contrast", "Color") else " and keeps boxes that have left the image"
    )
    step: Step = {"type": f"deeplake_mmdet.{kind}", "magnitude": magnitude, **told}
    settings.notes.info(settings.key, f"becomes {step['type']}", why, new=magnitude)
    return step
