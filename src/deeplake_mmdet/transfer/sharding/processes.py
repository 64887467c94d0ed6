"""One import by several processes: each takes a shard, and at the end they are merged."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from deeplake_mmdet.errors import ConfigError, ImportRefusedError, StorageError
from deeplake_mmdet.lake.writing.merging import merge
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.transfer.summary import ImportSummary

__all__ = ["import_in_processes"]


def import_in_processes(
    function: Callable[..., ImportSummary],
    source: Any,
    lake: str | os.PathLike[str],
    *,
    processes: int,
    progress: bool = True,
    **options: Any,
) -> ImportSummary:
    """Import into a new lake by several processes. Row for row the lake is as one process would make it.

    For many small images, of which Python's own work takes more than decoding; threads decode on all cores in
    any case. What a killed command leaves is a lake without rows: remove it and begin again.

    Args:
        function: `import_coco`, `import_voc` or `import_yolo`.
        source: Its first argument.
        lake: Folder or address of the new lake.
        processes: How many. They are spawned: a script that calls this needs ``if __name__ == "__main__":``.
        progress: Whether to draw a progress bar on stderr.
        options: The function's others.

    Returns:
        What all of them imported, refused and changed.

    Raises:
        ConfigError: ``processes`` is no positive number, or ``shard``, ``append`` or ``overwrite`` is given.
        StorageError: A process was killed.
        DeepLakeMMDetError: As the function raises it.
    """
    check_sharded(processes, options)
    begun = time.monotonic()
    bar = Progress("Importing", processes, shown=progress, unit="shards")
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        with bar:
            jobs = [
                pool.submit(import_shard, function, source, lake, options, (number, processes))
                for number in range(processes)
            ]
            for job in jobs:
                job.add_done_callback(lambda _: bar.advance())
            parts = [job.result() for job in jobs]
    except BrokenProcessPool:
        raise StorageError(
            "A process of the import was killed, as for want of memory",
            where=f"lake {lake}",
            advice="remove the lake, and import by fewer processes",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    done = merge(os.fspath(lake), creds=options.get("creds"))
    whole = joined(parts)
    whole.notes += done.notes
    whole.seconds = time.monotonic() - begun
    return whole


def check_sharded(processes: int, options: Mapping[str, Any]) -> None:
    """Refuse what an import by shards cannot do.

    Args:
        processes: How many shards.
        options: Of the import.

    Raises:
        ConfigError: It is no positive number, or ``shard``, ``append`` or ``overwrite`` is given.
    """
    if type(processes) is not int or processes < 1:
        raise ConfigError(
            f"There cannot be {processes!r} processes",
            where="argument processes, --workers",
            advice="give a positive whole number",
        )
    for name in ("shard", "append", "overwrite"):
        if options.get(name):
            raise ConfigError(
                f"'{name}' does not go with several processes, which write a new lake",
                where=f"argument {name}, --{name}",
                advice="leave one of them out; remove an old lake yourself",
            )


def import_shard(
    function: Callable[..., ImportSummary],
    source: Any,
    lake: str | os.PathLike[str],
    options: Mapping[str, Any],
    shard: tuple[int, int],
) -> ImportSummary:
    """Import one shard; none, if a process that was lost has done it already.

    Args:
        function, source, lake, options: See `import_in_processes`.
        shard: Which one, of how many.

    Raises:
        DeepLakeMMDetError: As the function raises it.
    """
    try:
        return function(source, lake, **{"workers": 1, **options, "shard": shard, "progress": False})
    except ImportRefusedError as error:
        if f"Shard {shard[0]}/{shard[1]} of this lake" not in error.what:
            raise
        note = (
            f"Shard {shard[0]}/{shard[1]} was imported before its process was lost: its figures are missing"
        )
        return ImportSummary(os.fspath(lake), str(source), {}, notes=[note])


def joined(parts: Sequence[ImportSummary]) -> ImportSummary:
    """The summary of an import, of those of its shards.

    Args:
        parts: In the order of the shards.
    """
    first = max(parts, key=lambda part: len(part.class_counts))
    whole = ImportSummary(first.lake, first.source, dict.fromkeys(first.class_counts, 0))
    for part in parts:
        for name in ("images", "boxes", "empty_images", "emptied_images", "lost_with_images", "not_decoded"):
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        for mine, its in ((whole.refusals, part.refusals), (whole.changes, part.changes)):
            mine.join(its)
        for name, count in part.class_counts.items():
            whole.class_counts[name] += count
        whole.notes += [note for note in part.notes if note not in whole.notes]
    return whole
