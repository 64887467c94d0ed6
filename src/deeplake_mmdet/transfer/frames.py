"""Which frame an image's boxes belong to: the stored pixels, or the image as its EXIF orientation turns it.

Stock MMDetection turns images as it loads them, so that its files mean the turned image. Tools that ignore
EXIF draw and measure on the stored pixels. The stated size tells the two apart; where it cannot, boxes may.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError

__all__ = ["EXIF_MODES", "UNDECIDED", "Frame", "choose_frame"]

EXIF_MODES = ("auto", "turn", "stored")
UNDECIDED = "turned by its EXIF orientation, as MMDetection does; neither size nor boxes tell whether to"
_BOXES_SAY_STORED = "not turned by its EXIF orientation: its boxes or masks fit the stored pixels only"
_BOXES_SAY_TURNED = "turned by its EXIF orientation: its boxes or masks fit the turned image only"
_CORRECTED = "size corrected to that of the pixels, which the boxes fit"
_OTHER_FRAME = "size corrected to that of the image as it was asked for, turned by EXIF or not"
_EXCHANGING = 5  # orientations from here on exchange width and height
_ROUGH = 1.0  # pixels by which a box may leave the image that it was drawn on
_EXACT = 0.01

Size = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """How an image is to be read.

    Attributes:
        turned: Whether by its EXIF orientation.
        size: Width and height, in pixels, of what is read.
        changes: Reason and detail of each thing that is taken otherwise than the annotation says, or that
            it does not tell.
    """

    turned: bool
    size: Size
    changes: tuple[tuple[str, str], ...] = ()


def choose_frame(
    stored: Size,
    orientation: int,
    stated: Size | None,
    boxes: NDArray[np.float64],
    mode: str = "auto",
    *,
    mask_sizes: Collection[Size] = (),
) -> Frame:
    """Decide whether an image is to be turned, and check its stated size.

    A stated size that equals the turned image's alone means that. If it equals the stored pixels' alone, or
    is unknown, masks and boxes decide that fit only one of the two. In all other cases the image is turned,
    as by stock MMDetection. A size that is off by one pixel, or has width and height exchanged for no reason
    of EXIF, is corrected if the boxes fit the pixels.

    Args:
        stored: Width and height of the stored pixels.
        orientation: EXIF orientation, 1 to 8.
        stated: Width and height in the annotation; None if unknown.
        boxes: Shape (n, 4), left, top, right, bottom in pixels.
        mode: ``'auto'``; ``'turn'`` or ``'stored'`` decide for every image.
        mask_sizes: Widths and heights that run lengths state.

    Raises:
        ImageError: The stated size is that of neither. ``what`` is the reason, ``where`` has the sizes.
    """
    turned = stored[::-1] if orientation >= _EXCHANGING else stored
    case = _Case(stored, turned, orientation, stated, boxes, mask_sizes)
    if orientation == 1 or mode == "stored":
        return case.given(False)
    if mode == "turn":
        return case.given(True)
    if turned == stored:
        frame = case.given(True)
        return Frame(True, frame.size, (*frame.changes, (UNDECIDED, case.detail)))
    if stated == turned:
        return Frame(True, turned)
    if stated in (None, stored):
        return case.by_boxes()
    if case.is_off_by_one(turned) and case.fits(turned, _EXACT):
        return Frame(True, turned, ((_CORRECTED, case.detail),))
    frame = case.by_boxes()
    if case.is_off_by_one(stored) and case.fits(frame.size, _EXACT):
        return Frame(frame.turned, frame.size, ((_CORRECTED, case.detail), *frame.changes))
    raise case.refused()


@dataclass(frozen=True, eq=False)
class _Case:
    stored: Size
    turned: Size
    orientation: int
    stated: Size | None
    boxes: NDArray[np.float64]
    mask_sizes: Collection[Size]

    def given(self, turn: bool) -> Frame:
        """The frame if it is known whether to turn the image."""
        size, other = (self.turned, self.stored) if turn else (self.stored, self.turned)
        if self.stated in (None, size):
            return Frame(turn, size)
        if self.stated == other:
            return Frame(turn, size, ((_OTHER_FRAME, self.detail),))
        if (self.is_off_by_one(size) or self.stated == size[::-1]) and self.fits(size, _EXACT):
            return Frame(turn, size, ((_CORRECTED, self.detail),))
        raise self.refused()

    def by_boxes(self) -> Frame:
        """The frame that masks, or else boxes, fit alone; the turned one if they fit both or neither."""
        fit_turned, fit_stored = (set(self.mask_sizes) == {size} for size in (self.turned, self.stored))
        if not (fit_turned or fit_stored):
            fit_turned, fit_stored = self.fits(self.turned, _ROUGH), self.fits(self.stored, _ROUGH)
        if fit_stored and not fit_turned:
            return Frame(False, self.stored, ((_BOXES_SAY_STORED, self.detail),))
        reason = _BOXES_SAY_TURNED if fit_turned and not fit_stored else UNDECIDED
        return Frame(True, self.turned, ((reason, self.detail),))

    def fits(self, size: Size, slack: float) -> bool:
        """Whether all boxes lie in an image. VOC's may begin at -1: 1 is subtracted from their corners."""
        return bool((self.boxes[:, :2] >= -1).all() and (self.boxes[:, 2:] <= np.add(size, slack)).all())

    def is_off_by_one(self, size: Size) -> bool:
        """Whether the stated size differs from this by one pixel in width, height or both."""
        return self.stated is not None and max(np.abs(np.subtract(self.stated, size))) <= 1

    def refused(self) -> ImageError:
        """The error for a stated size that fits nothing."""
        what = "size differs from the annotation"
        if self.orientation != 1:
            what += ", also with regard to its EXIF orientation"
        return ImageError(what, where=self.detail)

    @property
    def detail(self) -> str:
        """The sizes, for people."""
        parts = [f"{width} x {height} {what}" for (width, height), what in self._sizes()]
        if self.orientation != 1:
            parts.append(f"EXIF orientation {self.orientation}")
        return ", ".join(parts)

    def _sizes(self) -> list[tuple[Size, str]]:
        sizes = [] if self.stated is None else [(self.stated, "stated")]
        sizes.append((self.stored, "stored"))
        return sizes + [(self.turned, "turned")] * (self.turned != self.stored)
