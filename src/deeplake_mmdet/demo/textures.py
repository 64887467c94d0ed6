"""Noise, colours, object surfaces and photographic-looking backgrounds, all from a random generator."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["background", "noise", "surface"]

Plane = NDArray[np.float32]
_BGR = NDArray[np.float32]


def noise(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3, stretch: float = 1.0
) -> Plane:
    """Make multi-octave value noise.

    Args:
        rng: The scene's generator.
        height: Rows.
        width: Columns.
        cell: Size of the coarsest blotches in pixels.
        octaves: Number of layers; each has half the cell and half the strength of the one before.
        stretch: How many times wider than high the blotches are.

    Returns:
        (height, width) float32 in 0..1.
    """
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    for _ in range(octaves):
        rows = max(2, int(np.ceil(height / max(cell, 1.0))) + 1)
        columns = max(2, int(np.ceil(width / max(cell * stretch, 1.0))) + 1)
        grid = rng.random((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weights += weight
        weight, cell = weight / 2, cell / 2
    return np.clip(total / np.float32(weights), 0, 1)


def _colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0, 1),
) -> NDArray[np.float32]:
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value))
    return np.array(rgb[::-1], np.float32)


def _mix(low: NDArray[np.float32], high: NDArray[np.float32], amount: Plane) -> _BGR:
    # Channel by channel: broadcasting over a last axis of three is several times slower.
    channels = [start + amount * (stop - start) for start, stop in zip(low, high, strict=True)]
    return np.asarray(cv2.merge(channels), np.float32)


def surface(rng: np.random.Generator, u: Plane, v: Plane, pixels: float, hue: tuple[float, float]) -> _BGR:
    """Colour an object's surface with a random texture.

    Args:
        rng: The scene's generator.
        u: (h, w) coordinate along the object, -1..1 across its unit circle; turns with the object.
        v: (h, w) coordinate across it.
        pixels: Radius of the unit circle, so that no pattern gets finer than the pixels can show.
        hue: Range to draw the hue from, in turns; it may go below 0 or beyond 1.

    Returns:
        (h, w, 3) float32 BGR in 0..1, unshaded.
    """
    first = _colour(rng, (0.6, 0.95), (0.6, 0.98), hue)
    light = rng.random() < 0.4
    second = _colour(rng, (0.0, 0.2), (0.8, 1.0)) if light else first * rng.uniform(0.35, 0.6)
    finest = max(4.0 / pixels, 0.2)
    period = np.float32(rng.uniform(finest, finest + 0.35))
    kind = rng.choice(["plain", "checker", "stripes", "dots", "marble", "fade"])
    if kind == "checker":
        amount = ((np.floor(u / period) + np.floor(v / period)) % 2).astype(np.float32)
    elif kind == "stripes":
        amount = np.clip(np.sin(u * (np.pi / period)) * 3 + 0.5, 0, 1)
    elif kind == "dots":
        step = period * np.float32(1.6)
        across, along = u % step - step / 2, v % step - step / 2
        amount = np.clip((period * np.float32(0.55) - np.hypot(across, along)) * pixels + 0.5, 0, 1)
    elif kind == "marble":
        veins = noise(rng, u.shape[0], u.shape[1], cell=pixels * 0.6, octaves=4)
        amount = np.abs(np.sin((u * 2 + veins * 5) * np.float32(np.pi)))
    elif kind == "fade":
        amount = np.clip(u * 0.5 + 0.5, 0, 1)
    else:
        amount = noise(rng, u.shape[0], u.shape[1], cell=max(pixels / 3, 2), octaves=2) * np.float32(0.3)
    return _mix(first, second, amount.astype(np.float32))


def _plaster(rng: np.random.Generator, height: int, width: int) -> _BGR:
    base = _colour(rng, (0.03, 0.2), (0.45, 0.8))
    blotches = noise(rng, height, width, rng.uniform(60, 140), 5)
    grit = noise(rng, height, width, 4, 2)
    return _mix(base * np.float32(0.7), base * np.float32(1.15), blotches * 0.75 + grit * 0.25)


def _ground(rng: np.random.Generator, height: int, width: int) -> _BGR:
    low = np.array([[0.12, 0.22, 0.16], [0.18, 0.24, 0.32], [0.22, 0.24, 0.26]], np.float32)
    high = np.array([[0.30, 0.52, 0.42], [0.42, 0.56, 0.66], [0.58, 0.60, 0.62]], np.float32)
    pick = rng.integers(len(low))
    patches = noise(rng, height, width, 90, 3)
    blades = noise(rng, height, width, 7, 3, stretch=rng.uniform(0.5, 1.0))
    return _mix(low[pick], high[pick], np.clip((blades - 0.5) * 1.5 + patches, 0, 1))


def _planks(rng: np.random.Generator, height: int, width: int) -> _BGR:
    board = rng.uniform(32, 64)
    rows = np.arange(height, dtype=np.float32)
    index = (rows / board).astype(np.int64)
    tone = rng.uniform(0.75, 1.05, index[-1] + 1).astype(np.float32)[index]
    gap = np.clip(np.minimum(rows % board, board - rows % board) / 1.5, 0.35, 1).astype(np.float32)
    grain = noise(rng, height, width, 9, 3, stretch=14)
    wood = _mix(
        np.array([0.16, 0.27, 0.42], np.float32) * rng.uniform(0.8, 1.2),
        np.array([0.40, 0.56, 0.74], np.float32) * rng.uniform(0.85, 1.1),
        np.clip((grain - 0.5) * 1.6 + 0.5, 0, 1),
    )
    wood *= (tone * gap)[:, None, None]
    return wood


def _landscape(rng: np.random.Generator, height: int, width: int) -> _BGR:
    horizon = int(height * rng.uniform(0.25, 0.5))
    zenith, haze = (
        _colour(rng, (0.25, 0.6), (0.6, 0.85), (0.52, 0.64)),
        np.full(3, rng.uniform(0.75, 0.92), np.float32),
    )
    ramp = np.broadcast_to(np.linspace(0, 1, horizon, dtype=np.float32)[:, None], (horizon, width))
    clouds = noise(rng, horizon, width, 45, 4, stretch=2.2)
    sky = _mix(zenith, haze, np.clip(ramp * 0.8 + np.clip(clouds - 0.5, 0, 1) * 1.4, 0, 1))
    field = _ground(rng, height, width)[: height - horizon]
    distance = np.linspace(0.45, 0, height - horizon, dtype=np.float32)[:, None]
    field += distance[..., None] * (haze - field)
    scene = np.concatenate([sky, field])
    seam = slice(max(0, horizon - 8), horizon + 8)
    scene[seam] = cv2.GaussianBlur(scene, (0, 0), 2.5)[seam]
    return scene


def _room(rng: np.random.Generator, height: int, width: int) -> _BGR:
    wall = _plaster(rng, height, width)
    scale = 4
    lights = np.zeros((height // scale + 1, width // scale + 1, 3), np.float32)
    for _ in range(int(rng.integers(5, 14))):
        corner = (int(rng.integers(lights.shape[1])), int(rng.integers(lights.shape[0])))
        extent = (corner[0] + int(rng.integers(4, 30)), corner[1] + int(rng.integers(4, 30)))
        tint = (_colour(rng, (0.1, 0.4), (0.1, 0.6)) - 0.3).tolist()
        cv2.rectangle(lights, corner, extent, tint, -1)
    blurred = cv2.GaussianBlur(lights, (0, 0), rng.uniform(3, 6))
    return np.clip(wall + cv2.resize(blurred, (width, height)), 0.02, 1)


_BACKGROUNDS: tuple[Callable[[np.random.Generator, int, int], _BGR], ...] = (
    _plaster,
    _ground,
    _planks,
    _landscape,
    _room,
)


def background(rng: np.random.Generator, height: int, width: int) -> _BGR:
    """Paint a random background: plaster, ground, planks, a landscape or a room out of focus.

    Args:
        rng: The scene's generator.
        height: Rows.
        width: Columns.

    Returns:
        (height, width, 3) float32 BGR, about 0..1, evenly lit and sharp.
    """
    return _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))](rng, height, width).astype(np.float32)
