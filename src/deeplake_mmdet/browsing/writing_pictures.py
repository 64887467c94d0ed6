"""What `browse` shows, as pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.browsing.browse import open_gallery
from deeplake_mmdet.browsing.lake_gallery import LakeGallery
from deeplake_mmdet.browsing.pictures import decoded
from deeplake_mmdet.browsing.row_objects import objects_of_rows
from deeplake_mmdet.browsing.sample_gallery import SampleGallery
from deeplake_mmdet.errors import ConfigError, ImageError, StorageError
from deeplake_mmdet.evaluation.rle import compress
from deeplake_mmdet.report.annotate import Objects, annotate

__all__ = ["Written", "write_pictures"]

_GAP = 8  # pixels between truth and predictions
_QUALITY = 92
# What pictures know no mark of, or none as it is usual.
_MARKS = {"found": "", "true": "", "confused": "false"}


class Written(NamedTuple):
    """What `write_pictures` has done.

    Attributes:
        written: How many pictures.
        there: How many images there are.
        left_out: Rows or samples whose images cannot be drawn, with why.
    """

    written: int
    there: int
    left_out: tuple[tuple[int, str], ...]


def write_pictures(
    lake: str | os.PathLike[str], out: str | os.PathLike[str], *, count: int = 100, **options: Any
) -> Written:
    """Draw the first images of a lake, or samples of a config, with their objects.

    Args:
        lake: As of `browse`.
        out: Folder for the pictures, ``<row>.jpg``; made if it is missing.
        count: How many at most.
        options: The other arguments of `browse` but for those of its server.

    Raises:
        ConfigError: ``count`` is less than one.
        StorageError: A picture cannot be written.
        DeepLakeMMDetError: Lake or config cannot be read.
    """
    if count < 1:
        raise ConfigError(f"The number of pictures is {count}", where="argument count", advice="1 or more")
    gallery = open_gallery(lake, **options)
    assert isinstance(gallery, (LakeGallery, SampleGallery))
    folder, left_out, written = Path(out), [], 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in _drawn(gallery, min(count, len(gallery))):
            if isinstance(picture, ImageError):
                left_out.append((number, picture.what))
                continue
            done, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if not done:
                left_out.append((number, "The picture is too large"))
                continue
            (folder / f"{number:08d}.jpg").write_bytes(content.tobytes())
            written += 1
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"The pictures cannot be written: {error.strerror or error}", where=str(folder)
        ) from None
    finally:
        gallery.close()
    return Written(written, len(gallery), tuple(left_out))


def _drawn(
    gallery: LakeGallery | SampleGallery, count: int
) -> Iterator[tuple[int, NDArray[np.uint8] | ImageError]]:
    for number in range(count):
        try:
            if isinstance(gallery, SampleGallery):
                yield number, _of_sample(gallery, number)
            else:
                yield number, _of_row(gallery, number)
        except ImageError as error:
            yield number, error


def _of_sample(gallery: SampleGallery, index: int) -> NDArray[np.uint8]:
    shown = gallery.sample(index, 0)
    height, width = shown.image.shape[:2]
    masks = None
    if shown.masks is not None:
        masks = [_dense(mask, height, width) for mask in shown.masks]
    kinds = ["ignored" if aside else "" for aside in shown.ignored.tolist()]
    return annotate(
        shown.image, Objects(shown.boxes, shown.labels, masks=masks, kinds=kinds), gallery.names
    ).image


def _of_row(gallery: LakeGallery, row: int) -> NDArray[np.uint8]:
    """Truth, and the predictions of the run beside it, if there is one."""
    view, run = gallery.view, gallery.first_run
    image = decoded(view.fetch([row])[0])
    height, width = image.shape[:2]
    told = objects_of_rows(view, [row], run, 0.0 if run is None else run.score, masks=True)[0]
    names = view.classes if run is None else run.names

    def drawn(boxes: Any, labels: Any, scores: Any, masks: Any, kinds: Any) -> NDArray[np.uint8]:
        spread = None if masks is None else [_dense(mask, height, width) for mask in masks]
        marks = None if kinds is None else [_MARKS.get(kind, kind) for kind in kinds]
        return annotate(image, Objects(boxes, labels, scores, spread, marks), names).image

    truth = drawn(told.boxes, told.labels, None, told.masks, told.kinds)
    if (found := told.found) is None:
        return truth
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    predicted = drawn(found.boxes, found.labels, found.scores, found.masks, found.kinds)
    return np.concatenate([truth, gap, predicted], axis=1)


def _dense(mask: Any, height: int, width: int) -> Any:
    """A mask as `annotate` takes it; None for one that encloses nothing."""
    if not isinstance(mask, (list, dict)) or not mask:
        return mask
    try:
        return compress(mask, height, width)
    except ValueError:
        return None
