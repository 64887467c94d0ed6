"""`MultiImageMixDataset` whose choice of further images is known before any is read."""

from __future__ import annotations

import collections.abc
from typing import Any

import mmcv.transforms
import mmdet.datasets.transforms
import numpy as np
from mmdet.datasets import MultiImageMixDataset as StockMultiImageMixDataset

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.loading.seeding import current_seed, derive, generators_kept, seed_generators
from deeplake_mmdet.pipeline.steps import run_steps
from deeplake_mmdet.registry import DATASETS

__all__ = ["MultiImageMixDataset"]

_CHOICE, _STEP = 0, 1


@DATASETS.register_module()
class MultiImageMixDataset(StockMultiImageMixDataset):
    """MMDetection's wrapper for Mosaic, MixUp and CopyPaste, faster and exactly reproducible.

    Every transform gets random numbers of its own, derived from the seed of the sample. So the images that a
    transform mixes in are known beforehand and can be fetched together; MixUp looks up whether an image has
    boxes instead of loading it; and no image is copied for the sake of a retry: if a transform gives None,
    the sample is made anew with other random numbers.

    Args:
        kwargs: Those of the stock class.
    """

    def __getitem__(self, idx: int) -> Any:
        seed = current_seed()
        if seed is None:  # outside a feed: the next sample of whatever generator there is
            seed = int(np.random.randint(0, 2**62))
        for attempt in range(self.max_refetch):
            results = self._make(idx, seed, attempt)
            if results is not None:
                return results
        raise ConfigError(
            f"The pipeline gave None {self.max_refetch} times for sample {idx}",
            where="pipeline of MultiImageMixDataset",
            advice="check which of its transforms leaves out samples without boxes, e.g. "
            "FilterAnnotations(keep_empty=False)",
        )

    def companions(self, seed: int) -> list[int]:
        """Indices of the images that will be mixed into a sample (in the first attempt).

        Args:
            seed: Seed of the sample.
        """
        with generators_kept():
            return [
                index
                for position, transform in self._active()
                if hasattr(transform, "get_indexes")
                for index in self._chosen(position, transform, seed, 0)
            ]

    def _make(self, idx: int, seed: int, attempt: int) -> Any:
        results = self.dataset[idx]
        for position, transform in self._active():
            if results is None:
                return None
            if hasattr(transform, "get_indexes"):
                mixed = [self.dataset[index] for index in self._chosen(position, transform, seed, attempt)]
                if any(other is None for other in mixed):
                    return None
                results["mix_results"] = mixed
            seed_generators(derive(seed, _STEP, position, attempt))
            results = run_steps([transform], results)
            if results is not None:
                results.pop("mix_results", None)
        return results

    def _active(self) -> list[tuple[int, Any]]:
        skipped = self._skip_type_keys or ()
        return [
            (position, transform)
            for position, (transform, kind) in enumerate(zip(self.pipeline, self.pipeline_types, strict=True))
            if kind not in skipped
        ]

    def _chosen(self, position: int, transform: Any, seed: int, attempt: int) -> list[int]:
        seed_generators(derive(seed, _CHOICE, position, attempt))
        chosen = transform.get_indexes(_Glance(self.dataset))
        several = chosen if isinstance(chosen, collections.abc.Sequence) else [chosen]
        return [int(index) for index in several]


class _Glance:
    """A dataset for ``get_indexes``, which may look at how many boxes a sample has (MixUp does)."""

    _LOADERS = (mmcv.transforms.LoadImageFromFile, mmdet.datasets.transforms.LoadAnnotations)

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        steps = getattr(getattr(dataset, "pipeline", None), "transforms", None)
        self._loads_only = steps is not None and all(type(step) in self._LOADERS for step in steps)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        if not self._loads_only:
            return self._dataset[index]
        return {"gt_bboxes": self._dataset.get_data_info(index)["instances"]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)
