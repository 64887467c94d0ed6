"""Rows that are like others: by the run's embeddings, or by the bytes of their images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEAR", "mean_direction", "same_bytes", "same_embeddings"]

NEAR = 0.05  # of the typical distance of two rows: what is nearer is a duplicate
_BLOCK = 4096  # rows that are read at once
_TABLES, _PROJECTIONS, _WIDTH = 6, 8, 8.0  # of the hashing; widths of cells in multiples of the distance
_SEED = 24

Reader = Callable[[Any], Any]


def mean_direction(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of embeddings of length 1: what is like it is like all of them.

    Args:
        embeddings: Shape (n, d).

    Returns:
        Shape (d,); zeros if there is no direction.
    """
    rows = np.asarray(embeddings, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    mean: NDArray[np.float64] = (rows / np.where(lengths > 0, lengths, 1)).mean(0)
    return mean


def same_bytes(blocks: Iterator[list[bytes | None]]) -> NDArray[np.int64]:
    """Find rows whose images are the same bytes; 16 bytes are kept of each.

    Args:
        blocks: The encoded images of neighbouring rows, from row 0 on; None for one that is not there.

    Returns:
        The lowest number among each row's equals, shape (n,); its own where there is no image.
    """
    keys = [
        np.frombuffer(b"".join(_digest(image) for image in block), "V16") for block in blocks if len(block)
    ]
    if not keys:
        return np.zeros(0, np.int64)
    digests = np.concatenate(keys)
    _, first, back = np.unique(
        digests.view("<u8").reshape(-1, 2), axis=0, return_index=True, return_inverse=True
    )
    lowest: NDArray[np.int64] = first[back.reshape(-1)].astype(np.int64)
    absent = digests == np.void(_ABSENT)
    lowest[absent] = np.flatnonzero(absent)
    return lowest


_ABSENT = bytes(16)


def _digest(image: bytes | None) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest() if image else _ABSENT


def same_embeddings(read: Reader, count: int) -> NDArray[np.int64]:
    """Find rows whose embeddings all but agree.

    Two rows are duplicates if the Euclidean distance of their embeddings is at most `NEAR` times the root
    mean square distance of two rows of the lake; what is linked by such pairs is one group. Candidates come
    from hashing into cells along random directions, always the same ones: a pair far below the limit is all
    but certainly found, one just at it in 19 cases of 20. An embedding of zeros, of a row that was not
    predicted, is like none. Memory: some 100 bytes a row.

    Args:
        read: Gives the embeddings of a slice or a list of rows.
        count: How many rows there are.

    Returns:
        The lowest number among each row's duplicates, shape (n,).
    """
    lowest = np.arange(count)
    blocks = [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    mean, spread = _moments(read, blocks)
    limit = NEAR * np.sqrt(2 * spread)  # rows' mean square distance is twice their variance
    if not len(mean):
        return lowest
    there = np.ones(count, bool)
    codes = np.empty((count, _TABLES), np.uint64)
    for block in blocks:
        values = _embeddings(read, block)
        there[block], codes[block] = values.any(axis=1), _cells(values - mean, limit)
    pairs = _candidates(codes)
    pairs = pairs[there[pairs].all(axis=1)]
    for start in range(0, len(pairs), _BLOCK):
        part = pairs[start : start + _BLOCK]
        rows, back = np.unique(part, return_inverse=True)
        values = _embeddings(read, rows.tolist())
        first, second = back.reshape(part.shape).T
        part[np.linalg.norm(values[first] - values[second], axis=1) > limit] = 0  # a row with itself
    return _joined(lowest, pairs)


def _embeddings(read: Reader, rows: Any) -> NDArray[np.float64]:
    return np.asarray(np.stack(list(read(rows))), np.float64)


def _moments(read: Reader, blocks: list[slice]) -> tuple[NDArray[np.float64], float]:
    """The mean of the embeddings that are there, and the mean of their square distances from it."""
    shift: Any = None  # near the mean, for precision
    total: Any = 0.0
    squares, count = 0.0, 0
    for block in blocks:
        values = _embeddings(read, block)
        values = values[values.any(axis=1)]
        if not len(values):
            continue
        shift = values[0] if shift is None else shift
        values = values - shift
        total, squares, count = total + values.sum(0), squares + float((values**2).sum()), count + len(values)
    if not count:
        return np.zeros(0), 0.0
    mean = total / count
    return mean + shift, max(squares / count - float((mean**2).sum()), 0.0)


def _cells(values: NDArray[np.float64], limit: float) -> NDArray[np.uint64]:
    """In which cell each embedding lies, shape (n, tables)."""
    random = np.random.default_rng(_SEED)
    width = _WIDTH * limit or 1.0  # all are the same
    lines = random.standard_normal((values.shape[1], _TABLES * _PROJECTIONS))
    places = np.floor(values @ lines / width + random.random(_TABLES * _PROJECTIONS)).astype(np.int64)
    weights = random.integers(1, 2**63, _PROJECTIONS, dtype=np.uint64) | np.uint64(1)
    shaped = places.astype(np.uint64).reshape(len(values), _TABLES, _PROJECTIONS)
    codes: NDArray[np.uint64] = (shaped * weights).sum(-1, dtype=np.uint64)
    return codes


def _candidates(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of rows that share a cell: each with the first of the cell and with the one before it."""
    found = []
    for table in codes.T:
        order = np.argsort(table, kind="stable")
        same = np.flatnonzero(table[order[1:]] == table[order[:-1]]) + 1
        starts = np.flatnonzero(np.r_[True, table[order[1:]] != table[order[:-1]]])
        first = starts[np.searchsorted(starts, same, side="right") - 1]
        found += [np.stack([order[first], order[same]], 1), np.stack([order[same - 1], order[same]], 1)]
    return np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, 2), np.int64)


def _joined(lowest: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lowest row of each group of linked rows."""
    first, second = pairs.T
    while True:
        before = lowest.copy()
        least = np.minimum(lowest[first], lowest[second])
        np.minimum.at(lowest, first, least)
        np.minimum.at(lowest, second, least)
        lowest = lowest[lowest]
        if np.array_equal(before, lowest):
            return lowest
