"""One planned image as the lake will hold it: read, verified, put into its frame and converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ImageError, without_secrets
from deeplake_mmdet.lake.images.signatures import PNG
from deeplake_mmdet.lake.schema.boxes import BoxFormat, to_xywh, to_xyxy
from deeplake_mmdet.lake.writing.writer import ImageRecord
from deeplake_mmdet.transfer.encodings import Encoding
from deeplake_mmdet.transfer.frames import Frame, choose_frame
from deeplake_mmdet.transfer.images import ReadImage, converted, read_image
from deeplake_mmdet.transfer.masks import settle_masks

__all__ = ["PlannedImage", "TakenImage", "Taker"]

_NONE = np.zeros((0, 4))
_FRACTIONS = BoxFormat("ccwh", "fractional")


@dataclass(frozen=True, eq=False)
class PlannedImage:
    """One image to be imported.

    Attributes:
        path: The image file.
        size: ``(width, height)`` in pixels as the annotations have it, or ``None``.
        fields: `ImageRecord`'s fields but for the image and its size.
        refused: ``(reason, detail)`` of each box that is left out.
        changes: ``(kind, reason, detail)`` of what is imported otherwise than the files say; see `Finding`.
        file: The annotation file of this image, if it has one of its own; refused boxes are named by it.
        fault: Reason and detail why the whole image is refused before it is read, or ``None``.
        fractional: Whether boxes are centre x, centre y, width, height, and they and polygons are in
            fractions of the width and height of the image as it is read; made pixels once those are known.
    """

    path: Path
    size: tuple[int, int] | None
    fields: dict[str, Any] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()
    file: str = ""
    fault: tuple[str, str] | None = None
    fractional: bool = False


@dataclass(frozen=True, eq=False)
class TakenImage:
    """An image as the lake will hold it.

    Attributes:
        record: The row.
        image: What it was.
        frame: How it is to be read.
        mask_changes: As in `PlannedImage`.
        refused: As in `PlannedImage`: boxes that the lake cannot hold.
    """

    record: ImageRecord
    image: ReadImage
    frame: Frame
    mask_changes: list[tuple[str, str, str]]
    refused: tuple[tuple[str, str], ...] = ()

    def changes(self) -> Iterator[tuple[str, str]]:
        """Reason and detail of what is taken otherwise than the file says, but for its boxes and masks."""
        yield from self.frame.changes
        if self.record.image is not self.image.data:
            sizes = f"{len(self.image.data)} bytes, now {len(self.record.image)}"
            new = "PNG" if self.record.image.startswith(PNG) else "JPEG"
            yield f"{self.image.kind.upper()} converted to {new} without loss", sizes


@dataclass(frozen=True)
class Taker:
    """Takes images, in any thread.

    Attributes:
        encoding: See `choose_encoding`.
        exif: See `choose_frame`.
        verify: See `read_image`.
        box_format: Of the planned images' boxes.
    """

    encoding: Encoding
    exif: str
    verify: str
    box_format: BoxFormat

    def take(self, planned: PlannedImage) -> TakenImage | tuple[str, str]:
        """Read, verify and convert one image, with its boxes and masks.

        Args:
            planned: The image and its annotations.

        Returns:
            The image as the lake will hold it, or reason and detail why it is refused.
        """
        if planned.fault is not None:
            return planned.fault
        fields = planned.fields
        try:
            image = read_image(
                planned.path,
                self.encoding.format,
                convert=self.encoding.convert,
                verify=self.verify,
                stated=planned.size,
            )
            stored = image.width, image.height
            # Fractions fit an image however it is turned.
            boxes = _NONE if planned.fractional else to_xyxy(fields["boxes"], self.box_format, *stored)
            masks = _mask_sizes(fields)
            frame = choose_frame(stored, image.orientation, planned.size, boxes, self.exif, mask_sizes=masks)
            data = image.data
            if image.kind != self.encoding.format:
                data = converted(image, self.encoding.format, frame.turned)
        except ImageError as error:
            return error.what, (error.where or "").removeprefix(without_secrets(str(planned.path))).strip()
        width, height = frame.size
        if planned.fractional:
            fields = _in_pixels(fields, frame.size, self.box_format)
        fields, changes = settle_masks(fields, (height, width))
        # Pixels that were converted are turned already, and their file has no EXIF orientation.
        turned_by = image.orientation if frame.turned and data is image.data else 0
        record = ImageRecord(data, width, height, exif_turned=turned_by, **fields)
        return TakenImage(record, image, frame, changes)


def _mask_sizes(fields: Mapping[str, Any]) -> set[tuple[int, int]]:
    """Widths and heights that the run lengths among an image's masks state."""
    sizes = [mask.get("size") for mask in fields.get("segmentations") or () if isinstance(mask, dict)]
    pairs = [size for size in sizes if isinstance(size, list) and len(size) == 2]
    return {(width, height) for height, width in pairs if isinstance(height, int) and isinstance(width, int)}


def _in_pixels(fields: Mapping[str, Any], size: tuple[int, int], box_format: BoxFormat) -> dict[str, Any]:
    convert = to_xywh if box_format.mode == "ltwh" else to_xyxy
    made = {**fields, "boxes": convert(fields["boxes"], _FRACTIONS, *size)}
    if (masks := fields.get("segmentations")) is not None:
        made["segmentations"] = [_scaled(polygons, size) for polygons in masks]
    return made


def _scaled(polygons: list[list[float]] | None, size: tuple[int, int]) -> list[list[float]] | None:
    if polygons is None:
        return None
    return [[value * size[place % 2] for place, value in enumerate(points)] for points in polygons]
