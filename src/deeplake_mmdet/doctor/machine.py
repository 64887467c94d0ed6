"""Cores, memory, limits, disks and GPUs."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deeplake_mmdet.doctor.fact import Fact, Status
from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.lake import cache_folder, human_bytes

__all__ = ["machine_facts"]

_SHARED = Path("/dev/shm")
_LEAST_SHARED, _LEAST_DISK, _LEAST_FILES = 2**29, 2**31, 4096


def machine_facts(work_dir: Path) -> Iterator[Fact]:
    """What this machine lets a training have.

    Args:
        work_dir: Where runs go.
    """
    yield _cores()
    yield _memory()
    yield from _shared_memory()
    yield _open_files()
    yield _disk("work dir", work_dir)
    yield _disk("cache", cache_folder())
    yield from _gpus()


def _cores() -> Fact:
    usable, all_cores = available_cores(), os.cpu_count() or 1
    told = f"{usable} usable" + (f" of {all_cores} (bound, or the container's share)" * (usable < all_cores))
    if usable < 2:
        return Fact(
            "machine", "cores", told, Status.NOTE, "images are decoded beside the training by one core more"
        )
    return Fact("machine", "cores", told)


def _memory() -> Fact:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        limit = total
    told = human_bytes(min(total, limit)) + (
        f" (the container's share of {human_bytes(total)})" * (limit < total)
    )
    return Fact("machine", "memory", told)


def _shared_memory() -> Iterator[Fact]:
    if not _SHARED.is_dir():
        return
    usage = shutil.disk_usage(_SHARED)
    told = f"{human_bytes(usage.free)} free of {human_bytes(usage.total)}"
    if usage.free < _LEAST_SHARED:
        advice = (
            "worker processes hand batches over there: docker run --shm-size=8g, or num_workers=0 (threads)"
        )
        yield Fact("machine", "shared memory", told, Status.NOTE, advice)
        return
    yield Fact("machine", "shared memory", told)


def _open_files() -> Fact:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"{soft} ({'no limit' if hard == resource.RLIM_INFINITY else hard} at most)"
    if soft < _LEAST_FILES and soft != resource.RLIM_INFINITY:
        return Fact("machine", "open files", told, Status.NOTE, f"ulimit -n {_LEAST_FILES * 4}")
    return Fact("machine", "open files", told)


def _disk(name: str, folder: Path) -> Fact:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Fact(
            "disk",
            name,
            f"{folder}: cannot be written ({error.strerror})",
            Status.FAULT,
            "choose another folder",
        )
    told = f"{folder}: {human_bytes(free)} free"
    if free < _LEAST_DISK:
        return Fact("disk", name, told, Status.NOTE, "make room: checkpoints and caches need some GB")
    return Fact("disk", name, told)


def _gpus() -> Iterator[Fact]:
    try:
        import torch
    except ImportError:
        return
    built = torch.version.cuda
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            told = f"{facts.name}, {human_bytes(facts.total_memory)}, compute {facts.major}.{facts.minor}"
            yield Fact("gpu", f"cuda:{number}", f"{told}, CUDA {built}")
        return
    driver = Path("/proc/driver/nvidia/version").exists()
    if driver and built is None:
        advice = "install a build of torch for CUDA: https://pytorch.org/get-started/locally"
        yield Fact(
            "gpu", "cuda", "there is an NVIDIA driver, but torch is built for CPUs", Status.FAULT, advice
        )
    elif driver:
        yield Fact(
            "gpu",
            "cuda",
            f"there is an NVIDIA driver, but torch (CUDA {built}) finds no GPU",
            Status.FAULT,
            "compare the driver's version with torch's CUDA (nvidia-smi), and look at CUDA_VISIBLE_DEVICES",
        )
    else:
        yield Fact("gpu", "cuda", "none: models run on the CPU", Status.NOTE)
