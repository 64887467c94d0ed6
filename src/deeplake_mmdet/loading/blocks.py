"""Blocks: stretches of neighbouring rows that are fetched from a remote lake together."""

from __future__ import annotations

from deeplake_mmdet.dataset import DeepLakeDataset

__all__ = ["BLOCK_BYTES", "rows_in_block"]

BLOCK_BYTES = 16 * 2**20  # some two chunks of Deep Lake's
_PROBES = 8
_LEAST_ROWS, _MOST_ROWS = 16, 8192
_known: dict[str, int] = {}


def rows_in_block(lake: DeepLakeDataset) -> int:
    """Number of rows whose images fill about `BLOCK_BYTES`, told from a few of the lake's images.

    A function of the pinned lake alone, the same in every process.
    """
    view = lake.view
    if view.key not in _known:
        rows = len(view.table)
        probes = sorted({rows * number // _PROBES for number in range(_PROBES)}) if rows else []
        sizes = [len(data) for data in view.fetch(probes) if isinstance(data, bytes)] if probes else []
        mean = max(sum(sizes) / len(sizes), 1) if sizes else BLOCK_BYTES
        power = int(BLOCK_BYTES / mean).bit_length() - 1  # a power of two: chance differences vanish
        _known[view.key] = min(max(2 ** max(power, 0), _LEAST_ROWS), _MOST_ROWS)
    return _known[view.key]
