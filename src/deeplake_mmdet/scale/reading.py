"""`read_lake`: the rows of a lake as a Ray dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplake_mmdet.lake import CredentialRef, Source, open_view
from deeplake_mmdet.scale.cluster import load_ray

__all__ = ["read_lake"]


def read_lake(
    path: str | Path,
    *,
    branch: str | None = None,
    commit: str | None = None,
    tag: str | None = None,
    view: str | None = None,
    query: str | None = None,
    classes: Any = None,
    credentials: Mapping[str, Any] | None = None,
    masks: bool = False,
    blocks: int = -1,
) -> Any:
    """Read a lake as a Ray dataset. The version is pinned now: all tasks read the same rows.

    A row holds ``row`` (its number in the lake), ``image`` (the encoded file), ``file_name``, ``image_id``
    (as text), ``width`` and ``height`` in pixels, ``boxes`` (n lists of left, top, right, bottom in pixels),
    ``labels`` (n indices into the classes), ``class_names`` (n names), ``ignored`` (n: crowds and the like)
    and, with ``masks``, ``segmentations`` (a JSON list of n COCO segmentations).

    Args:
        path: Folder or address of the lake; workers must reach it by the same one.
        branch, commit, tag, view, query: Version and rows, as for `DeepLakeDataset`.
        classes: Which classes, in this order; boxes of others are left out.
        credentials: Public options such as ``endpoint_url`` only: keys come from each worker's environment.
        masks: Whether to read masks.
        blocks: How many parts the rows are read in; -1 for Ray's choice.

    Returns:
        A ``ray.data.Dataset``.

    Raises:
        InstallError: Ray is missing or too old.
        CredentialError: ``credentials`` holds a secret, which would be written into Ray's tasks.
        DeepLakeMMDetError: The lake cannot be read.
    """
    load_ray()
    import ray.data

    from deeplake_mmdet.scale.datasource import LakeDatasource

    ref = CredentialRef(credentials)
    source = Source(str(path), branch=branch, commit=commit, tag=tag, view=view, query=query)
    opened = open_view(source, credentials=ref, classes=classes)
    datasource = LakeDatasource(
        opened.source, ref, None if classes is None else opened.classes, len(opened.table), masks
    )
    return ray.data.read_datasource(datasource, override_num_blocks=None if blocks < 1 else blocks)
