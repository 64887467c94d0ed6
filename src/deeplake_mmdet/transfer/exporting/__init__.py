"""Export out of a lake into the annotation formats of others."""

from __future__ import annotations

from deeplake_mmdet.transfer.exporting.coco import export_coco
from deeplake_mmdet.transfer.exporting.summary import ExportSummary

__all__ = ["ExportSummary", "export_coco"]
