"""Looking through MMDetection's dataset wrappers: which rows of which lakes an index leads to."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from mmdet.datasets import MultiImageMixDataset as StockMultiImageMixDataset
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from numpy.typing import NDArray

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.loading.mixing import MultiImageMixDataset

__all__ = ["blocks_of", "is_upright", "lakes_under", "leaves_of"]

Leaf = tuple[DeepLakeDataset, int]


def leaves_of(dataset: Any, index: int, seed: int) -> Iterator[Leaf]:
    """The samples of lakes that making one sample will ask for, as far as they are known beforehand.

    Args:
        dataset: A dataset with any wrappers around it.
        index: Index into it.
        seed: Seed of the sample.
    """
    if isinstance(dataset, DeepLakeDataset):
        yield dataset, index
    elif isinstance(dataset, MultiImageMixDataset):
        for inner in (index, *dataset.companions(seed)):
            yield from leaves_of(dataset.dataset, inner, seed)
    elif (step := _one_step(dataset, index)) is not None:
        yield from leaves_of(*step, seed)


def lakes_under(dataset: Any) -> list[DeepLakeDataset]:
    """The lakes inside a dataset, each once."""
    if isinstance(dataset, DeepLakeDataset):
        return [dataset]
    found: list[DeepLakeDataset] = []
    for inner in _inner(dataset):
        found.extend(lake for lake in lakes_under(inner) if lake not in found)
    return found


def is_upright(dataset: Any) -> NDArray[np.bool_]:
    """Whether images are higher than wide, for every index; shape (length of the dataset,)."""

    def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
        table, rows = lake.view.table, lake.data_list.rows
        upright: NDArray[Any] = (table.widths < table.heights)[rows]
        return upright

    def of_other(other: Any) -> NDArray[Any]:
        infos = (other.get_data_info(index) for index in range(len(other)))
        return np.array([info["width"] < info["height"] for info in infos], bool)

    return _for_every_index(dataset, of_lake, of_other).astype(bool)


def blocks_of(dataset: Any, rows_in_block: Callable[[DeepLakeDataset], int]) -> NDArray[np.int32]:
    """The block of neighbouring rows that every index lies in, numbered from 0.

    Args:
        dataset: A dataset with any wrappers around it.
        rows_in_block: Gives the length of a lake's blocks.
    """
    first: dict[int, int] = {}
    total = 0
    for lake in lakes_under(dataset):
        first[id(lake)] = total
        total += (len(lake.view.table) - 1) // rows_in_block(lake) + 1

    def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
        blocks: NDArray[Any] = first[id(lake)] + lake.data_list.rows // rows_in_block(lake)
        return blocks

    def of_other(other: Any) -> NDArray[Any]:
        nonlocal total
        total += 1  # files know no blocks worth keeping together: each index is one of its own
        start, total = total, total + len(other)
        return np.arange(start, total)

    found = _for_every_index(dataset, of_lake, of_other)
    numbered: NDArray[np.int32] = np.unique(found, return_inverse=True)[1].astype(np.int32)
    return numbered


def _for_every_index(
    dataset: Any, of_lake: Callable[[DeepLakeDataset], NDArray[Any]], of_other: Callable[[Any], NDArray[Any]]
) -> NDArray[Any]:
    def inner(wrapped: Any) -> NDArray[Any]:
        return _for_every_index(wrapped, of_lake, of_other)

    if isinstance(dataset, DeepLakeDataset):
        return of_lake(dataset)
    if isinstance(dataset, ConcatDataset):
        return np.concatenate([inner(part) for part in dataset.datasets])
    if isinstance(dataset, RepeatDataset):
        return np.tile(inner(dataset.dataset), dataset.times)
    if isinstance(dataset, ClassBalancedDataset):
        return inner(dataset.dataset)[np.asarray(dataset.repeat_indices, np.int64)]
    if isinstance(dataset, StockMultiImageMixDataset):
        return inner(dataset.dataset)
    if (sliced := _sliced(dataset)) is not None:
        return inner(sliced)[: len(dataset)]
    return of_other(dataset)


def _one_step(dataset: Any, index: int) -> tuple[Any, int] | None:
    if isinstance(dataset, ConcatDataset):
        part = bisect.bisect_right(dataset.cumulative_sizes, index)
        return dataset.datasets[part], index - (dataset.cumulative_sizes[part - 1] if part else 0)
    if isinstance(dataset, RepeatDataset):
        return dataset.dataset, index % len(dataset.dataset)
    if isinstance(dataset, ClassBalancedDataset):
        return dataset.dataset, int(dataset.repeat_indices[index])
    if isinstance(dataset, StockMultiImageMixDataset):
        return dataset.dataset, index
    sliced = _sliced(dataset)
    return None if sliced is None else (sliced, index)


def _inner(dataset: Any) -> list[Any]:
    if isinstance(dataset, ConcatDataset):
        return list(dataset.datasets)
    if isinstance(dataset, RepeatDataset | ClassBalancedDataset | StockMultiImageMixDataset):
        return [dataset.dataset]
    sliced = _sliced(dataset)
    return [] if sliced is None else [sliced]


def _sliced(dataset: Any) -> Any:
    """What MMEngine's ``num_batch_per_epoch`` cuts short."""
    return dataset._dataset if type(dataset).__name__ == "_SlicedDataset" else None
