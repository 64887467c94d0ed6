"""`import_on_ray`: an import's shards as tasks of a Ray cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from deeplake_mmdet.lake import CredentialRef, merge
from deeplake_mmdet.scale.cluster import connected, run_tasks
from deeplake_mmdet.transfer import ImportSummary
from deeplake_mmdet.transfer.sharding.processes import check_sharded, import_shard, joined

__all__ = ["import_on_ray"]


def import_on_ray(
    function: Callable[..., ImportSummary],
    source: Any,
    lake: str | os.PathLike[str],
    *,
    processes: int | None = None,
    progress: bool = True,
    **options: Any,
) -> ImportSummary:
    """Import into a new lake by shards on a Ray cluster: that of ``RAY_ADDRESS``, or a local one.

    Source and lake must be reachable from all its machines, by the same path or address. A shard whose worker
    is lost is imported again.

    Args:
        function: `import_coco`, `import_voc` or `import_yolo`.
        source: Its first argument.
        lake: Folder or address of the new lake.
        processes: How many shards; None for one for each CPU of the cluster.
        progress: Whether to draw a progress bar on stderr.
        options: The function's others.

    Returns:
        What all shards imported, refused and changed.

    Raises:
        CredentialError: ``creds`` holds a secret, which would be written into Ray's tasks.
        InstallError, ProcessError: Ray is missing, or its cluster or workers fail.
        DeepLakeMMDetError: As the function raises it.
    """
    CredentialRef(options.get("creds"))  # refuses secrets
    begun = time.monotonic()
    with connected() as ray:
        count = int(ray.cluster_resources().get("CPU", 1)) if processes is None else processes
        check_sharded(count, options)
        given = {
            "function": function,
            "source": os.fspath(source),
            "lake": os.fspath(lake),
            "options": options,
        }
        parts = run_tasks(
            ray,
            import_shard,
            [{**given, "shard": (number, count)} for number in range(count)],
            what="Importing",
            progress=progress,
        )
    done = merge(os.fspath(lake), creds=options.get("creds"))
    whole = joined(parts)
    whole.notes += done.notes
    whole.seconds = time.monotonic() - begun
    return whole
