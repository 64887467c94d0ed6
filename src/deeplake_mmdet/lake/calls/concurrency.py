"""How many requests Deep Lake has under way at once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.lake.calls.lifecycle import resting

__all__ = ["ask_for_more_at_once"]

_BY_DEFAULT = 8  # for each core
_MANY = 64


def ask_for_more_at_once() -> None:
    """Raise Deep Lake's limit for this process to 64 requests, before a remote lake is opened.

    Deep Lake's own is 8 for each core. At 300 ms for a request and two cores, 160 images take 1.2 s instead
    of 3.1 s. The limit is the number of Deep Lake's threads for requests in this process. It stays as it is
    where it is higher, in processes that `multiprocessing` started, of which there are many with small
    batches each, and where the user has set another (``deeplake.storage``).
    """
    import deeplake

    default = _BY_DEFAULT * (os.cpu_count() or 1)
    chosen = deeplake.storage.concurrency() != default
    if chosen or default >= _MANY or multiprocessing.parent_process() is not None:
        return
    # Changing it while a call is under way hangs that call. The next opening tries again.
    with contextlib.suppress(StorageError), resting(0):
        deeplake.storage.set_concurrency(_MANY)
