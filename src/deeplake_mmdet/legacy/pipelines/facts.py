"""What a pipeline says about things that 3.x keeps elsewhere: normalisation, padding, masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Facts", "Step"]

Step = dict[str, Any]


@dataclass
class Facts:
    """What one pipeline says about things that 3.x keeps elsewhere.

    Attributes:
        train: Whether it is a training pipeline.
        normalize: ``mean``, ``std`` and ``to_rgb``.
        divisor: To a multiple of which images are padded.
        pad_value: With what, if not with 0.
        mask_pad: With what masks are padded, if not with 0.
        seg_pad: With what semantic maps are padded, if not with 255.
        fixed_pad: Height and width to which normalised images are padded.
        rgb: Whether images are loaded as RGB.
        masks: Whether masks are loaded.
        poly2mask: Whether they become bitmaps.
        seg: Whether semantic maps are loaded.
        panoptic: Whether they come with the boxes out of panoptic maps.
        seg_scale: By how much semantic maps are scaled down.
        proposals: Whether proposals are loaded.
        seen: The types of the steps so far.
        ahead: Those of the steps that are still to come.
    """

    train: bool
    normalize: dict[str, Any] | None = None
    divisor: int | None = None
    pad_value: Any = None
    mask_pad: int | None = None
    seg_pad: int | None = None
    fixed_pad: tuple[int, int] | None = None
    rgb: bool = False
    masks: bool = False
    poly2mask: bool = True
    seg: bool = False
    panoptic: bool = False
    seg_scale: float | None = None
    proposals: bool = False
    seen: list[str] = field(default_factory=list)
    ahead: tuple[str, ...] = ()
