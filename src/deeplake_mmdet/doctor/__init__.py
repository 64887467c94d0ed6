"""What this machine and its packages are good for, and what to type where something is amiss."""

from __future__ import annotations

from deeplake_mmdet.doctor.examine import examine
from deeplake_mmdet.doctor.fact import Fact, Status

__all__ = ["Fact", "Status", "examine"]
