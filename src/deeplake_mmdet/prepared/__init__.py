"""Prepared images: what a pipeline's first steps make of a row, kept on a local disk or in memory."""

from __future__ import annotations

from deeplake_mmdet.prepared.opening import open_prepared, read_prepared_settings
from deeplake_mmdet.prepared.places import prepared_folders, remove_prepared
from deeplake_mmdet.prepared.prefix import PreparedSteps, prepared_steps
from deeplake_mmdet.prepared.store import PreparedImages

__all__ = [
    "PreparedImages",
    "PreparedSteps",
    "open_prepared",
    "prepared_folders",
    "prepared_steps",
    "read_prepared_settings",
    "remove_prepared",
]
