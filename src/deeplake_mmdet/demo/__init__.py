"""The embedded demo: makes a small lake, trains, evaluates, reports."""

from __future__ import annotations

from deeplake_mmdet.demo.run import Demo, demo

__all__ = ["Demo", "demo"]
