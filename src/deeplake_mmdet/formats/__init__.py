"""Annotation files in the formats of others: pure reading and writing, without a lake."""

from __future__ import annotations

from deeplake_mmdet.formats.coco import load_coco
from deeplake_mmdet.formats.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from deeplake_mmdet.formats.coco_values import Id, IdIndex, read_id, stated
from deeplake_mmdet.formats.segmentation import MaskReading, read_segmentation
from deeplake_mmdet.formats.voc import VocImage, read_voc_xml
from deeplake_mmdet.formats.voc_object import VocObject
from deeplake_mmdet.formats.voc_split import VocSplit, load_voc

__all__ = [
    "CocoAnnotation",
    "CocoCategory",
    "CocoFile",
    "CocoImage",
    "Id",
    "IdIndex",
    "MaskReading",
    "VocImage",
    "VocObject",
    "VocSplit",
    "load_coco",
    "load_voc",
    "read_id",
    "read_segmentation",
    "read_voc_xml",
    "stated",
]
