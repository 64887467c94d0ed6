"""Images that look alike, by a perceptual hash of 64 bits.

A difference hash: the image in grey, shrunk to 9 x 8 by averaging areas; each bit says whether a field is
darker than its right neighbour. It stays, but for a few bits, when an image is compressed anew, resized or
made brighter, and changes when it is cropped, turned or mirrored: such copies are not found.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["DISTANCE", "Alike", "find_alike", "look_of"]

DISTANCE = 4  # bits in which images that look alike may differ
_CONTRAST, _FIELDS = 3.0, 16  # grey levels, and in how many of 64 places: less is too plain to be compared
_WIDTHS = (10, 9, 9, 9, 9, 9, 9)  # bits of each band
_EQUAL = len(_WIDTHS) - DISTANCE  # bands that are equal at least, as each differing bit spoils one at most
_AT_ONCE = 2**20
_MOST = 2**31  # comparisons


class Alike(NamedTuple):
    """For each hash the most similar one of the others.

    Attributes:
        match: Its index among the others, shape (n,), int64; -1 if none is near enough.
        distance: In how many bits they differ, shape (n,), int64; 64 without a match.
        complete: Whether all pairs were looked at that may be near enough.
    """

    match: NDArray[np.int64]
    distance: NDArray[np.int64]
    complete: bool


def look_of(grey: NDArray[np.uint8]) -> tuple[int, bool]:
    """The hash of an image, and whether it is too plain for that to mean anything.

    Args:
        grey: Shape (height, width), uint8.

    Returns:
        64 bits; and True if hardly any fields differ, as in images of one colour, whose hashes are all alike.
    """
    fields = cv2.resize(grey.astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    steps = np.diff(fields, axis=1)
    bits = np.packbits(steps > 0).tobytes()
    return int.from_bytes(bits, "big"), int((np.abs(steps) >= _CONTRAST).sum()) < _FIELDS


def find_alike(hashes: NDArray[np.uint64], others: NDArray[np.uint64], most: int = _MOST) -> Alike:
    """Find for each hash the nearest of some others, if that differs in at most `DISTANCE` bits.

    Exact, without comparing all with all: the 64 bits are cut into seven bands. Of two hashes that differ in
    at most four bits, three bands at least are equal, so that they meet under one of the 35 choices of three
    bands, which are sorted and looked up one after the other.

    Args:
        hashes: Shape (n,).
        others: Shape (m,).
        most: Number of comparisons after which the search ends.

    Returns:
        The matches. Of several others that are equally near, that of the lowest index.
    """
    wanted, back = np.unique(hashes, return_inverse=True)
    known, first = np.unique(others, return_index=True)
    best = np.full(len(wanted), 65 << 40, np.int64)
    left = most
    for chosen in combinations(range(len(_WIDTHS)), _EQUAL):
        if not len(known) or not len(wanted):
            break
        keys, sought = _keys(known, chosen), _keys(wanted, chosen)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.searchsorted(keys, sought, "left")
        counts = np.searchsorted(keys, sought, "right") - starts
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(wanted):
            done = int(ends[begin - 1]) if begin else 0
            # Whole entries, so that about a million pairs are compared at once.
            stop = max(begin + 1, int(np.searchsorted(ends, done + _AT_ONCE, "right")))
            left -= int(ends[stop - 1]) - done
            if left < 0:
                return _alike(best, back, False)
            which = np.repeat(np.arange(begin, stop), counts[begin:stop])
            within = np.arange(len(which)) - np.repeat(
                ends[begin:stop] - counts[begin:stop] - done, counts[begin:stop]
            )
            found = order[np.repeat(starts[begin:stop], counts[begin:stop]) + within]
            distance = np.bitwise_count(wanted[which] ^ known[found]).astype(np.int64)
            near = distance <= DISTANCE
            np.minimum.at(best, which[near], distance[near] << 40 | first[found[near]])
            begin = stop
    return _alike(best, back, True)


def _alike(best: NDArray[np.int64], back: NDArray[np.intp], complete: bool) -> Alike:
    distance = best >> 40
    match = np.where(distance <= DISTANCE, best & (1 << 40) - 1, -1)
    return Alike(match[back], np.minimum(distance, 64)[back], complete)


def _keys(hashes: NDArray[np.uint64], bands: tuple[int, ...]) -> NDArray[np.uint64]:
    """The bits of some bands, side by side."""
    keys = np.zeros(len(hashes), np.uint64)
    for band in bands:
        width = np.uint64(_WIDTHS[band])
        part = hashes >> np.uint64(sum(_WIDTHS[:band])) & np.uint64((1 << _WIDTHS[band]) - 1)
        keys = keys << width | part
    return keys
