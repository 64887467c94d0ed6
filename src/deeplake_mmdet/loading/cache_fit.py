"""Whether the caches of lakes are large enough for how they will be read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import human_bytes
from deeplake_mmdet.loading.wrappers import is_mixed

__all__ = ["check_caches", "is_scattered"]

_log = logging.getLogger("deeplake_mmdet")


def is_scattered(dataset: Any, shuffle: bool | str) -> bool:
    """Whether the rows of a batch come from anywhere in the lake: shuffled without blocks, or mixed in.

    Args:
        dataset: A dataset with any wrappers around it; ``MultiImageMixDataset`` mixes rows in.
        shuffle: The sampler's: ``'full'``, ``'chunk'`` or False.
    """
    return shuffle == "full" or is_mixed(dataset)


def check_caches(lakes: Sequence[DeepLakeDataset], chunks: int, *, scattered: bool) -> None:
    """Refuse caches that would have to fetch the same chunks again and again.

    Args:
        lakes: The lakes; those without a cache are left alone.
        chunks: How many chunks of a lake are in use at a time, in all processes.
        scattered: See `is_scattered`.

    Raises:
        ConfigError: A cache cannot hold so many, nor its whole lake.
    """
    for lake in lakes:
        view = lake.view
        if view.cache is None:
            continue
        chunk = view.encoded.chunk_bytes
        size, whole = view.cache.settings.size, view.encoded.cached_bytes
        if size < min(chunks * chunk, whole):
            raise ConfigError(
                f"A cache of {human_bytes(size)} is too small: {chunks} chunks of about "
                f"{human_bytes(chunk)} are in use at a time (workers, or window of the shuffle)",
                where=f"dataset key 'cache', lake {view.source.url}",
                advice=f"give it {human_bytes(1.1 * chunks * chunk)} or more; all images take "
                f"about {human_bytes(whole)}",
            )
        if scattered and size < whole:
            _log.warning(
                f"The cache of {human_bytes(size)} holds a part of {view.source.url} only, and samples come "
                f"from anywhere in it: the others are read one by one in each pass. A cache of "
                f"{human_bytes(1.1 * whole)} holds all, and shuffle='chunk' without mixing needs less"
            )
