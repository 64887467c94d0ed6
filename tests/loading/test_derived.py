"""A user's own class of lakes gives the same samples whoever makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawn_lakes import LIGHT, MIXED, fingerprints, lake_dataset, loader_of
from mmdet.registry import DATASETS

from deeplake_mmdet.dataset import DeepLakeDataset


@DATASETS.register_module(force=True)
class LeftOnly(DeepLakeDataset):
    """With infos of its own, and samples that others are put for."""

    def get_data_info(self, idx: int) -> dict[str, Any]:
        info = super().get_data_info(idx)
        info["instances"] = [one for one in info["instances"] if one["bbox"][0] < 10]
        return info

    def prepare_data(self, idx: int) -> Any:
        return None if idx % 7 == 3 else super().prepare_data(idx)


@pytest.mark.parametrize("pipeline", ["light", "mixed"])
def test_the_same_samples_in_every_mode(lake: Path, pipeline: str) -> None:
    def dataset(kind: str) -> dict[str, Any]:
        steps = LIGHT if pipeline == "light" else LIGHT[:2]
        inner = {**lake_dataset(lake, steps), "type": kind}
        if pipeline == "light":
            return inner
        return {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": MIXED}

    found = [
        fingerprints(loader_of(dataset("mmdet.LeftOnly"), mode, workers), (0, 1))
        for mode, workers in (("threads", 0), ("threads", 2), ("processes", 2))
    ]
    assert found[0] == found[1] == found[2]
    assert found[0] != fingerprints(
        loader_of(dataset("deeplake_mmdet.DeepLakeDataset"), "threads", 0), (0, 1)
    )
