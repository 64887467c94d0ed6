"""The report of a run: one page that opens from disk, and its plots as files."""

from __future__ import annotations

from deeplake_mmdet.report.page.make import Report, report

__all__ = ["Report", "report"]
