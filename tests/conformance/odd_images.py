"""A folder of small images of every kind that annotation files come with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True)
class Kind:
    """One image file: its name, and its size in pixels as MMDetection's loader gives it."""

    name: str
    width: int = WIDTH
    height: int = HEIGHT
    stored: tuple[int, int] = (WIDTH, HEIGHT)


PLAIN = (
    Kind("a.jpg"),
    Kind("b.jpg"),
    Kind("sub/c d.jpg"),
    Kind("UP.JPG"),
    Kind("Grün (1).jpg"),
    Kind("[b].jpg"),
)
ODD = (
    Kind("turned6.jpg", HEIGHT, WIDTH),
    Kind("turned3.jpg"),
    Kind("grey.jpg"),
    Kind("alpha.png"),
    Kind("palette.png"),
    Kind("sixteen.png"),
    Kind("map.bmp"),
    Kind("web.webp"),
    Kind("tail.jpg"),
)
BROKEN = ("cut.jpg", "text.jpg", "empty.jpg", "folder.jpg")


def write_images(folder: Path) -> None:
    """Write all of them, the broken ones too."""
    rng = np.random.default_rng(0)

    def pixels(*shape: int) -> np.ndarray:
        return np.kron(
            rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, *shape), np.uint8),
            np.ones((8, 8, *[1] * len(shape)), np.uint8),
        )

    def encode(image: Image.Image, kind: str, orientation: int = 0) -> bytes:
        out = io.BytesIO()
        options = {}
        if orientation:
            exif = image.getexif()
            exif[0x0112] = orientation
            options["exif"] = exif
        image.save(out, kind, **options)
        return out.getvalue()

    def colour() -> Image.Image:
        return Image.fromarray(pixels(3))

    files = {kind.name: encode(colour(), "JPEG") for kind in PLAIN}
    files |= {
        "turned6.jpg": encode(colour(), "JPEG", 6),
        "turned3.jpg": encode(colour(), "JPEG", 3),
        "grey.jpg": encode(Image.fromarray(pixels()), "JPEG"),
        "alpha.png": encode(Image.fromarray(pixels(4)), "PNG"),
        "palette.png": encode(colour().convert("P"), "PNG"),
        "sixteen.png": encode(Image.fromarray(pixels().astype(np.uint16) * 257), "PNG"),
        "map.bmp": encode(colour(), "BMP"),
        "web.webp": encode(colour(), "WEBP"),
        "tail.jpg": files["a.jpg"] + b"\0" * 500,
        "cut.jpg": files["a.jpg"][:-200],
        "text.jpg": b"no image at all",
        "empty.jpg": b"",
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "folder.jpg").mkdir()
