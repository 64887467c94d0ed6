"""Rows of an open view that a query selects, for those who look at it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, SourceFormatError
from deeplake_mmdet.lake.source.queries import split_source
from deeplake_mmdet.lake.source.row_order import FrozenLake, freeze
from deeplake_mmdet.lake.views import LakeView

__all__ = ["select_rows"]

_WHOLE = re.compile(r"\s*SELECT\b", re.IGNORECASE)


def select_rows(view: LakeView, query: str) -> NDArray[np.int64]:
    """The rows of a view that a query selects.

    Args:
        view: The view.
        query: TQL that begins with ``SELECT *``, or a condition alone, as behind ``WHERE``.

    Returns:
        Row numbers of the view, shape (n,), int64, in the query's order.

    Raises:
        ConfigError: The query names another lake.
        SourceFormatError: It cannot be run, or computes something, so that its rows are not simply some of
            the view's.
        StorageError, CredentialError: The storage failed, or refused access.
    """
    whole = query if _WHOLE.match(query) else f"SELECT * WHERE {query}"
    if split_source(whole)[0] is not None:
        raise ConfigError(
            "The query names a lake", where="query", advice="leave FROM out: it is run on the lake shown"
        )
    handle: Any = view.handle
    where = f"lake {view.source}"
    try:
        if isinstance(handle, FrozenLake):
            return handle.select(whole, where)
        return freeze(handle, (whole,), where)
    except SourceFormatError as error:
        raise SourceFormatError(
            error.what,
            where="query",
            advice="write a condition such as width > 500, or SELECT * WHERE ... ORDER BY ..., with column "
            "names as deeplake-mmdet inspect shows them",
        ) from None
