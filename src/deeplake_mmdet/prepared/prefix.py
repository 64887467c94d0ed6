"""Which of a pipeline's first steps need not be run again: loading the image, and resizing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mmcv.transforms
import mmdet.datasets.transforms
import numpy as np
from numpy.typing import NDArray

__all__ = ["PreparedSteps", "prepared_steps"]

Sizes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PreparedSteps:
    """The steps of a pipeline whose image is kept.

    Attributes:
        load: Place of the step that loads the image.
        resize: Place of the step that resizes it, if that is kept too.
        settings: The steps' classes and settings, as JSON knows them.
        scale: Width and height in pixels that it resizes to; None if it does not.
        keep_ratio: Whether it keeps the ratio of width and height.
        planar: Whether the image is kept as three planes. That is how it is packed in the end, and how flips
            are fastest, where nothing else happens to it.
    """

    load: int
    resize: int | None
    settings: tuple[str, ...]
    scale: tuple[int, int] | None = None
    keep_ratio: bool = False
    planar: bool = False

    @property
    def last(self) -> int:
        """Place of the step after which the image is what is kept."""
        return self.load if self.resize is None else self.resize

    def __str__(self) -> str:
        if self.scale is None:
            return "decoded images"
        ratio = ", ratio kept" if self.keep_ratio else ""
        return f"images resized to {self.scale[0]}x{self.scale[1]}{ratio}"

    def sizes(self, widths: Sizes, heights: Sizes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sizes of the images that are kept.

        As ``mmcv.rescale_size`` counts: the long side fits the longer of ``scale``, the short side the
        shorter, and halves are rounded up.

        Args:
            widths: Widths of the stored images in pixels, shape (n,); 0 where there is no image.
            heights: Heights of the stored images in pixels, shape (n,); 0 where there is no image.

        Returns:
            Widths and heights in pixels, each of shape (n,), int64.
        """
        wide: NDArray[np.int64] = widths.astype(np.int64)
        high: NDArray[np.int64] = heights.astype(np.int64)
        if self.scale is None:
            return wide, high
        if not self.keep_ratio:
            wide, high = np.minimum(wide, 1) * self.scale[0], np.minimum(high, 1) * self.scale[1]
            return wide, high
        long, short = np.maximum(widths, heights), np.minimum(widths, heights)
        with np.errstate(divide="ignore"):
            factor = np.minimum(max(self.scale) / long, min(self.scale) / short)
        factor[short == 0] = 0
        return (widths * factor + 0.5).astype(np.int64), (heights * factor + 0.5).astype(np.int64)


def prepared_steps(steps: Sequence[Any]) -> PreparedSteps | None:
    """What can be kept of a pipeline: the image as stock ``LoadImageFromFile`` loads it, and resized if a
    stock ``Resize`` to a fixed size comes next. Annotations are loaded anew in any case.

    Args:
        steps: The pipeline's transforms.

    Returns:
        None if the pipeline begins otherwise.
    """
    annotations = mmdet.datasets.transforms.LoadAnnotations
    others = [place for place, step in enumerate(steps) if type(step) is not annotations]
    if not others:
        return None
    load, step = others[0], steps[others[0]]
    if type(step) is not mmcv.transforms.LoadImageFromFile or step.to_float32 or step.color_type != "color":
        return None
    settings: tuple[str, ...] = (_told(step),)
    kinds = [type(steps[place]) for place in others]
    if len(others) > 1:
        resize = steps[others[1]]
        fixed = type(resize) is mmdet.datasets.transforms.Resize and isinstance(resize.scale, tuple)
        if fixed and all(isinstance(side, int) and side > 0 for side in resize.scale):
            scale = (int(resize.scale[0]), int(resize.scale[1]))
            settings = (*settings, _told(resize))
            ratio, planar = bool(resize.keep_ratio), _ends_in_planes(kinds[2:])
            return PreparedSteps(load, others[1], settings, scale, ratio, planar)
    return PreparedSteps(load, None, settings, planar=_ends_in_planes(kinds[1:]))


def _ends_in_planes(kinds: Sequence[type]) -> bool:
    flips = all(kind is mmdet.datasets.transforms.RandomFlip for kind in kinds[:-1])
    return bool(kinds) and flips and kinds[-1] is mmdet.datasets.transforms.PackDetInputs


def _told(step: Any) -> str:
    # ``ignore_empty`` and file clients change what is loaded from where, not the pixels of what is there.
    names = ("color_type", "imdecode_backend", "scale", "keep_ratio", "backend", "interpolation")
    told = {name: getattr(step, name) for name in names if hasattr(step, name)}
    return f"{type(step).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"
