"""A data loader's worker that dies: one clear error, and no waiting for what it will not send."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, ProcessError

__all__ = ["watched"]

_OWN_SIGNALS = (signal.SIGTERM,)  # by which a loader ends the other workers
_JOIN_SECONDS = 1.0


def watched(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches of a ``DataLoader``'s iterator.

    Args:
        batches: The iterator.

    Raises:
        ProcessError: A worker died. Which one, and what ended it.
    """
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except DeepLakeMMDetError:
            raise
        except (RuntimeError, OSError, EOFError) as error:
            if (lost := _lost(batches)) is not None:
                raise lost from error
            raise
        yield batch


def _lost(batches: Any) -> ProcessError | None:
    for number, worker in enumerate(getattr(batches, "_workers", ())):
        worker.join(_JOIN_SECONDS if not worker.is_alive() else 0)
        code = worker.exitcode
        if not code or -code in _OWN_SIGNALS:
            continue
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = code == -signal.SIGKILL
        return ProcessError(
            f"Worker {number} of {len(batches._workers)} that load training data {how}",
            where=f"process {worker.pid}",
            advice="; ".join(
                (["mostly memory ran out: use fewer workers or threads"] if memory else [])
                + ["--resume goes on from the last checkpoint"]
            ),
        )
    return None
