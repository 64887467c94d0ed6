"""Small lakes whose images lie in several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import deeplake
import numpy as np
from deeplake import types


def jpeg(seed: int, height: int = 12, width: int = 16) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def write(path: Path, parts: list[list[bytes]]) -> Any:
    lake = deeplake.create(
        str(path),
        schema={
            "images": types.Image(sample_compression="jpeg"),
            "boxes": types.BoundingBox("float64", format="ltwh", bbox_type="pixel"),
            "labels": types.ClassLabel(types.Array("uint32", 1)),
        },
    )
    lake["labels"].metadata["class_names"] = ["a"]
    for images in parts:
        boxes = [np.array([[1.0, 1.0, 2.0, 2.0]])] * len(images)
        lake.append({"images": images, "boxes": boxes, "labels": [np.zeros(1, np.uint32)] * len(images)})
        lake.commit()
    return lake
