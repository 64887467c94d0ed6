"""Workers use their shared memory again, but never under a batch that somebody still has."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from deeplake_mmdet import packed_collate
from deeplake_mmdet.loading.segments import _segments

HEIGHT = 200


class Images(Dataset[Any]):
    def __init__(self, count: int = 64) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = np.random.default_rng(index).integers(0, 256, (3, HEIGHT, 100), np.uint8)
        return {"inputs": torch.from_numpy(image), "index": index}


def loader(workers: int = 2, count: int = 64, **told: Any) -> DataLoader[Any]:
    return DataLoader(Images(count), 4, num_workers=workers, collate_fn=packed_collate, **told)


def is_right(batch: dict[str, Any]) -> bool:
    images = Images()
    return all(
        torch.equal(image, images[int(index)]["inputs"])
        for image, index in zip(batch["inputs"], batch["index"], strict=True)
    )


def mapped_of_children() -> int:
    return len(_segments)


def test_memory_is_used_again() -> None:
    persistent = loader(persistent_workers=True)
    for _ in range(2):
        for batch in persistent:
            assert is_right(batch)
    places = {image.data_ptr() for _ in range(3) for batch in persistent for image in batch["inputs"]}
    # 48 batches of 4 images; of each worker a few are on their way.
    assert len(places) <= 2 * 6 * 4


def test_batches_that_are_kept_stay_as_they_are() -> None:
    kept = list(loader(count=128))
    assert len(kept) == 32
    assert all(map(is_right, kept))


def test_one_view_keeps_its_memory() -> None:
    rows = [(batch["inputs"][1][0, 5:9], int(batch["index"][1])) for batch in loader(count=128)]
    gc.collect()
    images = Images()
    assert all(torch.equal(row, images[index]["inputs"][0, 5:9]) for row, index in rows)


def test_a_fork_that_ends_gives_nothing_back() -> None:
    persistent = loader(workers=1, persistent_workers=True)
    batches = iter(persistent)
    held = next(batches)
    child = os.fork()
    if not child:
        del held
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    for batch in batches:
        assert is_right(batch)
        assert is_right(held)


def test_memory_of_hoarded_batches_is_given_up() -> None:
    persistent = loader(workers=1, count=256, persistent_workers=True)
    hoard = list(persistent)
    most = mapped_of_children()
    assert most >= len(hoard) // 2
    hoard.clear()
    gc.collect()
    for _ in range(2):
        for _batch in persistent:
            pass
    assert mapped_of_children() <= 8


def test_segments_of_ended_workers_are_forgotten() -> None:
    for _ in range(4):
        for batch in loader():
            assert is_right(batch)
    workers = {process for process, _ in _segments}
    assert len(workers) <= 4
