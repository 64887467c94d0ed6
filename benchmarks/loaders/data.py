"""The images of the loader benchmarks: photograph-like JPEGs with boxes, as files with COCO JSON and a lake.

Everything is a function of its numbers alone and stays in the folder that is given, so that it is made once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "BenchSet", "draw_boxes", "draw_photo", "small_lake", "unique_images"]

CLASSES = ("one", "two", "three", "four")
WIDTH, HEIGHT = 640, 480
_QUALITY = 92
# Cells across the picture and strength of each layer of noise; photographs have most power in their low ones.
_OCTAVES = ((4, 40.0), (16, 22.0), (64, 14.0), (160, 11.0))
_FINEST = 320
_APPEND = 20_000


@dataclass(frozen=True)
class BenchSet:
    """One set of images as everybody reads it.

    Attributes:
        folder: Where it lies.
        rows: How many images it has; those beyond `unique_images` repeat the first ones.
    """

    folder: Path
    rows: int

    @property
    def images(self) -> Path:
        """Folder of the JPEG files, one for each row."""
        return self.folder / "images"

    @property
    def annotations(self) -> Path:
        """The COCO file."""
        return self.folder / "coco.json"

    @property
    def lake(self) -> Path:
        """The same as a lake."""
        return self.folder / "lake"

    @property
    def image_bytes(self) -> int:
        """Size of all images together."""
        return sum(path.stat().st_size for path in self.images.iterdir())

    @classmethod
    def make(cls, root: Path, rows: int, unique: int = 2000) -> BenchSet:
        """Make the set below ``root``, unless it is there.

        Args:
            root: Folder of all sets.
            rows: Number of images.
            unique: Number of different ones among them.
        """
        made = cls(root / f"set-{rows}", rows)
        if (made.folder / "complete").exists():
            return made
        shutil.rmtree(made.folder, ignore_errors=True)
        made.images.mkdir(parents=True)
        originals = unique_images(root / "unique", min(unique, rows))
        for row in range(rows):
            # Links: the same bytes, but another file for whoever reads it.
            (made.images / f"{row:07d}.jpg").hardlink_to(originals[row % len(originals)])
        made.annotations.write_text(json.dumps(_coco(rows)))

        import deeplake_mmdet

        deeplake_mmdet.import_coco(made.annotations, made.lake, images=made.images, progress=False)
        (made.folder / "complete").touch()
        return made

    def samples(self) -> Iterator[tuple[bytes, NDArray[Any], NDArray[Any]]]:
        """Encoded image, boxes (n, 4) float32 as xyxy pixels and labels (n,) int64 of each row; for peers."""
        for row in range(self.rows):
            boxes, labels = draw_boxes(row)
            corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
            yield (self.images / f"{row:07d}.jpg").read_bytes(), corners.astype(np.float32), labels


def unique_images(folder: Path, count: int) -> list[Path]:
    """Paths of the first ``count`` pictures; draws those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:07d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        # Another name first: an interrupted run leaves no half a picture.
        partial = path.with_suffix(".partial.jpg")
        cv2.imwrite(str(partial), draw_photo(number), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        partial.rename(path)
    return paths


def draw_photo(number: int) -> NDArray[Any]:
    """A picture (480, 640, 3) uint8 of gradients, noise of many sizes and objects; about 100 kB as JPEG."""
    random = np.random.default_rng(number)
    slopes = random.uniform(-60, 60, (2, 1, 1, 3)).astype(np.float32)
    down = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None, None]
    across = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :, None]
    picture = 128 + slopes[0] * down + slopes[1] * across
    for cells, strength in (*_OCTAVES, (_FINEST, random.uniform(4, 20))):
        noise = random.standard_normal((cells * HEIGHT // WIDTH, cells, 3), dtype=np.float32)
        grey = noise.mean(2, keepdims=True)
        layer = (strength * (0.3 * noise + 0.7 * grey)).astype(np.float32)
        picture += cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for left, top, width, height in draw_boxes(number)[0]:
        place = picture[int(top) : int(top + height), int(left) : int(left + width)]
        place += random.uniform(-50, 50, 3).astype(np.float32)
    picture += 3 * random.standard_normal((HEIGHT, WIDTH, 1), dtype=np.float32)
    drawn: NDArray[Any] = np.clip(picture, 0, 255).astype(np.uint8)
    return drawn


def draw_boxes(row: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Boxes (n, 4) float64, n from 1 to 13, as x, y, width, height in pixels, and labels (n,) int64."""
    random = np.random.default_rng(1_000_000_007 + row)
    count = int(random.integers(1, 14))
    corner = np.floor(random.uniform(0, (WIDTH - 120, HEIGHT - 120), (count, 2)))
    size = np.floor(random.uniform(12, 118, (count, 2)))
    return np.concatenate([corner, size], axis=1), random.integers(0, len(CLASSES), count)


def _coco(rows: int) -> dict[str, object]:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for row in range(rows):
        images.append({"id": row, "file_name": f"{row:07d}.jpg", "width": WIDTH, "height": HEIGHT})
        for box, label in zip(*draw_boxes(row), strict=True):
            entry = {"image_id": row, "category_id": int(label) + 1, "bbox": box.tolist(), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "area": float(box[2] * box[3]), **entry})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def small_lake(root: Path, rows: int) -> Path:
    """A lake of ``rows`` tiny images (64×48, below 2 kB) with two boxes each, unless it is there.

    Written straight with Deep Lake, in the columns that `deeplake_mmdet.import_coco` makes: a million rows in
    minutes.
    """
    path = root / f"small-{rows}" / "lake"
    if (path.parent / "complete").exists():
        return path
    shutil.rmtree(path.parent, ignore_errors=True)

    import deeplake
    from deeplake import types

    tiny = cv2.resize(draw_photo(0), (64, 48), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", tiny, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    assert len(encoded) <= 2048
    schema = {
        "images": types.Image(sample_compression="jpeg"),
        "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
        "labels": types.ClassLabel(types.Array("uint32", 1)),
        "width": "int32",
        "height": "int32",
        "image_id": "int64",
    }
    lake = deeplake.create(str(path), schema=schema)
    lake.auto_commit_enabled = False
    lake["labels"].metadata["class_names"] = list(CLASSES)
    for name in ("width", "height"):
        lake[name].metadata["format"] = "stored-pixels"
    boxes = np.array([[4.0, 4, 20, 20], [10, 8, 30, 24]])
    for start in range(0, rows, _APPEND):
        count = min(_APPEND, rows - start)
        lake.append(
            {
                "images": [encoded] * count,
                "boxes": np.broadcast_to(boxes, (count, 2, 4)).copy(),
                "labels": np.broadcast_to(np.array([0, 1], np.uint32), (count, 2)).copy(),
                "width": np.full(count, 64, np.int32),
                "height": np.full(count, 48, np.int32),
                "image_id": np.arange(start, start + count),
            }
        )
    lake.commit("benchmark")
    (path.parent / "complete").touch()
    return path
