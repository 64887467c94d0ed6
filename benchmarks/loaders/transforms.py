"""A transform of the benchmarks."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from deeplake_mmdet import deterministic

__all__ = ["KeepDecoded"]


@TRANSFORMS.register_module()
@deterministic
class KeepDecoded(BaseTransform):  # type: ignore[misc]
    """Hands the decoded image on as it is, (height, width, 3), without a copy."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The image as ``inputs``, and nothing else."""
        return {"inputs": results["img"]}
