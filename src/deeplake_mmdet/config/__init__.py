"""The only door for configs: loading, options, secrets, and lake evaluators."""

from __future__ import annotations

from deeplake_mmdet.config.evaluators import use_lake_metrics
from deeplake_mmdet.config.legacy import convert_config
from deeplake_mmdet.config.load import load_config
from deeplake_mmdet.config.old_config import Config, mkdir_or_exist
from deeplake_mmdet.config.options import parse_options

__all__ = [
    "Config",
    "convert_config",
    "load_config",
    "mkdir_or_exist",
    "parse_options",
    "use_lake_metrics",
]
