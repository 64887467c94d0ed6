"""What old scripts find under ``run``: the names of MMDetection 2.x, mmcv 1.x and Deep Lake 3."""

from __future__ import annotations

from deeplake_mmdet.cli.old_scripts.missing import way_on
from deeplake_mmdet.cli.old_scripts.names import OLD_NAMES, OTHERS_MEANING
from deeplake_mmdet.cli.old_scripts.supply import old_names, supply

__all__ = ["OLD_NAMES", "OTHERS_MEANING", "old_names", "supply", "way_on"]
