"""Which rows of its whole version a query, a saved view or a random order gives.

Deep Lake reads a view's cells row by row and tells nothing of its files. With the row numbers known, images
are read out of the whole version, by whatever way is fastest there, and in the order of its chunks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import SourceFormatError
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.images.cell_reader import StoredCells
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, newest_credentials
from deeplake_mmdet.lake.source.queries import named_anew
from deeplake_mmdet.lake.source.row_order import rows_selected
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["find_base_rows"]

_COMPARED = 8  # rows, spread over the view


def find_base_rows(
    source: ResolvedSource, credentials: CredentialRef, column: str, others: Collection[str] = ()
) -> tuple[OpenLake, NDArray[np.int64]] | None:
    """Tell the rows of a selection (`ResolvedSource.is_selection`) by their numbers in its whole version.

    They are believed only if the view has as many rows, and some of its cells hold the bytes of those rows.

    Args:
        source: The pinned source.
        credentials: What opens the lake, unless this process has had others for it.
        column: Name of a column of encoded files, by which rows are compared.
        others: Names of further columns that have to be the lake's own, and not the query's.

    Returns:
        ``source.base``, open, and its row numbers in the source's order, shape (n,), int64. None if they
        cannot be told or do not agree.

    Raises:
        StorageError, CredentialError, SourceNotFoundError: The lake cannot be read.
    """
    ref = newest_credentials(source, credentials)
    whole = handle_of(source.base, ref)
    assert isinstance(whole, LakeHandle)
    queries = source.queries if source.rows is None else source.queries[: source.rerun]
    rows = None
    if not {column, *others} & set().union(*map(named_anew, queries)):
        with contextlib.suppress(SourceFormatError):  # it can be run, but not with one column more
            rows = rows_selected(whole.raw, queries, f"lake {source}")
    if rows is not None and source.rows is not None:
        rows = rows[source.rows] if queries else source.rows
    view = handle_of(source, ref)
    if rows is not None and len(rows) == len(view):
        probes = np.unique(np.linspace(0, max(len(view) - 1, 0), min(_COMPARED, len(view))).astype(int))
        of_view = StoredCells(lambda: view, column).get_bytes(probes.tolist())
        if of_view == StoredCells(lambda: whole, column).get_bytes(rows[probes].tolist()):
            return whole, rows
    return None
