"""Lets peers import torchvision, whose wheel on PyPI needs CUDA, where there is none.

The import fails, unless two ops that it then misses are declared; nothing in this benchmark calls them.
"""

from __future__ import annotations

import torch

__all__ = ["LIBRARY"]

# The declarations last as long as this object.
LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
