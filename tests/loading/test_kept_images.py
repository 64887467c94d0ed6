"""Steps of users that hand decoded images on, and may keep some, in worker processes."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_lakes import lake_dataset, loader_of
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample

from deeplake_mmdet import DeepLakeDataset


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
