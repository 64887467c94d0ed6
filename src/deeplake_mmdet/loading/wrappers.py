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

__all__ = ["for_every_index", "hands_on", "is_mixed", "is_upright", "lakes_under", "leaves_of"]

Leaf = tuple[DeepLakeDataset, int]


def leaves_of(dataset: Any, index: int, seed: int) -> Iterator[Leaf]:
    """The samples of lakes that making one sample will ask for, as far as they are known beforehand.

    Args:
        dataset: A dataset with any wrappers around it.
        index: Index into it.
        seed: Seed of the sample.

    Yields:
        Pairs of lake and index into it.
    """
    if isinstance(dataset, DeepLakeDataset):
        yield dataset, index
    elif isinstance(dataset, MultiImageMixDataset):
        for inner in (index, *dataset.companions(seed)):
            yield from leaves_of(dataset.dataset, inner, seed)
    elif (step := _one_step(dataset, index)) is not None:
        yield from leaves_of(*step, seed)


def lakes_under(dataset: Any) -> list[DeepLakeDataset]:
    """The lakes inside a dataset, each once; also under wrappers that are not known here.

    Args:
        dataset: A dataset with any wrappers around it.
    """
    if isinstance(dataset, DeepLakeDataset):
        return [dataset]
    found: list[DeepLakeDataset] = []
    for inner in _inner(dataset):
        found.extend(lake for lake in lakes_under(inner) if lake not in found)
    return found


def hands_on(dataset: Any) -> bool:
    """Whether each sample of a dataset is a sample of a lake, unchanged.

    Args:
        dataset: A dataset with any wrappers around it. Subclasses of known classes may change samples, so
            they count as not handing them on.
    """
    if type(dataset) is DeepLakeDataset:
        return True
    if type(dataset) not in (ConcatDataset, RepeatDataset, ClassBalancedDataset):
        dataset = _seen_through(dataset)
        return dataset is not None and hands_on(dataset)
    return all(map(hands_on, _inner(dataset)))


def is_mixed(dataset: Any) -> bool:
    """Whether samples are made of several images (Mosaic, MixUp, CopyPaste).

    Args:
        dataset: A dataset with any wrappers around it.
    """
    return isinstance(dataset, StockMultiImageMixDataset) or any(map(is_mixed, _inner(dataset)))


def is_upright(dataset: Any) -> NDArray[np.bool_]:
    """Whether images are higher than wide, for every index.

    Args:
        dataset: A dataset with any wrappers around it. What is no lake is asked for each data-info.

    Returns:
        Shape (length of the dataset,), bool.
    """

    def of_lake(lake: DeepLakeDataset) -> NDArray[Any]:
        table, rows = lake.view.table, lake.data_list.rows
        upright: NDArray[Any] = (table.widths < table.heights)[rows]
        return upright

    def of_other(other: Any) -> NDArray[Any]:
        infos = (other.get_data_info(index) for index in range(len(other)))
        return np.array([info["width"] < info["height"] for info in infos], bool)

    return for_every_index(dataset, of_lake, of_other).astype(bool)


def for_every_index(
    dataset: Any, of_lake: Callable[[DeepLakeDataset], NDArray[Any]], of_other: Callable[[Any], NDArray[Any]]
) -> NDArray[Any]:
    """One array for all indices of a dataset, put together from those of the datasets inside.

    Args:
        dataset: A dataset with any wrappers around it.
        of_lake: Gives the array of a lake, shape (length of the lake's dataset,).
        of_other: Gives the array of any other dataset, shape (its length,).
    """

    def inner(wrapped: Any) -> NDArray[Any]:
        return for_every_index(wrapped, of_lake, of_other)

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
    if (seen_through := _seen_through(dataset)) is not None:
        return inner(seen_through)[: len(dataset)]
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
    seen_through = _seen_through(dataset)
    return None if seen_through is None else (seen_through, index)


def _inner(dataset: Any) -> list[Any]:
    if isinstance(dataset, ConcatDataset):
        return list(dataset.datasets)
    if isinstance(dataset, RepeatDataset | ClassBalancedDataset | StockMultiImageMixDataset):
        return [dataset.dataset]
    if (seen_through := _seen_through(dataset)) is not None:
        return [seen_through]
    # A wrapper of somebody else's: which index leads where is not known.
    others = [getattr(dataset, "dataset", None), *(getattr(dataset, "datasets", None) or ())]
    return [other for other in others if other is not None]


def _seen_through(dataset: Any) -> Any:
    """What a feed holds, or what MMEngine's ``num_batch_per_epoch`` cuts short: indices stay the same."""
    if getattr(type(dataset), "is_feed", False):
        return dataset.dataset
    return dataset._dataset if type(dataset).__name__ == "_SlicedDataset" else None
