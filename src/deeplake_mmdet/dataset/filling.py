"""Preparing the images of a dataset before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.dataset.backend import delivered, delivered_for
from deeplake_mmdet.dataset.lake_dataset import DeepLakeDataset
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, ImageError, StorageError
from deeplake_mmdet.pipeline.steps import run_steps

__all__ = ["Filled", "fill_prepared"]

_TOGETHER = 64  # rows that are fetched in one call, of which another is on its way
_NAMED = 10


@dataclass
class Filled:
    """What `fill_prepared` did for one lake.

    Attributes:
        lake: Address of the lake.
        rows: Number of rows that the settings and the shard select.
        before: How many of them had their image already.
        made: How many images were made.
        failed: How many images could not be made.
        reasons: Row number and reason of the first failures.
        full: Whether it ended early because the disk was full or failed.
    """

    lake: str
    rows: int
    before: int
    made: int = 0
    failed: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)
    full: bool = False


def fill_prepared(
    dataset: DeepLakeDataset,
    *,
    shard: tuple[int, int] = (0, 1),
    threads: int,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Filled:
    """Make all images that the dataset's key ``prepared`` keeps and that are not there yet.

    Args:
        dataset: The dataset.
        shard: ``(i, n)``: only rows whose number leaves the remainder ``i`` when divided by ``n``.
        threads: Number of threads that decode.
        tell: Called after each group of rows with the number of rows done and the number to do.

    Returns:
        How many images were there, were made, and failed.

    Raises:
        ConfigError: The dataset prepares nothing.
        StorageError: The lake cannot be read.
    """
    dataset.full_init()
    store, view = dataset.prepared, dataset.view
    if store is None:
        raise ConfigError(
            "This dataset prepares no images",
            where=f"dataset key 'prepared', lake {view.source.url}",
            advice="give it prepared='40GB', or --prepared 40GB; if it has that, the log says what is wrong",
        )
    rows = np.unique(dataset.data_list.rows)
    rows = rows[store.keeps(rows) & (rows % shard[1] == shard[0])]
    todo = rows[~store.has(rows)]
    done = Filled(view.source.url, len(rows), len(rows) - len(todo))
    steps = getattr(dataset.pipeline, "transforms", ())
    places = dict.fromkeys((store.steps.load, store.steps.last))
    chosen = [steps[place] for place in places]
    at_hand = delivered_for(view)

    def make(row: int, image: bytes | ImageError) -> str | None:
        uri = view.uri(row)
        try:
            with delivered({uri: image}):
                made = run_steps(chosen, {"img_path": uri}, at_hand)
        except StorageError:
            raise
        except Exception as error:  # whatever a decoder says of what is no image
            return error.what if isinstance(error, DeepLakeMMDetError) else f"{type(error).__name__}: {error}"
        store.put(row, None if made is None else made["img"])
        return None if store.has(row) or not store.filling else "its size is not the one that the lake tells"

    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as reader:
        for batch, images in _fetched(reader, view.fetch, todo):
            for row, reason in zip(batch, pool.map(make, batch, images), strict=True):
                if reason is None:
                    done.made += store.filling
                    continue
                done.failed += 1
                if len(done.reasons) < _NAMED:
                    done.reasons.append((row, reason))
            tell(done.made + done.failed, len(todo))
            if not store.filling:
                done.full = True
                break
    return done


def _fetched(
    reader: ThreadPoolExecutor, fetch: Callable[[list[int]], Any], rows: NDArray[np.int64]
) -> Iterator[tuple[list[int], list[bytes | ImageError]]]:
    """Encoded images of rows, some at a time; the next ones are on their way meanwhile."""
    coming: tuple[list[int], Future[Any]] | None = None
    for start in range(0, len(rows) + _TOGETHER, _TOGETHER):
        batch = rows[start : start + _TOGETHER].tolist()
        following = (batch, reader.submit(fetch, batch)) if batch else None
        if coming is not None:
            yield coming[0], coming[1].result()
        coming = following
