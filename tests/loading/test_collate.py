"""A batch comes out of a worker as it went in, in one segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader, Dataset

from deeplake_mmdet import packed_collate

FILES = Path("/proc/self/fd")


class Samples(Dataset[Any]):
    """Samples of all shapes and kinds that pipelines make."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng(index)
        sample = DetDataSample(metainfo={"img_id": index, "scale_factor": (1.0, 0.5)})
        boxes = torch.from_numpy(random.random((index, 4), np.float32))
        sample.gt_instances = InstanceData(
            bboxes=HorizontalBoxes(boxes),
            labels=torch.arange(index),
            masks=BitmapMasks(random.integers(0, 2, (index, 5, 7), np.uint8), 5, 7),
        )
        whole = torch.from_numpy(random.integers(0, 255, (3, 8 + index, 9), np.uint8))
        return {
            "inputs": whole,
            "data_samples": sample,
            "mirrored": whole.flip(-1)[:, :, ::2],  # a view with gaps
            "half": torch.ones(index, 2, dtype=torch.float16),
            "odd": torch.ones(3, dtype=torch.bfloat16),
            "number": torch.tensor(index),
            "nothing": torch.zeros(0, 4),
        }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    instances, others = one.gt_instances, other.gt_instances
    return (
        one.metainfo == other.metainfo
        and type(instances.bboxes) is type(others.bboxes)
        and same(instances.bboxes.tensor, others.bboxes.tensor)
        and same(instances.labels, others.labels)
        and np.array_equal(instances.masks.masks, others.masks.masks)
    )


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_batches_are_the_same_through_a_worker(start: str) -> None:
    here = list(DataLoader(Samples(), batch_size=3, collate_fn=packed_collate))
    there = list(
        DataLoader(
            Samples(), batch_size=3, num_workers=1, collate_fn=packed_collate, multiprocessing_context=start
        )
    )
    assert len(here) == len(there) == 2
    assert all(map(same, here, there))


def test_what_comes_out_may_be_written_to_and_shares_one_segment() -> None:
    (batch,) = DataLoader(Samples(), batch_size=6, num_workers=1, collate_fn=packed_collate)
    batch["inputs"][2] += 1
    images = batch["inputs"]
    spread = max(image.data_ptr() for image in images) - min(image.data_ptr() for image in images)
    assert spread < 1 << 20
    assert all(image.data_ptr() % 64 == 0 for image in images)


def test_many_batches_leave_no_file_open() -> None:
    loader = DataLoader(
        Samples(), batch_size=2, num_workers=1, collate_fn=packed_collate, persistent_workers=True
    )
    list(loader)
    before = len(list(FILES.iterdir()))
    for _ in range(20):
        list(loader)
    assert len(list(FILES.iterdir())) <= before + 2
