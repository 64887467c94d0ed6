"""Peer: Deep Lake's own ``ds.pytorch()`` under a torch ``DataLoader``. It decodes by itself, to RGB."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import deeplake
import numpy as np
from torch.utils.data import DataLoader
from work import BATCH_SIZE, Sample, collate, main, transform

from loaders.data import BenchSet
from s3_server import BUCKET


def to_sample(row: Any) -> Sample:
    """One row: image, boxes and labels."""
    image = np.ascontiguousarray(row["images"][..., ::-1])
    boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 4)
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return transform(image, boxes, np.asarray(row["labels"], np.int64))


def prepare(made: BenchSet, store: Path) -> None:
    """Nothing: it reads the same lake."""


def open_loader(spec: dict[str, Any]) -> Callable[[int], Iterable[Any]]:
    """The loader over the lake, here or behind the endpoint."""
    made = BenchSet(Path(spec["set"][0]), spec["set"][1])
    if spec.get("endpoint"):
        creds = {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret", "aws_region": "us-east-1"}
        creds["endpoint_url"] = spec["endpoint"]
        lake = deeplake.open_read_only(f"s3://{BUCKET}/{spec['prefix']}", creds=creds)
    else:
        lake = deeplake.open_read_only(str(made.lake))
    loader = DataLoader(
        lake.pytorch(to_sample),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=spec["workers"],
        persistent_workers=spec["workers"] > 0,
        collate_fn=collate,
        drop_last=True,
    )
    return lambda number: loader


if __name__ == "__main__":
    main(prepare, open_loader)
