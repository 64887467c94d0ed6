"""The demo's images: textured shapes over photographic-looking backgrounds, drawn by code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.demo.shapes import CLASS_NAMES, coverage, outline
from deeplake_mmdet.demo.textures import background, noise, surface

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


@dataclass(frozen=True)
class _Object:
    label: int
    radius: float
    angle: float
    left: int
    top: int
    centre: tuple[float, float]
    cover: NDArray[np.uint8]

    @property
    def solid(self) -> NDArray[np.bool_]:
        return self.cover >= 128


def _windows(left: int, top: int, size: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], ...]:
    """The part of the image under a patch, and the part of the patch inside the image."""
    y1, y2 = max(top, 0), min(top + size, shape[0])
    x1, x2 = max(left, 0), min(left + size, shape[1])
    y2, x2 = max(y1, y2), max(x1, x2)
    return (slice(y1, y2), slice(x1, x2)), (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))


def _random_object(rng: np.random.Generator, shape: tuple[int, int], near: _Object | None) -> _Object:
    label = int(rng.integers(len(CLASS_NAMES)))
    radius = float(np.exp(rng.uniform(np.log(22), np.log(58))))
    if near is None:
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
    else:
        # Uniform placement alone rarely makes objects overlap.
        direction, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.0) * (radius + near.radius)
        x = near.left + near.centre[0] + np.cos(direction) * reach
        y = near.top + near.centre[1] + np.sin(direction) * reach
    angle = float(rng.uniform(0, 2 * np.pi))
    size = int(np.ceil(radius)) * 2 + 4
    left, top = int(np.floor(x)) - size // 2, int(np.floor(y)) - size // 2
    centre = (float(x - left), float(y - top))
    outer, hole = outline(CLASS_NAMES[label], rng)
    cover = coverage(outer, hole, centre, radius, angle, size)
    return _Object(label, radius, angle, left, top, centre, cover)


def _plan(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[list[_Object], list[float]]:
    """Place objects from front to back, keeping those of which enough can be seen.

    An object placed later lies behind all earlier ones, so it cannot spoil what they were kept for; one
    that would be too well hidden is left out of the image, so that all that is drawn is in the ground truth.
    """
    wanted = 0 if rng.random() < EMPTY_SHARE else int(rng.integers(1, 7))
    taken = np.zeros(shape, np.bool_)
    objects: list[_Object] = []
    shares: list[float] = []
    for _ in range(wanted * 4):
        if len(objects) == wanted:
            break
        near = objects[rng.integers(len(objects))] if objects and rng.random() < 0.3 else None
        candidate = _random_object(rng, shape, near)
        inside, patch = _windows(candidate.left, candidate.top, len(candidate.cover), shape)
        solid = candidate.solid
        seen = int(np.count_nonzero(solid[patch] & ~taken[inside]))
        share = seen / int(np.count_nonzero(solid))
        if share >= MIN_VISIBLE and seen >= _MIN_PIXELS:
            taken[inside] |= solid[patch]
            objects.append(candidate)
            shares.append(share)
    return objects, shares


def _shaded(rng: np.random.Generator, item: _Object, light: NDArray[np.float64]) -> NDArray[np.float32]:
    size = len(item.cover)
    steps = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(item.radius)
    x = (steps - np.float32(item.centre[0] / item.radius))[None, :]
    y = (steps - np.float32(item.centre[1] / item.radius))[:, None]
    cos, sin = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
    colours = surface(rng, x * cos + y * sin, y * cos - x * sin, item.radius, _HUES[CLASS_NAMES[item.label]])
    if CLASS_NAMES[item.label] == "ball":
        height = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
        facing = np.clip(x * np.float32(light[0]) + y * np.float32(light[1]) + height, 0, None) / 1.41
        shade = 0.35 + 0.75 * facing
        gloss = rng.uniform(0, 0.5) * np.clip(facing, 0, 1) ** 24
    else:
        soft = cv2.GaussianBlur(item.cover, (0, 0), item.radius * 0.09).astype(np.float32) / 255
        slope = -cv2.Sobel(soft, -1, 1, 0) * light[0] - cv2.Sobel(soft, -1, 0, 1) * light[1]
        tilt = (x * np.float32(light[0]) + y * np.float32(light[1])) * rng.uniform(0.05, 0.25)
        shade = 0.85 + tilt + np.clip(slope * item.radius * 0.035, -0.4, 0.35)
        gloss = np.zeros_like(shade)
    lit = np.clip(colours * shade[..., None] + gloss[..., None], 0, 1)
    return np.asarray(lit, np.float32)


def _compose(rng: np.random.Generator, canvas: NDArray[np.float32], objects: list[_Object]) -> None:
    """Paint the objects, last first, each with its shadow on what lies behind it."""
    shape = (canvas.shape[0], canvas.shape[1])
    direction = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(direction), np.sin(direction)])
    depth = rng.uniform(0.25, 0.6)
    for item in reversed(objects):
        size = len(item.cover)
        reach = item.radius * rng.uniform(0.08, 0.28)
        pad = int(np.ceil(item.radius * 0.4))
        shadow = cv2.GaussianBlur(
            cv2.copyMakeBorder(item.cover, pad, pad, pad, pad, cv2.BORDER_CONSTANT),
            (0, 0),
            item.radius * 0.12,
        )
        dx, dy = (round(float(step)) for step in -light * reach)
        inside, patch = _windows(item.left - pad + dx, item.top - pad + dy, size + 2 * pad, shape)
        canvas[inside] *= 1 - np.float32(depth / 255) * shadow[patch][..., None]

        inside, patch = _windows(item.left, item.top, size, shape)
        alpha = (item.cover[patch].astype(np.float32) / 255)[..., None]
        under = canvas[inside]
        under += alpha * (_shaded(rng, item, light)[patch] - under)


def _photograph(rng: np.random.Generator, canvas: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Light, lens and film: uneven light, vignette, tint, blur, tone curve and grain."""
    height, width = canvas.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    direction = rng.uniform(0, 2 * np.pi)
    slant = x * np.float32(np.cos(direction)) + y * np.float32(np.sin(direction))
    light = 1 + slant * np.float32(rng.uniform(0, 0.25))
    light -= (x * x + y * y) * np.float32(rng.uniform(0.03, 0.18))
    light += (noise(rng, height, width, 150, 1) - np.float32(0.5)) * np.float32(0.25)
    tint = rng.normal(1, 0.03, 3) * rng.uniform(0.85, 1.15)
    tint = rng.normal(1, 0.03, 3) * rng.uniform(0.85, 1.15) * 255
    photo = cv2.multiply(canvas, cv2.merge([light * np.float32(gain) for gain in tint]))
    photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.35, 0.9))
    grain = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1.5, 5))
    photo = cv2.add(photo, cv2.merge([grain] * 3))
    levels = np.clip(photo, 0, 255).astype(np.uint8)
    # A smoothstep blended in is the film's soft shoulder and toe.
    ramp, bend = np.linspace(0, 1, 256), rng.uniform(0.1, 0.5)
    curve = ramp + bend * (ramp * ramp * (3 - 2 * ramp) - ramp)
    return np.asarray(cv2.LUT(levels, np.rint(curve * 255).astype(np.uint8)), np.uint8)


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
    objects, shares = _plan(rng, shape)
    canvas = background(rng, *shape)
    if rng.random() < 0.5:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.8, 2.5)).astype(np.float32)
    _compose(rng, canvas, objects)

    owner = np.full(shape, -1, np.int16)
    for number in reversed(range(len(objects))):
        item = objects[number]
        inside, patch = _windows(item.left, item.top, len(item.cover), shape)
        owner[inside][item.solid[patch]] = number
    boxes = np.zeros((len(objects), 4))
    for number in range(len(objects)):
        seen = owner == number
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        boxes[number] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return Scene(
        image=_photograph(rng, canvas),
        boxes=boxes,
        labels=np.array([item.label for item in objects], np.int64),
        visible=np.array(shares, np.float64),
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
