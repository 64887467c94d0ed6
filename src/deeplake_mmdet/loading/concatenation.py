"""`ConcatDataset` that can tell the classes of its samples."""

from __future__ import annotations

from mmdet.datasets import ConcatDataset as StockConcatDataset

from deeplake_mmdet.registry import DATASETS

__all__ = ["ConcatDataset"]


@DATASETS.register_module()
class ConcatDataset(StockConcatDataset):
    """MMDetection's wrapper, for ``ClassBalancedDataset`` and ``ClassAwareSampler`` to look into.

    They ask for the classes of every sample, as MMDetection 2.x's ``ConcatDataset`` could tell them.

    Args:
        kwargs: Those of the stock class.
    """

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class indices of the boxes of one sample.

        Args:
            idx: Index into the concatenated datasets.
        """
        number, inner = self._get_ori_dataset_idx(idx)
        return list(self.datasets[number].get_cat_ids(inner))
