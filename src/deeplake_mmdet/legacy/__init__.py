"""Legacy configs: MMDetection 2.x -> 3.x, as pure functions on plain dicts that also return notes."""

from __future__ import annotations

from deeplake_mmdet.legacy.convert import convert_config_dict
from deeplake_mmdet.legacy.datasets.old_wrappers import repeated
from deeplake_mmdet.legacy.detect import check_toolbox, is_legacy, kind_of, speaks_new
from deeplake_mmdet.legacy.mixed import SAID_BY, convert_mixed, old_keys
from deeplake_mmdet.legacy.models.model import convert_model_dict
from deeplake_mmdet.legacy.names import counterpart, official_name, similar
from deeplake_mmdet.legacy.notes import Note
from deeplake_mmdet.legacy.old_values import old_values
from deeplake_mmdet.legacy.onto_base import as_legacy, merge
from deeplake_mmdet.legacy.packages import modern_module
from deeplake_mmdet.legacy.shapes import check_new_shapes, check_shapes

__all__ = [
    "SAID_BY",
    "Note",
    "as_legacy",
    "check_new_shapes",
    "check_shapes",
    "check_toolbox",
    "convert_config_dict",
    "convert_mixed",
    "convert_model_dict",
    "counterpart",
    "is_legacy",
    "kind_of",
    "merge",
    "modern_module",
    "official_name",
    "old_keys",
    "old_values",
    "repeated",
    "similar",
    "speaks_new",
]
