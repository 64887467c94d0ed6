"""`examine`: everything that is known of this machine."""

from __future__ import annotations

from pathlib import Path

from deeplake_mmdet.doctor.fact import Fact
from deeplake_mmdet.doctor.machine import machine_facts
from deeplake_mmdet.doctor.packages import package_facts
from deeplake_mmdet.doctor.storage import storage_facts

__all__ = ["examine"]


def examine(work_dir: str | Path = "work_dirs") -> list[Fact]:
    """Look at packages, ops, GPUs, cores, memory, limits, disks and identities; the network is not asked.

    Args:
        work_dir: Where runs go; it need not exist.

    Returns:
        What was found, in the order in which it is shown.
    """
    return [*package_facts(), *machine_facts(Path(work_dir)), *storage_facts()]
