"""Peer: WebDataset, tar files read in sequence, here or by its own HTTP client (curl)."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from work import BATCH_SIZE, Sample, collate, decode, main, transform

from loaders.data import BenchSet
from s3_server import BUCKET

_SHARD = 250


def prepare(made: BenchSet, store: Path) -> None:
    """Write tar files of 250 images, about 25 MB."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    with webdataset.ShardWriter(f"file:{store}/%05d.tar", maxcount=_SHARD, verbose=0) as writer:
        for row, (image, boxes, labels) in enumerate(made.samples()):
            key = f"{row:07d}"
            writer.write({"__key__": key, "jpg": image, "boxes.npy": boxes, "labels.npy": labels})


def to_sample(stored: dict[str, bytes]) -> Sample:
    """One stored row: image, boxes and labels."""
    boxes, labels = (np.load(io.BytesIO(stored[name])) for name in ("boxes.npy", "labels.npy"))
    return transform(decode(stored["jpg"]), boxes, labels)


def open_loader(spec: dict[str, Any]) -> Callable[[int], Iterable[Any]]:
    """The loader over the tar files."""
    shards = -(-spec["set"][1] // _SHARD)
    base = f"file:{spec['store']}"
    if spec.get("endpoint"):
        base = f"{spec['endpoint']}/{BUCKET}/{spec['prefix']}"
    workers = spec["workers"]
    dataset = webdataset.WebDataset(
        [f"{base}/{shard:05d}.tar" for shard in range(shards)],
        shardshuffle=shards,
        seed=0,
        nodesplitter=webdataset.split_by_node,
    )
    dataset = dataset.shuffle(1000, initial=100).map(to_sample)
    loader = webdataset.WebLoader(
        dataset,
        batch_size=BATCH_SIZE,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )
    return lambda number: loader


if __name__ == "__main__":
    main(prepare, open_loader)
