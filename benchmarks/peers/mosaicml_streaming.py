"""Peer: MosaicML's ``streaming.StreamingDataset``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torchvision_ops  # noqa: F401  # before streaming
from streaming import MDSWriter, StreamingDataset
from streaming.base.util import clean_stale_shared_memory
from torch.utils.data import DataLoader
from work import BATCH_SIZE, Sample, collate, decode, main, transform

from loaders.data import BenchSet
from s3_server import BUCKET


def prepare(made: BenchSet, store: Path) -> None:
    """Write MDS shards."""
    shutil.rmtree(store, ignore_errors=True)
    columns = {"image": "bytes", "boxes": "ndarray:float32", "labels": "ndarray:int64"}
    with MDSWriter(out=str(store), columns=columns, size_limit="32mb") as writer:
        for image, boxes, labels in made.samples():
            writer.write({"image": image, "boxes": boxes, "labels": labels})


class Samples(StreamingDataset):  # type: ignore[misc]
    """Rows as samples."""

    def __getitem__(self, at: int) -> Sample:
        stored = super().__getitem__(at)
        return transform(decode(stored["image"]), stored["boxes"], stored["labels"])


def open_loader(spec: dict[str, Any]) -> Callable[[int], Iterable[Any]]:
    """The loader over the shards, here or behind the endpoint."""
    where = {"local": spec["store"], "remote": None}
    if spec.get("endpoint"):
        os.environ |= {
            "S3_ENDPOINT_URL": spec["endpoint"],
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        where = {"local": spec["cache"], "remote": f"s3://{BUCKET}/{spec['prefix']}"}
    # A process that was stopped leaves segments behind, and the next one then refuses to start.
    clean_stale_shared_memory()
    dataset = Samples(**where, shuffle=True, batch_size=BATCH_SIZE, num_canonical_nodes=1)
    workers = spec["workers"]
    loader = DataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        drop_last=True,
        # Forked workers share the connection over which the index was fetched, and read each other's bytes.
        multiprocessing_context="spawn" if workers and spec.get("endpoint") else None,
    )
    return lambda number: loader


if __name__ == "__main__":
    main(prepare, open_loader)
