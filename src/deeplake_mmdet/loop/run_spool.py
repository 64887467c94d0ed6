"""Predictions on disk until a run is complete, so that an interrupted run goes on where it was.

Each process writes a file of its own, record by record, each with a checksum before it: what a killed process
has left behind counts up to the first record that is not whole.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from deeplake_mmdet.lake import make_cache_folder, open_cache_file
from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["RunSpool", "SpooledRow"]

_FRAME = struct.Struct("<QI")  # checksum of the record, its length
_HEAD = struct.Struct("<qiiif")  # index, objects, length of the masks' JSON, length of the embedding, loss
_NONE = -1


@dataclass(frozen=True, eq=False)
class SpooledRow:
    """One image's predictions, as `Prediction` has them.

    Attributes:
        index: Of the image.
        boxes: Shape (n, 4), float32.
        labels: Shape (n,), int32.
        scores: Shape (n,), float32.
        masks: JSON list of run lengths; None of a model without masks.
        embedding: Shape (d,), float32; None without.
        loss: NaN without.
    """

    index: int
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    masks: str | None
    embedding: NDArray[np.float32] | None
    loss: float


class RunSpool:
    """The files of a run, one for each process that has ever worked on it.

    Args:
        folder: Folder of the run, on this machine; made if it is missing.

    Raises:
        OSError: It cannot be made, or is another user's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_cache_folder(folder)
        self._file = _NONE

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Keep some; they are with the system when this returns, and survive a killed process.

        Args:
            predictions: In any order.

        Raises:
            OSError: The disk is full.
        """
        if self._file == _NONE:
            name = self.folder / f"{secrets.token_hex(8)}.predictions"
            self._file = open_cache_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        data = b"".join(map(_packed, predictions))
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close this process's file."""
        if self._file != _NONE:
            os.close(self._file)
            self._file = _NONE

    def remove(self) -> None:
        """Remove all files of the run."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def index(self) -> NDArray[np.int64]:
        """Where the records lie: index of the image, number of the file, offset and length; shape (n, 4).

        Sorted by the index; of records of the same image one is taken.
        """
        places = [
            (index, number, start, length)
            for number, file in enumerate(self._files())
            for index, start, length in _records(file)
        ]
        found = np.array(places, np.int64).reshape(-1, 4)
        _, first = np.unique(found[:, 0], return_index=True)
        chosen: NDArray[np.int64] = found[first]
        return chosen

    def read(self, index: NDArray[np.int64]) -> Iterator[SpooledRow]:
        """Records, one after the other.

        Args:
            index: Rows of what `index` gave, in the order wanted.
        """
        files = self._files()
        opened: dict[int, int] = {}
        try:
            for _, number, start, length in index.tolist():
                if number not in opened:
                    opened[number] = open_cache_file(files[number], os.O_RDONLY)
                yield _unpacked(os.pread(opened[number], length, start))
        finally:
            for file in opened.values():
                os.close(file)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.predictions"))


def _packed(one: Prediction) -> bytes:
    masks = b"" if one.masks is None else json.dumps(list(one.masks), separators=(",", ":")).encode()
    embedding: Any = one.extras.get("embedding")
    vector = b"" if embedding is None else np.asarray(embedding, "<f4").tobytes()
    head = _HEAD.pack(
        one.index,
        len(one.labels),
        _NONE if one.masks is None else len(masks),
        _NONE if embedding is None else len(vector) // 4,
        float(one.extras.get("loss", np.nan)),
    )
    arrays = (
        one.boxes.astype("<f4").tobytes(),
        one.labels.astype("<i4").tobytes(),
        one.scores.astype("<f4").tobytes(),
    )
    record = b"".join((head, *arrays, masks, vector))
    return _FRAME.pack(xxhash.xxh3_64_intdigest(record), len(record)) + record


def _unpacked(record: bytes) -> SpooledRow:
    index, count, masks, size, loss = _HEAD.unpack_from(record)
    at = _HEAD.size
    boxes = np.frombuffer(record, "<f4", 4 * count, at).reshape(-1, 4)
    labels = np.frombuffer(record, "<i4", count, at + 16 * count)
    scores = np.frombuffer(record, "<f4", count, at + 20 * count)
    at += 24 * count
    text = None if masks == _NONE else record[at : at + masks].decode()
    vector = None if size == _NONE else np.frombuffer(record, "<f4", size, at + max(masks, 0))
    return SpooledRow(index, boxes, labels, scores, text, vector, loss)


def _records(path: Path) -> Iterator[tuple[int, int, int]]:
    """Index, offset and length of the whole records of a file."""
    with os.fdopen(open_cache_file(path, os.O_RDONLY), "rb") as file:
        start = 0
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            digest, length = _FRAME.unpack(frame)
            record = file.read(length)
            start += _FRAME.size
            if len(record) != length or xxhash.xxh3_64_intdigest(record) != digest:
                return
            yield _HEAD.unpack_from(record)[0], start, length
            start += length
