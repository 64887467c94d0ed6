"""The demo's images: patterned shapes of five classes over blotched backgrounds, drawn by code."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASS_NAMES", "EMPTY_SHARE", "MIN_VISIBLE", "Scene", "demo_images", "draw_scene"]

EMPTY_SHARE = 0.08
MIN_VISIBLE = 0.75

# A class leans to a range of hues (in turns), as bricks and tennis balls do. A small network learns that
# within minutes; learning shapes alone from a few hundred images would take it many times longer.
_HUES = {
    "ball": (-0.06, 0.04),
    "brick": (0.56, 0.69),
    "cone": (0.75, 0.88),
    "star": (0.10, 0.18),
    "ring": (0.35, 0.48),
}
CLASS_NAMES: tuple[str, ...] = tuple(_HUES)
_MIN_PIXELS = 300
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Scene:
    """One image and its ground truth.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        boxes: (n, 4) float64, xyxy in pixels, tight around the visible part of each object: x1, y1 are the
            first visible column and row, x2, y2 the last plus one. Edges are on whole pixels.
        labels: (n,) int64, indices into ``CLASS_NAMES``.
        visible: (n,) float64, the share of each object's area that is neither hidden by another object nor
            outside the image; at least ``MIN_VISIBLE``.
        owner: (H, W) int16, for each pixel the index of the object seen there, -1 for the background.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    visible: NDArray[np.float64]
    owner: NDArray[np.int16]


def _outlines(name: str, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """The outline of an object in the unit circle, and that of its hole if it has one; (n, 2) each."""

    def arc(start: float, stop: float, points: int) -> NDArray[np.float64]:
        angles = np.linspace(start, stop, points, endpoint=False)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    circle = arc(0, 2 * np.pi, 56)
    if name == "brick":
        half = np.array([1.0, 1.0 / rng.uniform(1.6, 2.4)])
        return [np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half / np.hypot(*half)]
    if name == "cone":
        width = rng.uniform(0.62, 0.78)
        return [np.array([[0, -1], [width, 0.72], [-width, 0.72]])]
    if name == "star":
        star = arc(-np.pi / 2, 1.5 * np.pi, 10)
        star[1::2] *= rng.uniform(0.42, 0.52)
        return [star]
    return [circle, circle * rng.uniform(0.52, 0.64)] if name == "ring" else [circle]


def _blotches(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> NDArray[np.float32]:
    """Smooth random values from about 0 to 1, with blotches of some pixels."""
    grid = rng.random([max(2, int(side / cell) + 2) for side in shape], dtype=np.float32)
    return np.asarray(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _colour(rng: np.random.Generator, hue: tuple[float, float], saturation: float) -> NDArray[np.float32]:
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, saturation, rng.uniform(0.55, 0.95))
    return np.array(rgb[::-1], np.float32) * 255


def _background(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    coarse, fine = _blotches(rng, shape, rng.uniform(40, 140)), _blotches(rng, shape, rng.uniform(4, 9))
    light = _blotches(rng, shape, 200) * 0.4 + 0.7
    first, second = (_colour(rng, (0, 1), rng.uniform(0.03, 0.3)) for _ in range(2))
    amount = (coarse * 0.75 + fine * 0.25)[..., None]
    return np.asarray((first + (second - first) * amount) * light[..., None], np.float32)


def _surface(rng: np.random.Generator, size: int, label: int) -> NDArray[np.float32]:
    """Colours of a square patch, (size, size, 3): plain, striped, checked or blotched, lit from one side."""
    first = _colour(rng, _HUES[CLASS_NAMES[label]], rng.uniform(0.6, 0.95))
    second = first * rng.uniform(0.35, 0.7)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 12)
    across = rows * np.sin(angle) + columns * np.cos(angle)
    along = rows * np.cos(angle) - columns * np.sin(angle)
    kind = rng.integers(4)
    amount: NDArray[Any]
    if kind == 0:
        amount = np.zeros((size, size))
    elif kind == 1:
        amount = np.sin(across / period * np.pi) > 0
    elif kind == 2:
        amount = (across // period + along // period) % 2
    else:
        amount = _blotches(rng, (size, size), size / 4)
    light = np.linspace(1.15, 0.75, size, dtype=np.float32)[:, None, None]
    return np.asarray((first + (second - first) * amount[..., None]) * light, np.float32)


def draw_scene(seed: int, index: int) -> Scene:
    """Draw image ``index`` of the data set ``seed``.

    About 8 % of the scenes are empty; the others hold up to six objects of 44 to 116 pixels, some of them
    partly behind others or cut by the image's edge. Widths are 272 to 352 pixels, heights 208 to 288.

    Args:
        seed: Names the data set; at least 0.
        index: Number of the image in the data set; at least 0. The scene depends on these two alone.

    Returns:
        The scene.
    """
    rng = np.random.default_rng([seed, index])
    shape = (int(rng.integers(26, 37)) * 8, int(rng.integers(34, 45)) * 8)
    image, owner = _background(rng, shape), np.full(shape, -1, np.int16)
    wanted = 0 if rng.random() < EMPTY_SHARE else int(rng.integers(1, 7))
    labels: list[int] = []
    visible: list[float] = []
    boxes: list[tuple[int, int, int, int]] = []
    centres: list[NDArray[np.float64]] = []
    # From front to back: what comes later lies behind, and cannot spoil what the earlier ones were kept for.
    for _ in range(wanted * 4):
        if len(labels) == wanted:
            break
        label = int(rng.integers(len(CLASS_NAMES)))
        radius = float(np.exp(rng.uniform(np.log(22), np.log(58))))
        centre = np.array([rng.uniform(0, shape[1]), rng.uniform(0, shape[0])])
        if centres and rng.random() < 0.4:  # placed anywhere, objects would rarely overlap
            direction = rng.uniform(0, 2 * np.pi)
            reach = radius * rng.uniform(1.0, 1.8)
            centre = (
                centres[rng.integers(len(centres))] + np.array([np.cos(direction), np.sin(direction)]) * reach
            )
        turn = rng.uniform(0, 2 * np.pi)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * radius
        size = 2 * int(radius) + 6
        corner = np.floor(centre).astype(int) - size // 2
        cover = np.zeros((size, size), np.uint8)
        for outline, value in zip(_outlines(CLASS_NAMES[label], rng), (255, 0), strict=False):
            points = np.rint((outline @ rotation + (centre - corner)) * 16).astype(np.int32)
            cv2.fillPoly(cover, [points], (value,), cv2.LINE_AA, 4)
        left, top = np.maximum(corner, 0)
        right, bottom = np.minimum(corner + size, shape[::-1])
        if right <= left or bottom <= top:
            continue
        inside = slice(top, bottom), slice(left, right)
        patch = slice(top - corner[1], bottom - corner[1]), slice(left - corner[0], right - corner[0])
        seen = (cover[patch] >= 128) & (owner[inside] < 0)
        count = int(seen.sum())
        if count < _MIN_PIXELS or count < MIN_VISIBLE * (cover >= 128).sum():
            continue
        alpha = (cover[patch] / np.float32(255) * (owner[inside] < 0))[..., None]
        under = image[inside]
        under += alpha * (_surface(rng, size, label)[patch] - under)
        owner[inside][seen] = len(labels)
        rows, columns = np.flatnonzero(seen.any(1)) + top, np.flatnonzero(seen.any(0)) + left
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        visible.append(count / int((cover >= 128).sum()))
        labels.append(label)
        centres.append(centre)
    photo = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9))
    photo = photo + rng.standard_normal((*shape, 1), dtype=np.float32) * np.float32(rng.uniform(2, 6))
    return Scene(
        image=np.clip(photo, 0, 255).astype(np.uint8),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        visible=np.array(visible, np.float64),
        owner=owner,
    )


def demo_images(count: int, seed: int) -> Iterator[tuple[bytes, Scene]]:
    """Draw a data set.

    Args:
        count: Number of images.
        seed: Names the data set; at least 0. Training and validation images need different seeds.

    Yields:
        The image as JPEG of quality 90, and its scene. The scene's pixels are those before compression.
    """
    for index in range(count):
        scene = draw_scene(seed, index)
        _, encoded = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        yield encoded.tobytes(), scene
