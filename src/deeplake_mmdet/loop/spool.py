"""Predictions on disk until a run is complete, for any number of images and processes.

Each process writes a file of its own, record by record, each with a checksum before it: what a killed process
has left behind counts up to the first record that is not whole. So an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from deeplake_mmdet.lake import make_cache_folder, open_cache_file
from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["Spool", "Spooled"]

_FRAME = struct.Struct("<QI")  # checksum of the record, its length
# Index, height, width, objects, length of the name, of the masks' JSON and of the embedding, whether masks
# have scores of their own, loss.
_HEAD = struct.Struct("<qiiiiii?f")
_NONE = -1


class Spool:
    """The files of a run, one for each process that has ever worked on it.

    Args:
        folder: Folder of the run, on this machine, one for all processes; made if it is missing.

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
            predictions: In any order. Images may come again.

        Raises:
            OSError: The disk is full.
        """
        if self._file == _NONE:
            name = self.folder / f"{secrets.token_hex(8)}.spool"
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


class Spooled:
    """What all processes have kept so far, each image once, in order.

    Args:
        folder: Folder of the run.

    Attributes:
        indices: Of the images, ascending, shape (n,).
        size: Bytes of their records.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.spool"))
        places = array("q")
        for number, path in enumerate(self._paths):
            for record in _records(path):
                places.extend((number, *record))
        found = np.array(places, np.int64).reshape(-1, 4)
        self.indices, first = np.unique(found[:, 1], return_index=True)
        self._places = found[first]
        self.size = int(self._places[:, 3].sum())
        self._files: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Prediction]:
        return self.read(range(len(self)))

    def read(self, places: Iterable[int]) -> Iterator[Prediction]:
        """Some predictions, one after the other.

        Args:
            places: Places in ``indices``, in the order wanted.
        """
        for place in places:
            number, _, start, length = self._places[place].tolist()
            if number not in self._files:
                self._files[number] = open_cache_file(self._paths[number], os.O_RDONLY)
            yield _unpacked(os.pread(self._files[number], length, start))

    def find(self, index: int) -> Prediction | None:
        """The prediction for an image, if there is one.

        Args:
            index: Of the image.
        """
        place = int(np.searchsorted(self.indices, index))
        if place == len(self.indices) or self.indices[place] != index:
            return None
        return next(self.read([place]))

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()


def _packed(one: Prediction) -> bytes:
    masks = b"" if one.masks is None else json.dumps(list(one.masks), separators=(",", ":")).encode()
    name = one.name.encode("utf-8", "surrogateescape")
    embedding, mask_scores = (_vector(one.extras.get(key)) for key in ("embedding", "mask_scores"))
    head = _HEAD.pack(
        one.index,
        *one.size,
        len(one.labels),
        len(name),
        _NONE if one.masks is None else len(masks),
        _NONE if embedding is None else len(embedding) // 4,
        mask_scores is not None,
        float(one.extras.get("loss", np.nan)),
    )
    arrays = (
        one.boxes.astype("<f4").tobytes(),
        one.labels.astype("<i4").tobytes(),
        one.scores.astype("<f4").tobytes(),
    )
    record = b"".join((head, *arrays, mask_scores or b"", name, masks, embedding or b""))
    return _FRAME.pack(xxhash.xxh3_64_intdigest(record), len(record)) + record


def _vector(values: Any) -> bytes | None:
    return None if values is None else np.asarray(values, "<f4").tobytes()


def _unpacked(record: bytes) -> Prediction:
    index, height, width, count, named, masks, size, scored, loss = _HEAD.unpack_from(record)
    at = _HEAD.size

    def taken(dtype: str, length: int) -> NDArray[Any]:
        nonlocal at
        values = np.frombuffer(record, dtype, length, at).copy()
        at += values.nbytes
        return values

    boxes, labels, scores = taken("<f4", 4 * count).reshape(-1, 4), taken("<i4", count), taken("<f4", count)
    extras: dict[str, Any] = {"mask_scores": taken("<f4", count)} if scored else {}
    name = taken("u1", named).tobytes().decode("utf-8", "surrogateescape")
    parts = None if masks == _NONE else json.loads(taken("u1", masks).tobytes())
    if size != _NONE:
        extras["embedding"] = taken("<f4", size)
    if loss == loss:
        extras["loss"] = loss
    return Prediction(index, name, (height, width), boxes, labels.astype(np.int64), scores, parts, extras)


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
