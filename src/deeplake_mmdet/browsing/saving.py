"""Rows that were chosen on a page, saved as a view of the lake: as `mine` saves what it has ranked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from deeplake_mmdet.browsing.filters import Filters
from deeplake_mmdet.errors import ConfigError, SourceFormatError
from deeplake_mmdet.lake import LakeView, check_view_name, rows_in_base, save_view, without_queries

__all__ = ["save_rows_as_view"]

_LONGEST_TOLD = 500


def save_rows_as_view(
    view: LakeView, name: str, rows: Sequence[int] | Any, filters: Filters, *, overwrite: bool = False
) -> dict[str, Any]:
    """Save rows of a view as a view of the version that it is of.

    Args:
        view: The lake.
        name: Name of the view.
        rows: Row numbers of the lake as it is shown, shape (n,).
        filters: By which they were found; stands beside the name.
        overwrite: Replace a view of this name.

    Returns:
        ``name``, and ``rows``, how many.

    Raises:
        ConfigError: There are no rows, one is not there, or the name cannot be one.
        ImportRefusedError: The lake has a view of this name.
        SourceFormatError: The lake is in the old format, or shown by a query that computes something.
        StorageError, CredentialError: The lake cannot be written.
    """
    check_view_name(name)
    if view.source.format != "v4":
        raise SourceFormatError(
            "A lake in Deep Lake's old format (v3) takes no views",
            where=f"lake {view.source.url}",
            advice="convert it by deeplake.convert(OLD, NEW)",
        )
    count = len(view.table)
    if not all(type(row) is int for row in rows) if isinstance(rows, list) else False:
        raise ConfigError("The rows are no row numbers", where=f"view {name!r}")
    chosen = np.unique(np.asarray(rows, np.int64))
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise ConfigError(
            "There is no row to save" if not len(chosen) else f"The lake has {count} rows, from 0 on",
            where=f"view {name!r}",
            advice="choose others",
        )
    whole = rows_in_base(view.source, view.credentials)
    base = without_queries(view.source)
    told = {key: value for key, value in asdict(filters).items() if value and value != "lake"}
    if "query" in told:
        told["query"] = told["query"][:_LONGEST_TOLD]
    lineage = {
        "kind": "view",
        "by": "browse",
        "rows": len(chosen),
        "base": {"dataset_id": base.dataset_id, "branch": base.branch, "version": base.version},
        "filters": told,
        **({"run": filters.run} if filters.run else {}),
    }
    saved = chosen if whole is None else whole[chosen]
    save_view(base, view.credentials, name, saved, message=json.dumps(lineage), overwrite=overwrite)
    return {"name": name, "rows": len(chosen)}
