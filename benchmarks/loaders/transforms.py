"""A transform of the benchmarks."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample

from deeplake_mmdet import deterministic

__all__ = ["KeepDecoded"]


@TRANSFORMS.register_module()
@deterministic
class KeepDecoded(BaseTransform):  # type: ignore[misc]
    """Hands the decoded image on as it is, (height, width, 3), without a copy."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The image as ``inputs``, and an empty data sample."""
        return {"inputs": torch.from_numpy(results["img"]), "data_samples": DetDataSample()}
