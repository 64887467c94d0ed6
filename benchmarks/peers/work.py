"""What every peer does with a sample, and how it is called and timed: the same for all.

A peer is a script that is told a SPEC, as JSON in its first argument: ``prepare`` (write the data set into
``store``, and stop), ``set`` (folder and rows), ``store``, ``endpoint`` and ``prefix`` (read from there over
HTTP instead), ``cache`` (a folder, emptied first), ``workers``, ``cores`` and ``window``. It prints its
result as JSON in its last line.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from loaders.data import BenchSet
from loaders.window import Window, pin, time_window

__all__ = ["BATCH_SIZE", "collate", "decode", "main", "transform"]

BATCH_SIZE = 8
_SCALE = 640

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def decode(encoded: Any) -> np.ndarray:
    """BGR pixels (height, width, 3) uint8 of a JPEG, as MMDetection decodes."""
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)


def transform(image: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> Sample:
    """The plain pipeline of the benchmark: resize to 640 keeping the ratio, flip at random, pack.

    Args:
        image: (height, width, 3) uint8.
        boxes: (n, 4) float32, xyxy pixels.
        labels: (n,) int64.

    Returns:
        Image (3, height, width) uint8, boxes and labels.
    """
    height, width = image.shape[:2]
    scale = min(_SCALE / height, _SCALE / width)
    size = (int(width * scale + 0.5), int(height * scale + 0.5))
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    boxes = np.clip(boxes * np.float32(scale), 0, (size[0], size[1]) * 2)
    if random.random() < 0.5:
        image = image[:, ::-1]
        boxes = np.stack([size[0] - boxes[:, 2], boxes[:, 1], size[0] - boxes[:, 0], boxes[:, 3]], axis=1)
    # As PackDetInputs does, each way where it is the faster one.
    if image.flags.c_contiguous:
        packed = torch.from_numpy(image).permute(2, 0, 1).contiguous()
    else:
        packed = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return packed, torch.from_numpy(boxes.astype(np.float32)), torch.from_numpy(np.array(labels, np.int64))


def collate(samples: list[Sample]) -> dict[str, list[torch.Tensor]]:
    """Samples side by side in lists, as MMDetection collates."""
    images, boxes, labels = zip(*samples, strict=True)
    return {"inputs": list(images), "boxes": list(boxes), "labels": list(labels)}


def main(
    prepare: Callable[[BenchSet, Path], None],
    open_loader: Callable[[dict[str, Any]], Callable[[int], Iterable[Any]]],
    size: Callable[[Any], int] = lambda batch: len(batch["inputs"]),
) -> None:
    """Do what the first argument asks for.

    Args:
        prepare: Writes the peer's own format into a folder.
        open_loader: Gives, for a SPEC, a function from a pass's number to its batches.
        size: Number of images of a batch.
    """
    spec = json.loads(sys.argv[1])
    pin(spec.get("cores"))
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    made = BenchSet(Path(spec["set"][0]), spec["set"][1])
    if spec.get("prepare"):
        prepare(made, Path(spec["store"]))
        print(json.dumps({"rate": 0.0}), flush=True)
        return
    if cache := spec.get("cache"):
        shutil.rmtree(cache, ignore_errors=True)
        Path(cache).mkdir(parents=True)
    window = Window(**spec.get("window", {}))
    result = time_window(open_loader(spec), size, window)
    print(json.dumps(result), flush=True)
