"""What a lake holds, for people."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.lake.opening import open_view
from deeplake_mmdet.lake.schema.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.schema.roles import Roles, assign_roles
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.views import LakeView
from deeplake_mmdet.lake.writing.run_branch import RUNS

__all__ = ["Inspection", "inspect"]

_NEWEST = 10


@dataclass(frozen=True, eq=False)
class Inspection:
    """A lake's facts.

    Attributes:
        source: Where and which version.
        rows: Number of rows.
        columns: Facts of all columns.
        versions: Id, time and message of the newest versions up to this one, newest first.
        version_count: Number of versions up to this one.
        view: The lake as a `DeepLakeDataset` would see it, or None if it cannot be trained on as it is.
        problem: Why not.
        branches: Names of the lake's branches.
        tags: Names of its tags and saved views.
        roles: Column names by role, as far as they are known.
    """

    source: ResolvedSource
    rows: int
    columns: dict[str, ColumnFacts]
    versions: tuple[tuple[str, str, str], ...]
    version_count: int
    view: LakeView | None
    problem: DeepLakeMMDetError | None
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    roles: Roles | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of the runs whose predictions the lake holds, see `write_run`."""
        return tuple(name.removeprefix(RUNS) for name in self.branches if name.startswith(RUNS))

    def class_counts(self) -> list[tuple[str, int, int]]:
        """Count boxes and images of each class.

        Returns:
            (name, number of boxes, number of images) of each class of the lake; empty without a view.
        """
        if self.view is None:
            return []
        labels, rows = self.view.table.labels, self.view.table.rows_of_boxes()
        names = self.view.lake_classes
        boxes = np.bincount(labels, minlength=len(names))
        pairs = np.unique(labels * np.int64(len(self.view.table)) + rows)
        images = np.bincount(pairs // len(self.view.table), minlength=len(names))
        return [(name, int(boxes[index]), int(images[index])) for index, name in enumerate(names)]

    def size_range(self) -> tuple[tuple[int, int], tuple[int, int], int]:
        """Sizes of the smallest and the largest image by area, and the number of images without a box.

        Returns:
            (width, height) in pixels of the smallest and of the largest, and the number. Zeros without view.
        """
        if self.view is None:
            return (0, 0), (0, 0), 0
        table = self.view.table
        areas = table.widths.astype(np.int64) * table.heights
        ends = [(int(table.widths[at]), int(table.heights[at])) for at in (areas.argmin(), areas.argmax())]
        return ends[0], ends[1], int((np.diff(table.offsets) == 0).sum())

    def turned_images(self) -> int:
        """How many images are turned by their EXIF orientation, as the lake recorded it."""
        turned = None if self.view is None else self.view.table.turned
        return 0 if turned is None else int(turned.sum())


def inspect(
    path: str,
    *,
    commit: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    query: str | None = None,
    view: str | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Any = None,
    credentials: str | Mapping[str, Any] | None = None,
) -> Inspection:
    """Open a lake and gather its facts.

    Args:
        path: Folder or address of the lake.
        commit, branch, tag, query, view: What to read of it, see `Source`.
        tensors, box_format, classes: See `open_view`.
        credentials: None, a handle, or public options, see `CredentialRef`.

    Raises:
        DeepLakeMMDetError: The lake cannot be opened. What only keeps it from being trained on is returned
            as ``problem``.
    """
    source = Source(path, commit=commit, branch=branch, tag=tag, query=query, view=view)
    ref = CredentialRef(credentials)
    resolved = resolve(source, ref)
    handle = handle_of(resolved, ref)
    seen, problem = None, None
    try:
        seen = open_view(resolved, credentials=ref, tensors=tensors, box_format=box_format, classes=classes)
    except DeepLakeMMDetError as error:
        problem = error
    listing, columns = list_versions(resolved, ref), describe_columns(handle)
    roles = None if seen is None else seen.roles
    if seen is None:
        with contextlib.suppress(DeepLakeMMDetError):
            roles = assign_roles(columns, tensors)
    return Inspection(
        resolved,
        len(handle),
        columns,
        listing.versions[: -_NEWEST - 1 : -1],
        len(listing.versions),
        seen,
        problem,
        listing.branches,
        listing.tags,
        roles,
    )
