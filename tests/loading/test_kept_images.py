"""Steps of users that hand decoded images on, and may keep some, in worker processes."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from drawn_lakes import lake_dataset, loader_of
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmdet.datasets.transforms import PackDetInputs, Resize
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample

from deeplake_mmdet import DeepLakeDataset
from deeplake_mmdet.pipeline.steps import planes_in, run_steps


@TRANSFORMS.register_module()
class HandOn(BaseTransform):
    """Hands the image on as it is; keeps parts of ``kept`` others, and tells how many have changed."""

    def __init__(self, kept: int) -> None:
        self.others: deque[tuple[np.ndarray, bytes]] = deque(maxlen=kept or 1)
        self.kept = kept

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results["img"]
        sample = DetDataSample()
        changed = sum(other.tobytes() != before for other, before in self.others)
        sample.set_metainfo({"img_id": results["img_id"], "changed": changed})
        if self.kept:
            part = image[3:20:2, ::-1]
            self.others.append((part, part.tobytes()))
        return {"inputs": torch.from_numpy(image), "data_samples": sample}


def pipeline(kept: int) -> list[dict[str, Any]]:
    return [{"type": "LoadImageFromFile"}, {"type": "HandOn", "kept": kept}]


@pytest.mark.parametrize("kept", [0, 10])
@pytest.mark.parametrize(("mode", "workers"), [("processes", 1), ("processes", 2), ("threads", 2)])
def test_images_stay_as_they_were_decoded(lake: Path, mode: str, workers: int, kept: int) -> None:
    loader = loader_of(
        lake_dataset(lake, pipeline(kept)), mode, workers, persistent_workers=mode == "processes"
    )
    plain = DeepLakeDataset(str(lake), pipeline=pipeline(0))
    for number in range(3):
        loader.batch_sampler.sampler.set_epoch(number)
        for batch in loader:
            for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
                assert torch.equal(image, plain[sample.img_id]["inputs"])
                assert sample.changed == 0


@pytest.mark.parametrize(
    ("after", "wanted"),
    [([], 0), ([HandOn(0)], 1), ([Resize((20, 20)), HandOn(0)], 0), ([PackDetInputs()], 1)],
)
def test_only_images_that_leave_a_pipeline_take_memory(after: list[Any], wanted: int) -> None:
    asked: list[tuple[int, ...]] = []

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        asked.append(shape)
        return np.empty(shape, np.uint8)

    encoded = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    with planes_in(allocate):
        run_steps([LoadImageFromFile(), *after], {"img_path": "a.jpg", "img_id": 1}, lambda path: encoded)
    assert len(asked) == wanted
