"""The only room that imports deeplake: sources, columns, boxes, images and the annotation table."""

from __future__ import annotations

from deeplake_mmdet.lake.boxes import BoxFormat
from deeplake_mmdet.lake.credentials import CredentialRef, is_handle, put_away
from deeplake_mmdet.lake.faults import is_local
from deeplake_mmdet.lake.inspection import Inspection, inspect
from deeplake_mmdet.lake.kept import SCHEME, KeptSource
from deeplake_mmdet.lake.lifecycle import rest, resting
from deeplake_mmdet.lake.opened import is_opened
from deeplake_mmdet.lake.roles import explain_roles
from deeplake_mmdet.lake.settings import SOURCE_KEYS, settings_of
from deeplake_mmdet.lake.source import ResolvedSource, Source
from deeplake_mmdet.lake.table import AnnotationTable
from deeplake_mmdet.lake.table_store import cache_folder, cached_tables, clear_cache
from deeplake_mmdet.lake.views import LakeView, find_view, open_view, open_view_of, parse_uri
from deeplake_mmdet.lake.writer import ImageRecord, LakeWriter

__all__ = [
    "SCHEME",
    "SOURCE_KEYS",
    "AnnotationTable",
    "BoxFormat",
    "CredentialRef",
    "ImageRecord",
    "Inspection",
    "KeptSource",
    "LakeView",
    "LakeWriter",
    "ResolvedSource",
    "Source",
    "cache_folder",
    "cached_tables",
    "clear_cache",
    "explain_roles",
    "find_view",
    "inspect",
    "is_handle",
    "is_local",
    "is_opened",
    "open_view",
    "open_view_of",
    "parse_uri",
    "put_away",
    "rest",
    "resting",
    "settings_of",
]
