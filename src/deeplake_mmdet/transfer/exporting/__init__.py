"""Export out of a lake into the annotation formats of others."""

from __future__ import annotations

from deeplake_mmdet.transfer.exporting.coco import export_coco
from deeplake_mmdet.transfer.exporting.summary import ExportSummary
from deeplake_mmdet.transfer.exporting.voc import export_voc
from deeplake_mmdet.transfer.exporting.yolo import export_yolo

__all__ = ["ExportSummary", "export_coco", "export_voc", "export_yolo"]
