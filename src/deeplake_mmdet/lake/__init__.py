"""The only room that imports deeplake: sources, columns, boxes, images and the annotation table."""

from __future__ import annotations

from deeplake_mmdet.lake.cache.chunk_cache import CacheStatistics, ChunkCache, new_counters
from deeplake_mmdet.lake.cache.chunk_folder import cached_chunks, remove_chunks
from deeplake_mmdet.lake.cache.own_files import locked as cache_locked
from deeplake_mmdet.lake.cache.own_files import make_folder as make_cache_folder
from deeplake_mmdet.lake.cache.own_files import open_file as open_cache_file
from deeplake_mmdet.lake.cache.own_files import read_text as read_cache_text
from deeplake_mmdet.lake.cache.settings import CacheSettings, human_bytes, read_cache_settings
from deeplake_mmdet.lake.calls.faults import deadline_seconds, is_local
from deeplake_mmdet.lake.calls.lifecycle import rest, resting
from deeplake_mmdet.lake.images.headers import read_orientation, stated_size
from deeplake_mmdet.lake.images.refetch import image_anew
from deeplake_mmdet.lake.images.signatures import detect_format as image_format
from deeplake_mmdet.lake.inspection import Inspection, inspect
from deeplake_mmdet.lake.lenient import ExaminedLake, open_leniently
from deeplake_mmdet.lake.old_lake import OldLake, load_old
from deeplake_mmdet.lake.opening import open_view, open_view_of
from deeplake_mmdet.lake.row_blocks import RowBlocks
from deeplake_mmdet.lake.run_reading import (
    base_of,
    cells_of,
    class_names_of,
    names_of_files,
    rows_of_view,
    run_table,
    source_of_rows,
)
from deeplake_mmdet.lake.schema.boxes import BoxFormat
from deeplake_mmdet.lake.schema.class_names import ClassNames, class_list, read_class_names
from deeplake_mmdet.lake.schema.labels import source_category_ids
from deeplake_mmdet.lake.schema.own_classes import name_difference, own_classes, why_no_truth
from deeplake_mmdet.lake.schema.roles import explain_roles
from deeplake_mmdet.lake.selecting import select_rows
from deeplake_mmdet.lake.shard import Shard
from deeplake_mmdet.lake.source.addresses import parse_uri
from deeplake_mmdet.lake.source.as_settings import SOURCE_KEYS, settings_of
from deeplake_mmdet.lake.source.carried import SCHEME, CarriedSource
from deeplake_mmdet.lake.source.credentials import (
    ENVIRONMENT,
    CredentialRef,
    is_handle,
    put_away,
    refuse_literals,
)
from deeplake_mmdet.lake.source.opened import is_opened
from deeplake_mmdet.lake.source.pinning import list_versions, resolve
from deeplake_mmdet.lake.source.secret_texts import (
    MASK,
    PUBLIC,
    holds_secret,
    is_literal,
    is_secret_name,
    literals_in,
    masked,
)
from deeplake_mmdet.lake.source.source import ResolvedSource, Source, is_same_contents, short_hash
from deeplake_mmdet.lake.source_facts import IMAGE_REMAINDER, facts_of_source, image_remainders
from deeplake_mmdet.lake.table.cleaning import (
    Cleaning,
    box_faults,
    clean_boxes,
    filter_images,
    reach_beyond,
)
from deeplake_mmdet.lake.table.store import cache_folder, cached_tables, clear_cache
from deeplake_mmdet.lake.table.table import AnnotationTable
from deeplake_mmdet.lake.verification import recorded_source, verify_recorded
from deeplake_mmdet.lake.views import UNREAD, LakeView, find_view
from deeplake_mmdet.lake.writing.merging import MergeSummary, merge
from deeplake_mmdet.lake.writing.run_branch import (
    RUN_COLUMNS,
    RUNS,
    count_rows,
    rows_in_base,
    without_queries,
    write_run,
)
from deeplake_mmdet.lake.writing.run_opening import RunBranch, open_run, run_ids
from deeplake_mmdet.lake.writing.run_shards import run_shards
from deeplake_mmdet.lake.writing.saved_views import (
    SavedView,
    check_view_name,
    lineage_in,
    save_view,
    saved_views,
    tag_version,
)
from deeplake_mmdet.lake.writing.writer import ImageRecord, LakeWriter

__all__ = [
    "ENVIRONMENT",
    "IMAGE_REMAINDER",
    "MASK",
    "PUBLIC",
    "RUNS",
    "RUN_COLUMNS",
    "SCHEME",
    "SOURCE_KEYS",
    "UNREAD",
    "AnnotationTable",
    "BoxFormat",
    "CacheSettings",
    "CacheStatistics",
    "CarriedSource",
    "ChunkCache",
    "ClassNames",
    "Cleaning",
    "CredentialRef",
    "ExaminedLake",
    "ImageRecord",
    "Inspection",
    "LakeView",
    "LakeWriter",
    "MergeSummary",
    "OldLake",
    "ResolvedSource",
    "RowBlocks",
    "RunBranch",
    "SavedView",
    "Shard",
    "Source",
    "base_of",
    "box_faults",
    "cache_folder",
    "cache_locked",
    "cached_chunks",
    "cached_tables",
    "cells_of",
    "check_view_name",
    "class_list",
    "class_names_of",
    "clean_boxes",
    "clear_cache",
    "count_rows",
    "deadline_seconds",
    "explain_roles",
    "facts_of_source",
    "filter_images",
    "find_view",
    "holds_secret",
    "human_bytes",
    "image_anew",
    "image_format",
    "image_remainders",
    "inspect",
    "is_handle",
    "is_literal",
    "is_local",
    "is_opened",
    "is_same_contents",
    "is_secret_name",
    "lineage_in",
    "list_versions",
    "literals_in",
    "load_old",
    "make_cache_folder",
    "masked",
    "merge",
    "name_difference",
    "names_of_files",
    "new_counters",
    "open_cache_file",
    "open_leniently",
    "open_run",
    "open_view",
    "open_view_of",
    "own_classes",
    "parse_uri",
    "put_away",
    "reach_beyond",
    "read_cache_settings",
    "read_cache_text",
    "read_class_names",
    "read_orientation",
    "recorded_source",
    "refuse_literals",
    "remove_chunks",
    "resolve",
    "rest",
    "resting",
    "rows_in_base",
    "rows_of_view",
    "run_ids",
    "run_shards",
    "run_table",
    "save_view",
    "saved_views",
    "select_rows",
    "settings_of",
    "short_hash",
    "source_category_ids",
    "source_of_rows",
    "stated_size",
    "tag_version",
    "verify_recorded",
    "why_no_truth",
    "without_queries",
    "write_run",
]
