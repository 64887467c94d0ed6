"""Import into a lake from the annotation formats of others, and export."""

from __future__ import annotations

from deeplake_mmdet.transfer.coco import import_coco
from deeplake_mmdet.transfer.exporting import ExportSummary, export_coco, export_voc, export_yolo
from deeplake_mmdet.transfer.sharding.processes import import_in_processes
from deeplake_mmdet.transfer.summary import Finding, ImportSummary
from deeplake_mmdet.transfer.voc import import_voc
from deeplake_mmdet.transfer.yolo import import_yolo

__all__ = [
    "ExportSummary",
    "Finding",
    "ImportSummary",
    "export_coco",
    "export_voc",
    "export_yolo",
    "import_coco",
    "import_in_processes",
    "import_voc",
    "import_yolo",
]
