"""The demo's lakes, drawn by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeplake_mmdet.demo.drawing import CLASS_NAMES, demo_images
from deeplake_mmdet.lake import ImageRecord, LakeWriter

__all__ = ["write_demo_lake"]


def write_demo_lake(path: str | Path, count: int, seed: int) -> int:
    """Draw ``count`` images and write them as a lake, replacing one that stands there.

    Args:
        path: Folder of the lake.
        count: Number of images.
        seed: Names the data set; training and validation need different ones.

    Returns:
        The number of boxes.
    """
    boxes = 0
    with LakeWriter(
        str(path),
        class_names=CLASS_NAMES,
        box_format="ltrb",
        image_format="jpeg",
        overwrite=True,
        source="demo",
        message=f"{count} drawn images, seed {seed}",
    ) as writer:
        for number, (encoded, scene) in enumerate(demo_images(count, seed)):
            height, width = scene.image.shape[:2]
            writer.append(
                ImageRecord(
                    encoded,
                    width,
                    height,
                    f"{seed}-{number:05d}.jpg",
                    np.asarray(scene.boxes, np.float64).reshape(-1, 4),
                    scene.labels,
                )
            )
            boxes += len(scene.boxes)
    return boxes
