"""Views of lakes written down, so that another process opens them again as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import CredentialRef, LakeView, find_view, open_view, recorded_source

__all__ = ["open_recorded", "record_of"]

_FALSE_CHOOSES = ("exif_turned",)  # switching this role off says something else


def record_of(view: LakeView) -> dict[str, Any]:
    """What opens a view again, without secrets: plain JSON values, but for ``row_order``.

    Args:
        view: The view.

    Returns:
        ``url``, ``version``, ``queries`` and the rest of ``ResolvedSource.facts``; ``branch``; ``view`` (name
        of a saved view or tag); ``rows`` (their number), ``view_key``, ``tensors`` (column by role),
        ``box_format``, ``classes``, ``numbers`` (their stored labels, where these are not 0, 1, ...),
        ``apply_exif``, ``credentials`` (public options or None); and ``row_order``, int64 row numbers of
        shape (n,) where queries alone would not give the rows again, else None.
    """
    source, settings = view.source, view.credentials.settings
    roles = {
        role: name or False for role, name in asdict(view.roles).items() if name or role not in _FALSE_CHOOSES
    }
    return {
        **source.facts(),
        "branch": source.branch,
        "view": source.view,
        "rows": len(view.table),
        "rerun": source.rerun,
        "view_key": view.key,
        "tensors": roles,
        "box_format": str(view.table.box_format),
        "classes": list(view.classes),
        "numbers": list(view.numbers) if view.numbers and view.classes == view.lake_classes else None,
        "apply_exif": view.apply_exif,
        "credentials": dict(settings) if isinstance(settings, Mapping) else None,
        "row_order": source.rows,
    }


def open_recorded(record: Mapping[str, Any], credentials: CredentialRef | None = None) -> LakeView:
    """Open a view again, or find it where this process has it open.

    Args:
        record: From `record_of`.
        credentials: What opens the lake; None for the recorded public options and the environment.

    Raises:
        SourceFormatError: The record is not whole, or the lake has other rows than it had.
        SourceNotFoundError: The data were in another process's memory.
        DeepLakeMMDetError: The lake cannot be opened.
    """
    try:
        return find_view(str(record.get("view_key")))
    except SourceNotFoundError:
        pass
    url = str(record.get("url"))
    if record.get("held") or url.startswith("mem://"):
        raise SourceNotFoundError(
            "The data were an opened dataset, or in the memory, of another process", where=f"lake {url}"
        )
    source = recorded_source(record)
    try:
        source = replace(
            source, queries=tuple(map(str, record["queries"])), view=str(record.get("view") or "")
        )
        if record.get("row_order") is not None:
            source = source.with_rows(np.asarray(record["row_order"], np.int64), int(record["rerun"]))
        names, numbers = list(map(str, record["classes"])), record["numbers"]
        options: dict[str, Any] = {
            "tensors": dict(record["tensors"]),
            "box_format": str(record["box_format"]),
            "classes": names if numbers is None else dict(zip(map(int, numbers), names, strict=True)),
            "apply_exif": record["apply_exif"],
        }
        count, public = int(record["rows"]), record["credentials"]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(
            f"What was recorded of a lake cannot be used: {type(error).__name__}: {error}",
            where=f"lake {url}",
        ) from None
    ref = credentials or CredentialRef(public)
    view = open_view(source, credentials=ref, allow_bad_images=True, **options)
    if len(view.table) != count:
        raise SourceFormatError(
            f"The lake gives {len(view.table)} rows, and gave {count} when it was recorded",
            where=f"lake {view.source}",
        )
    return view
