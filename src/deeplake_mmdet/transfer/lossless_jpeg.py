"""Lossless JPEG: what a lake of JPEG files can hold an image of any other kind as, pixel by pixel.

The lossless process of the JPEG standard (ITU-T T.81, annex H): each sample as the difference from what its
neighbours foretell, in Huffman's code. libjpeg-turbo 3 decodes it, and with it OpenCV from 4.10 on, Pillow
and Deep Lake; none of them writes it.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.images.signatures import LOSSLESS_JPEG

__all__ = ["LONGEST_SIDE", "encode_lossless_jpeg"]

LONGEST_SIDE = 65_500  # libjpeg's own limit
_MEAN = 7  # the predictor: half of the sum of the samples to the left and above
_BAND = 2**18  # samples that are coded at once: twenty times as many bytes of memory
_LARGEST = 255
# The differences from -255 on: how many bits each takes behind the code of that number, and which.
_DIFFERENCES = np.arange(-_LARGEST, _LARGEST + 1)
_BITS = np.array([int(abs(value)).bit_length() for value in _DIFFERENCES.tolist()], np.int64)
_REST = np.where(_DIFFERENCES > 0, _DIFFERENCES, _DIFFERENCES + (1 << _BITS) - 1)


def encode_lossless_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG file that decodes to exactly these pixels.

    The file has three components whatever the colours: OpenCV reads a grey one as grey only.

    Args:
        pixels: Shape (height, width, 3), BGR; no side longer than `LONGEST_SIDE`.
    """
    height, width, _ = pixels.shape
    counts = np.zeros(len(_BITS), np.int64)
    for places in _places(pixels):
        counts += np.bincount(places, minlength=len(counts))
    lengths = _code_lengths(np.bincount(_BITS, counts).tolist())
    codes = _codes(lengths)
    in_order = sorted(lengths, key=lambda bits: (lengths[bits], bits))
    of_length = [list(lengths.values()).count(length) for length in range(1, 17)]
    components = b"RGB"
    return b"".join(
        (
            LOSSLESS_JPEG[:-2],
            _segment(
                LOSSLESS_JPEG[-1],
                struct.pack(">BHHB", 8, height, width, 3) + b"".join(bytes((c, 0x11, 0)) for c in components),
            ),
            _segment(0xC4, bytes((0, *of_length, *in_order))),
            _segment(0xDA, bytes((3, *(b for c in components for b in (c, 0)), _MEAN, 0, 0))),
            *_coded(pixels, lengths, codes),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _places(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.int16]]:
    """The differences of all samples in order, as places in `_DIFFERENCES`, some rows at a time."""
    height, width, _ = pixels.shape
    rows = max(1, _BAND // (3 * width))
    for start in range(0, height, rows):
        # One row more than is coded, for what stands above.
        band = pixels[max(0, start - 1) : start + rows, :, ::-1].astype(np.int16)
        if start == 0:
            band = np.concatenate((band[:1], band))
        here, above = band[1:], band[:-1]
        foretold = np.empty_like(here)
        foretold[:, 0] = above[:, 0]
        foretold[:, 1:] = (here[:, :-1] + above[:, 1:]) >> 1
        if start == 0:
            foretold[0, 0] = 128
            foretold[0, 1:] = here[0, :-1]
        yield (here - foretold + _LARGEST).reshape(-1)


def _code_lengths(counts: Sequence[float]) -> dict[int, int]:
    """Lengths of Huffman's codes by symbol, for those that occur.

    A symbol that never occurs (-1) has part in it, as the standard keeps the code of all ones free.
    """
    heap = [(0.0, -1, [-1])]
    heap += [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    heapq.heapify(heap)
    lengths = {symbol: 0 for _, symbol, _ in heap}
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        both = one[2] + other[2]
        for symbol in both:
            lengths[symbol] += 1
        heapq.heappush(heap, (one[0] + other[0], min(one[1], other[1]), both))
    del lengths[-1]
    return lengths


def _codes(lengths: dict[int, int]) -> dict[int, int]:
    """The codes by symbol, as readers make them out of the lengths: ascending, short ones first."""
    codes: dict[int, int] = {}
    code = before = 0
    for symbol in sorted(lengths, key=lambda symbol: (lengths[symbol], symbol)):
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        codes[symbol] = code
        code += 1
    return codes


def _coded(pixels: NDArray[np.uint8], lengths: dict[int, int], codes: dict[int, int]) -> Iterator[bytes]:
    """The scan's bytes. Bits go into words of 32, in each of which at least one sample's begin."""
    code_of = np.array([codes.get(bits, 0) for bits in range(9)], np.int64)[_BITS] << _BITS | _REST
    length_of = np.array([lengths.get(bits, 0) for bits in range(9)], np.int64)[_BITS] + _BITS
    begun, filled = np.uint64(0), 0  # the word that is not full yet, and how many bits of it are
    for places in _places(pixels):
        taken = length_of[places]
        ends = np.cumsum(taken) + filled
        starts = ends - taken
        shifted = code_of[places].astype(np.uint64) << (64 - (starts & 31) - taken).astype(np.uint64)
        first_of_word = np.flatnonzero(np.diff(starts >> 5, prepend=-1))
        pairs = np.add.reduceat(shifted, first_of_word)  # no two samples have a bit in common
        words = np.zeros(len(pairs) + 1, np.uint64)
        words[:-1] = pairs >> np.uint64(32)
        words[1:] += pairs & np.uint64(0xFFFFFFFF)
        words[0] += begun
        full, filled = divmod(int(ends[-1]), 32)
        begun = words[full]
        yield words[:full].astype(">u4").tobytes().replace(b"\xff", b"\xff\0")
    last = int(begun) | (1 << (32 - filled)) - 1
    yield last.to_bytes(4, "big")[: -(-filled // 8)].replace(b"\xff", b"\xff\0")
