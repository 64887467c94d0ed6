"""Lakes opened to be looked at: with truth where that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.browsing.lake_gallery import LakeGallery
from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ColumnError
from deeplake_mmdet.lake import CredentialRef, ResolvedSource, Source, base_of, open_run, open_view

__all__ = ["open_lake_gallery"]


def open_lake_gallery(
    path: str,
    *,
    run: str | None = None,
    credentials: str | Mapping[str, Any] | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Any = None,
    **version: str | None,
) -> LakeGallery:
    """Open a lake for a page; without boxes, and with a note that says why, where these cannot be read.

    Args:
        path: Folder or address of the lake.
        run: Id of a run that is shown at first.
        credentials: None, a handle, or public options, see `CredentialRef`.
        tensors, box_format, classes: As of `open_view`.
        version: ``commit``, ``branch``, ``tag``, ``view`` and ``query``.

    Raises:
        SourceNotFoundError: There is no lake, or not that version or run.
        DeepLakeMMDetError: The lake cannot be read.
    """
    ref = CredentialRef(credentials)
    source: Source | ResolvedSource = Source(path, **version)
    if run is not None:
        found = open_run(path, run, ref)
        run = found.run_id
        if not any(version.values()):
            source = base_of(found)
    options: dict[str, Any] = {"credentials": ref, "allow_bad_images": True}
    try:
        view = open_view(source, tensors=tensors, box_format=box_format, classes=classes, **options)
        note = ""
    except (AnnotationError, BoxFormatError, ColumnError) as error:
        alone = {**(tensors or {}), "gt_bboxes": False, "gt_labels": False, "gt_masks": False}
        try:
            view = open_view(source, tensors=alone, classes=("object",), **options)
        except (AnnotationError, BoxFormatError, ColumnError):
            raise error from None
        note = f"No boxes are shown: {error}"
    return LakeGallery(view, note=note, run=run or "")
