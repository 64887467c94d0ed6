"""The only door for configs: loading, options, secrets, and lake evaluators."""

from __future__ import annotations

from deeplake_mmdet.config.evaluators import use_lake_metrics
from deeplake_mmdet.config.legacy import convert_config
from deeplake_mmdet.config.load import load_config
from deeplake_mmdet.config.options import parse_options

__all__ = ["convert_config", "load_config", "parse_options", "use_lake_metrics"]
