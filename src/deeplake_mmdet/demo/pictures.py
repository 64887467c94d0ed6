"""What the demo's pictures show: samples of a lake, and predictions beside ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplake_mmdet.report import MosaicItem, Predicted, lake_items

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["predicted_items", "truth_items"]


def truth_items(dataset: Any, count: int) -> Iterator[MosaicItem]:
    """The first images of a lake that hold objects, without predictions.

    Args:
        dataset: A `DeepLakeDataset`.
        count: Number of images.
    """
    for index in _filled(dataset)[:count]:
        yield _item(dataset, index, np.zeros((0, 4)), [], [])


def predicted_items(cfg: Config, checkpoint: Path, count: int) -> Iterator[MosaicItem]:
    """Run a checkpoint on the first images of the test split that hold objects.

    Args:
        cfg: The config it was trained with.
        checkpoint: File.
        count: Number of images.
    """
    import torch
    from mmdet.apis import init_detector

    from deeplake_mmdet.registry import DATASETS

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    model = init_detector(cfg, str(checkpoint), device=device)
    dataset: Any = DATASETS.build(cfg.test_dataloader.dataset)
    for index in _filled(dataset)[:count]:
        sample = dataset[index]
        with torch.no_grad():
            (result,) = model.test_step(
                {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
            )
        found = result.pred_instances.cpu().numpy()
        yield _item(dataset, index, found.bboxes, found.labels, found.scores)


def _filled(dataset: Any) -> list[int]:
    return [index for index in range(len(dataset)) if dataset.get_cat_ids(index)]


def _item(dataset: Any, index: int, boxes: Any, labels: Any, scores: Any) -> MosaicItem:
    [item] = lake_items(
        dataset.view, [dataset.data_list.rows.item(index)], [Predicted(boxes, labels, scores)]
    )
    return item
