"""A data loader's worker that dies or sends nothing any more: one clear error instead of whatever follows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, ProcessError
from deeplake_mmdet.lake import human_bytes

__all__ = ["lost_workers_named"]

_ENOUGH = 2**30
_OWN_SIGNALS = (signal.SIGTERM,)  # by which a loader ends the other workers
_PATIENCE = 3.0  # seconds
_TORCHS_WORDS = "DataLoader worker"
_TORCHS_TIMEOUT = re.compile(r"DataLoader timed out after ([\d.]+) seconds")
_SHARED = "/dev/shm"  # where torch's own collate functions put batches for the training process
_ADVICE = "--resume goes on from the last checkpoint"
_MEMORY = "mostly memory ran out: use fewer workers, or threads instead (fast_loader='threads')"


@contextlib.contextmanager
def lost_workers_named(batches: Callable[[], Any]) -> Iterator[None]:
    """Run a loop, and name the worker whose death or silence ended it.

    Torch tells of a death by an error that is raised wherever the training process just is, be it in a
    library that takes it for a failure of its own; or a broken connection to the worker is noticed first.

    Args:
        batches: Gives the iterator of the ``DataLoader`` in use, or None.

    Raises:
        ProcessError: A worker died (which one, and what ended it), or none of them has sent a batch for the
            seconds of the loader's ``timeout``.
    """
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except Exception as error:
        # A connection breaks shortly before the system has its worker down as dead.
        broken = isinstance(error, OSError | EOFError) and getattr(batches(), "_workers", None)
        patience = _PATIENCE if broken else 0.0
        if (lost := _awaited(batches(), patience) or _told(error)) is not None:
            raise lost from error
        raise


def _awaited(batches: Any, seconds: float) -> ProcessError | None:
    end = time.monotonic() + seconds
    while True:
        try:
            if (lost := _dead_worker(batches)) is not None or time.monotonic() >= end:
                return lost
            time.sleep(0.02)
        except RuntimeError as error:  # torch's news of a death may come right here
            if not str(error).startswith(_TORCHS_WORDS):
                raise


def _dead_worker(batches: Any) -> ProcessError | None:
    workers = getattr(batches, "_workers", ())
    for number, worker in enumerate(workers):
        code = None if worker.is_alive() else worker.exitcode
        if not code or -code in _OWN_SIGNALS:
            continue
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return ProcessError(
            f"Worker {number} of the {len(workers)} that load training data {how}",
            where=f"process {worker.pid}",
            advice=f"{_MEMORY}; {_ADVICE}" if code == -signal.SIGKILL else _ADVICE,
        )
    return None


def _told(error: BaseException | None) -> ProcessError | None:
    """What torch said about a worker of another loader."""
    while error is not None:
        if isinstance(error, RuntimeError) and str(error).startswith(_TORCHS_WORDS):
            advice = _shared_memory() or _MEMORY
            return ProcessError(str(error).strip(), where="a data loader", advice=f"{advice}; {_ADVICE}")
        if isinstance(error, RuntimeError) and (silent := _TORCHS_TIMEOUT.match(str(error))):
            advice = _shared_memory() or (
                "see what they wait for (`py-spy dump --pid …`), or give the dataloader a longer timeout= if "
                "a batch takes that long"
            )
            return ProcessError(
                f"The worker processes have sent no batch for {float(silent[1]):g} s",
                where="dataloader key 'timeout'",
                advice=f"{advice}; {_ADVICE}",
            )
        error = error.__cause__ or error.__context__
    return None


def _shared_memory() -> str:
    """What to do about shared memory, if that is what has run out."""
    try:
        room = os.statvfs(_SHARED)
    except OSError:
        return ""
    size = room.f_blocks * room.f_frsize
    if size >= _ENOUGH and room.f_bavail > room.f_blocks // 10:
        return ""
    return (
        f"{_SHARED} holds {human_bytes(size)} only, and this loader's batches go through it: start the "
        "container with --shm-size=8g, or load with fast_loader, whose batches do not"
    )
