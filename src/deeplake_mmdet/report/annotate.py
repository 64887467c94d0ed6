"""Objects drawn on an image: the one function by which all pictures of this package show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplake_mmdet.report.label_places import place_labels
from deeplake_mmdet.report.palette import RGB, class_colour, ink_on
from deeplake_mmdet.report.strokes import PAPER, drawable, font, frame, line, shortened

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["KINDS", "Annotated", "Objects", "annotate", "as_bgr"]

#: How an object was judged -> style of its lines, sign before its label.
KINDS = {"": ("solid", ""), "missed": ("dashed", "? "), "false": ("dotted", "✕ "), "ignored": ("solid", "")}
_MASK = 0.42  # how much of a mask's colour covers the image
_NAME = 18  # heights of a letter that a class name may be wide
_GREY = (150, 150, 150)


class Objects(NamedTuple):
    """Objects of one image, truth or predictions.

    Attributes:
        boxes: (left, top, right, bottom) in pixels of the image, shape (n, 4).
        labels: Indices into the class names, shape (n,).
        scores: Shape (n,), 0 to 1; None for truth.
        masks: For each object None, a mask of shape (height, width) of the image, or COCO's compressed run
            lengths of one; None where there are no masks.
        kinds: For each object a key of `KINDS`: ``'missed'`` (truth that no prediction found), ``'false'`` (a
            prediction that found nothing), ``'ignored'`` (what counts neither way), else ``''``; None for all
            ``''``.
    """

    boxes: ArrayLike
    labels: ArrayLike
    scores: ArrayLike | None = None
    masks: Sequence[Any] | None = None
    kinds: Sequence[str] | None = None


@dataclass(frozen=True)
class Annotated:
    """A drawn image.

    Attributes:
        image: Shape (height, width, 3), uint8, BGR.
        below: How many objects were left out because of their scores.
        unlabelled: How many objects were drawn without a label, for want of room.
        listed: Labels of the objects that bear a number, from 1 on.
    """

    image: NDArray[np.uint8]
    below: int = 0
    unlabelled: int = 0
    listed: tuple[str, ...] = field(default=())


def annotate(
    image: NDArray[Any],
    objects: Objects,
    class_names: Sequence[str],
    *,
    scale: float = 1.0,
    min_score: float = 0.0,
    labels: bool = True,
    numbers: bool = False,
    text_size: int | None = None,
) -> Annotated:
    """Draw objects on an image: masks translucent, boxes in the colours of their classes, labels beside them.

    Labels lie where they hide neither each other nor the objects (`place_labels`); the worse judged and the
    surer objects choose first. One that finds no room becomes a number, if ``numbers``, else it is left out.
    Boxes are cut off at the image's edge.

    Args:
        image: Shape (height, width), or with 1, 3 (BGR) or 4 channels; of any type that `as_bgr` takes.
        objects: The objects.
        class_names: By label.
        scale: Size of the drawing, in sizes of the image.
        min_score: Objects of lower scores are left out.
        labels: Whether to write labels.
        numbers: Whether objects whose label finds no room get a number; see ``Annotated.listed``.
        text_size: Height of letters, pixels; None to fit the drawing.

    Returns:
        The drawing, ``scale`` times as large as the image, at least one pixel.
    """
    from PIL import Image, ImageDraw

    base = as_bgr(image)
    height, width = base.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    chosen = _chosen(objects, min_score)
    pixels = _resized(base, size)
    for index in chosen.order:
        mask = None if objects.masks is None else objects.masks[chosen.places[index]]
        if mask is not None and len(mask):
            _paint(pixels, _dense(mask, height, width), class_colour(int(chosen.labels[index])))
    factors = np.array([size[0] / width, size[1] / height] * 2)
    boxes = np.clip(np.nan_to_num(chosen.boxes * factors, posinf=1e9, neginf=-1e9), 0, [*size, *size])
    stroke = int(np.clip(round((max(size) / 110) ** 0.5), 1, 4))
    for index in chosen.order:
        _seam(pixels, boxes[index])
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    pen = ImageDraw.Draw(picture)
    for index in chosen.order:
        _draw_box(pen, boxes[index], chosen.colour(index), chosen.kinds[index], stroke)
    below = len(np.asarray(objects.labels).reshape(-1)) - len(chosen.labels)
    if not labels or not len(boxes):
        return Annotated(np.asarray(picture)[..., ::-1].copy(), below)
    high = text_size or int(np.clip(max(size) / 55, 10, 22))
    texts = [_text(chosen, index, class_names, high) for index in range(len(boxes))]
    unlabelled, listed = _write_labels(pen, chosen, boxes, texts, size, high, numbers)
    return Annotated(np.asarray(picture)[..., ::-1].copy(), below, unlabelled, tuple(listed))


def as_bgr(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image of 8 bits and three channels.

    Args:
        image: Shape (height, width), or with 1, 3 (BGR) or 4 channels. Of 16 bits the upper 8 count, as when
            training decodes them; numbers with a point mean 0 to 1, or 0 to 255 if any is above 1.
    """
    found = np.asarray(image)
    if found.ndim == 2:
        found = found[..., None]
    if found.dtype == np.uint16:
        found = found >> 8
    elif found.dtype == np.bool_:
        found = found.astype(np.uint8) * 255
    elif found.dtype.kind == "f":
        found = np.nan_to_num(found)
        found = found * 255 if found.max(initial=0) <= 1 else found
    if found.dtype != np.uint8:
        found = np.clip(found, 0, 255).astype(np.uint8)
    if found.shape[2] in (1, 2):
        found = np.repeat(found[..., :1], 3, axis=2)
    return np.ascontiguousarray(found[..., :3])


class _Chosen(NamedTuple):
    """Objects that are drawn; of each its place among all, and the order of drawing, the largest first."""

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64] | None
    kinds: list[str]
    places: NDArray[np.int64]
    order: list[int]

    def colour(self, index: int) -> RGB:
        """Of an object's lines."""
        return _GREY if self.kinds[index] == "ignored" else class_colour(int(self.labels[index]))


def _chosen(objects: Objects, min_score: float) -> _Chosen:
    boxes = np.asarray(objects.boxes, np.float64).reshape(-1, 4)
    labels = np.asarray(objects.labels, np.int64).reshape(-1)
    scores = None if objects.scores is None else np.asarray(objects.scores, np.float64).reshape(-1)
    kinds = [""] * len(labels) if objects.kinds is None else list(objects.kinds)
    places: NDArray[np.signedinteger[Any]] = np.arange(len(labels))
    if scores is not None:
        places = np.argsort(-scores, kind="stable")
        places = places[scores[places] >= min_score]
    # What was judged to be wrong has its label first, then the surest.
    places = places[np.argsort([not kinds[place] for place in places], kind="stable")]
    boxes, labels = boxes[places], labels[places]
    with np.errstate(over="ignore", invalid="ignore"):
        areas = np.nan_to_num((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    return _Chosen(
        boxes, labels, None if scores is None else scores[places], [kinds[place] for place in places],
        places.astype(np.int64), np.argsort(-areas, kind="stable").tolist(),
    )  # fmt: skip


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if size == (image.shape[1], image.shape[0]):
        return image.copy()
    import cv2

    smaller = size[0] < image.shape[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC))


def _dense(mask: Any, height: int, width: int) -> NDArray[np.bool_]:
    if isinstance(mask, (bytes, str)):
        from pycocotools import mask as rle

        mask = rle.decode({"size": [height, width], "counts": mask})
    return np.asarray(mask, np.bool_)


def _paint(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], colour: RGB) -> None:
    """Cover a mask by a colour through which the image shows, with a seam around it."""
    import cv2

    size = pixels.shape[1], pixels.shape[0]
    shown = np.asarray(mask, np.uint8)
    if shown.shape != (size[1], size[0]):
        # A thin mask on a small drawing stays visible.
        smaller = size[0] < shown.shape[1]
        shown = np.asarray(
            cv2.resize(shown * 255, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
        )
        shown = (shown > 100).astype(np.uint8)
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    if not len(rows):
        return
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside, bgr = shown[part] > 0, np.array(colour[::-1], np.float32)
    pixels[part][inside] = (pixels[part][inside] * (1 - _MASK) + bgr * _MASK).astype(np.uint8)
    outlines, _ = cv2.findContours(shown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(pixels, outlines, -1, tuple(map(int, bgr)), 1, cv2.LINE_AA)


def _draw_box(pen: ImageDraw, box: NDArray[np.float64], colour: RGB, kind: str, stroke: int) -> None:
    x1, y1, x2, y2 = box.tolist()
    inside = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
    style = KINDS[kind][0]
    if style == "solid":
        frame(pen, inside, colour, 1 if kind == "ignored" else stroke)
        return
    frame(pen, inside, PAPER, stroke)
    frame(pen, inside, colour, stroke, style)


def _seam(pixels: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
    """Darken the pixels around a box: its lines stay visible on a background of their own colour."""
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    x1, y1 = max(x1 - 1, 0), max(y1 - 1, 0)
    for part in (
        pixels[y1 : y1 + 1, x1 : x2 + 1],
        pixels[y2 : y2 + 1, x1 : x2 + 1],
        pixels[y1 : y2 + 1, x1 : x1 + 1],
        pixels[y1 : y2 + 1, x2 : x2 + 1],
    ):
        part >>= 1


def _text(chosen: _Chosen, index: int, class_names: Sequence[str], high: int) -> str:
    label = int(chosen.labels[index])
    name = drawable(class_names[label]) if 0 <= label < len(class_names) else f"class {label}"
    name = shortened(name, font(high), _NAME * high)
    score = "" if chosen.scores is None else f" {chosen.scores[index]:.2f}"
    return f"{KINDS[chosen.kinds[index]][1]}{name}{score}"


def _write_labels(
    pen: ImageDraw,
    chosen: _Chosen,
    boxes: NDArray[np.float64],
    texts: list[str],
    size: tuple[int, int],
    high: int,
    numbers: bool,
) -> tuple[int, list[str]]:
    face = font(high)
    tall = sum(face.getmetrics()) + 1
    sizes = np.array([(face.getlength(text) + 6, tall) for text in texts])
    corners, led = place_labels(boxes, sizes, size)
    listed: list[str] = []
    without = np.flatnonzero(np.isnan(corners[:, 0]))
    if numbers and len(without):
        small = [str(number) for number in range(1, len(without) + 1)]
        taken = np.concatenate([corners, corners + sizes], axis=1)[~np.isnan(corners[:, 0])]
        chips = np.array([(face.getlength(text) + 4, tall) for text in small])
        at, _ = place_labels(boxes[without], chips, size, taken=taken, leaders=False, hides_at_most=0.3)
        for index, corner in zip(without.tolist(), at, strict=True):
            if not np.isnan(corner[0]):
                listed.append(texts[index])
                texts[index] = str(len(listed))
                corners[index] = corner
    ends = [corners[index] + (face.getlength(texts[index]) + 5, tall - 1) for index in range(len(texts))]
    placed = np.flatnonzero(~np.isnan(corners[:, 0])).tolist()
    for index in placed:  # lines lie below all labels
        if led[index]:
            _lead(pen, (corners[index] + ends[index]) / 2, boxes[index], chosen.colour(index))
    for index in placed:
        _tag(pen, corners[index], ends[index], texts[index], face, chosen.colour(index), chosen.kinds[index])
    return int(np.isnan(corners[:, 0]).sum()), listed


def _lead(pen: ImageDraw, start: NDArray[np.float64], box: NDArray[np.float64], colour: RGB) -> None:
    end = np.clip(start, box[:2], np.maximum(box[:2], box[2:]))
    for width, shade in ((3, PAPER), (1, colour)):
        line(pen, (float(start[0]), float(start[1])), (float(end[0]), float(end[1])), shade, width)


def _tag(
    pen: ImageDraw,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    text: str,
    face: Any,
    colour: RGB,
    kind: str,
) -> None:
    box, paper = (*np.floor(start).tolist(), *np.floor(end).tolist()), PAPER if KINDS[kind][1] else colour
    pen.rectangle(box, fill=paper, outline=colour, width=1)
    pen.text((box[0] + 3, box[1]), text, font=face, fill=ink_on(paper))
