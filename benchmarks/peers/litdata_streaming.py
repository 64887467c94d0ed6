"""Peer: LitData's ``StreamingDataset``."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from litdata import StreamingDataLoader, StreamingDataset, optimize
from work import BATCH_SIZE, Sample, collate, decode, main, transform

from loaders.data import BenchSet, draw_boxes
from s3_server import BUCKET


def write_sample(row: int, images: Path) -> dict[str, Any]:
    """One row as LitData stores it."""
    boxes, labels = draw_boxes(row)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    encoded = (images / f"{row:07d}.jpg").read_bytes()
    return {"image": encoded, "boxes": corners.astype(np.float32), "labels": labels}


def prepare(made: BenchSet, store: Path) -> None:
    """Write LitData's chunks."""
    shutil.rmtree(store, ignore_errors=True)
    write = functools.partial(write_sample, images=made.images)
    optimize(write, list(range(made.rows)), str(store), num_workers=1, chunk_bytes="32MB")


def to_sample(stored: dict[str, Any]) -> Sample:
    """One stored row: image, boxes and labels."""
    boxes = np.asarray(stored["boxes"], np.float32).reshape(-1, 4)
    return transform(decode(stored["image"]), boxes, np.asarray(stored["labels"]))


def open_loader(spec: dict[str, Any]) -> Callable[[int], Iterable[Any]]:
    """The loader over the chunks, here or behind the endpoint."""
    where: dict[str, Any] = {"input_dir": spec["store"]}
    if spec.get("endpoint"):
        options = {
            "aws_access_key_id": "an-id",
            "aws_secret_access_key": "a-secret",
            "endpoint_url": spec["endpoint"],
            "region_name": "us-east-1",
        }
        address = f"s3://{BUCKET}/{spec['prefix']}"
        where = {"input_dir": address, "cache_dir": spec["cache"], "storage_options": options}
    dataset = StreamingDataset(**where, shuffle=True, transform=to_sample, drop_last=False)
    workers = spec["workers"]
    loader = StreamingDataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        drop_last=True,
    )
    return lambda number: loader


if __name__ == "__main__":
    main(prepare, open_loader)
