"""Faults and statistics of a lake, what training would leave out of it, and what two lakes share.

The room is not called ``check``: a package's module of that name would hide the function.
"""

from __future__ import annotations

from deeplake_mmdet.checking.result import CheckResult, Finding, LakeFacts
from deeplake_mmdet.checking.run import check

__all__ = ["CheckResult", "Finding", "LakeFacts", "check"]
