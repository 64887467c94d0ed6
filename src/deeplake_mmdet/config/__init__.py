"""The only door for configs: loading, options, secrets, and lake evaluators."""

from __future__ import annotations

from deeplake_mmdet.config.conversion import Conversion, convert
from deeplake_mmdet.config.custom_imports import import_custom_modules
from deeplake_mmdet.config.data_check import check_data
from deeplake_mmdet.config.evaluators import use_lake_metrics
from deeplake_mmdet.config.fast_loader import fast_loader
from deeplake_mmdet.config.intake import (
    convert_config,
    load_config,
    log_notes,
    note_level,
    take_in,
    take_in_with_notes,
)
from deeplake_mmdet.config.loaders import fast_loaders, use_fast_loaders
from deeplake_mmdet.config.old_config import Config, mkdir_or_exist
from deeplake_mmdet.config.options import parse_options
from deeplake_mmdet.config.reading import check_order, keep_reading_notes, read_config, reading_notes
from deeplake_mmdet.config.secrets import drop_useless_handles, extract_secrets, redact
from deeplake_mmdet.config.signatures import keys_of, nearest
from deeplake_mmdet.config.tree import (
    SPLITS,
    Place,
    all_datasets,
    innermost,
    innermost_of,
    is_lake,
    kind_of_part,
    lakes_in,
)
from deeplake_mmdet.config.unopened_data import leads_to_lake

__all__ = [
    "SPLITS",
    "Config",
    "Conversion",
    "Place",
    "all_datasets",
    "check_data",
    "check_order",
    "convert",
    "convert_config",
    "drop_useless_handles",
    "extract_secrets",
    "fast_loader",
    "fast_loaders",
    "import_custom_modules",
    "innermost",
    "innermost_of",
    "is_lake",
    "keep_reading_notes",
    "keys_of",
    "kind_of_part",
    "lakes_in",
    "leads_to_lake",
    "load_config",
    "log_notes",
    "mkdir_or_exist",
    "nearest",
    "note_level",
    "parse_options",
    "read_config",
    "reading_notes",
    "redact",
    "take_in",
    "take_in_with_notes",
    "use_fast_loaders",
    "use_lake_metrics",
]
