"""The only door for configs: loading, options, secrets, and lake evaluators."""

from __future__ import annotations

from deeplake_mmdet.config.evaluators import use_lake_metrics
from deeplake_mmdet.config.load import load_config
from deeplake_mmdet.config.options import parse_options

__all__ = ["load_config", "parse_options", "use_lake_metrics"]
