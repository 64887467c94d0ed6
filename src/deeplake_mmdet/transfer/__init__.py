"""Import into a lake from the annotation formats of others."""

from __future__ import annotations

from deeplake_mmdet.transfer.coco import import_coco
from deeplake_mmdet.transfer.summary import Finding, ImportSummary
from deeplake_mmdet.transfer.voc import import_voc
from deeplake_mmdet.transfer.yolo import import_yolo

__all__ = ["Finding", "ImportSummary", "import_coco", "import_voc", "import_yolo"]
