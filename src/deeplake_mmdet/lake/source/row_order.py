"""Row orders that were fixed once, and lakes read in such an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import SourceFormatError
from deeplake_mmdet.lake.calls.protocols import Future, OpenLake, RawLake
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.source.queries import is_plain_selection, is_random

__all__ = ["FrozenLake", "first_random", "freeze", "restrict", "run_query"]

# No name that a lake would have. Deep Lake's names cannot begin with an underscore in a query.
_NUMBER = "deeplakemmdetrownumber"
# From here on one contiguous read, thinned out, is faster than single cells.
_LONG = 1000
_SPARSE = 4


def run_query(handle: RawLake, query: str, where: str) -> RawLake:
    """The view that a query gives on an open lake.

    Raises:
        SourceFormatError: The query cannot be run.
    """

    def run() -> RawLake:
        try:
            return handle.query(query)
        except RuntimeError as error:
            raise SourceFormatError(
                f"The query cannot be run: {error}",
                where=f"dataset key 'query'={query!r}",
                advice="write SELECT * WHERE ..., with column names as deeplake-mmdet inspect shows them",
            ) from None

    return guard(where, run)


def first_random(queries: Sequence[str]) -> int | None:
    """Index of the first query that may give other rows when it is run again."""
    return next((index for index, query in enumerate(queries) if is_random(query)), None)


def freeze(handle: RawLake, queries: Sequence[str], where: str) -> NDArray[np.int64]:
    """Run queries once and tell which rows of ``handle`` they select, in their order.

    Returns:
        Row numbers, shape (n,), int64.

    Raises:
        SourceFormatError: A query cannot be run, or is not of the form ``SELECT * ...``, so that its result
            is not simply some rows of the lake.
    """
    return _numbers(_chain(_numbered(handle, where), queries, where), queries)


def restrict(
    handle: RawLake, rows: NDArray[np.int64], queries: Sequence[str], where: str
) -> NDArray[np.int64]:
    """Which of some rows of ``handle`` queries select; see `freeze`. Rows in their order, shape (n,)."""
    if not queries:
        return rows
    count = len(rows)
    numbered = _numbered(handle, where)
    if count and np.array_equal(rows, np.arange(count)):
        subset = run_query(numbered, f"SELECT * WHERE {_NUMBER} < {count}", where)
        return _numbers(_chain(subset, queries, where), queries)
    if not count or (np.diff(rows) <= 0).any():
        raise SourceFormatError(
            "A query cannot be applied to a saved view that is empty, repeats rows or reorders them",
            where=f"dataset key 'query'={queries[0]!r}, {where}",
            advice="use the view or the query alone",
        )
    listed = ",".join(map(str, rows.tolist()))
    subset = run_query(numbered, f"SELECT * WHERE {_NUMBER} IN ({listed})", where)
    return _numbers(_chain(subset, queries, where), queries)


def _numbered(handle: RawLake, where: str) -> RawLake:
    # ROW_NUMBER() counts the rows of the result it is selected in: it must be selected before all else.
    return run_query(handle, f"SELECT *, ROW_NUMBER() AS {_NUMBER}", where)


def _chain(handle: RawLake, queries: Sequence[str], where: str) -> RawLake:
    for query in queries:
        handle = run_query(handle, query, where)
    return handle


def _numbers(view: RawLake, queries: Sequence[str]) -> NDArray[np.int64]:
    names = [column.name for column in view.schema.columns]
    found = view[_NUMBER][:] if _NUMBER in names and len(view) else []
    rows = np.asarray(found if not isinstance(found, list) else [], np.int64)
    plain = all(is_plain_selection(query) for query in queries)
    if not plain or rows.shape != (len(view),):
        raise SourceFormatError(
            "Only queries that begin with SELECT * and compute nothing can have their row order fixed, which "
            "a random order, and a query on a v3 saved view, need",
            where=f"dataset key 'query'={', then '.join(queries)!r}",
            advice="write SELECT * [WHERE ...] [ORDER BY RANDOM()] [LIMIT ...]",
        )
    return rows


class FrozenLake:
    """Some rows of an open lake, in an order of their own; it reads like a lake.

    Args:
        base: Open lake.
        rows: Rows of ``base``, shape (n,), int64.
    """

    def __init__(self, base: OpenLake, rows: NDArray[np.int64]) -> None:
        self._base: Any = base  # Deep Lake's own, with futures, or a `LakeHandle`, without
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> FrozenColumn:
        return FrozenColumn(self._base, column, self._rows)

    @property
    def schema(self) -> Any:
        """The lake's schema."""
        return self._base.schema

    @property
    def metadata(self) -> Any:
        """The lake's metadata; None for views, which have none."""
        return getattr(self._base, "metadata", None)

    def close(self) -> None:
        """Close the lake, if it can be closed; the next read opens it again."""
        if hasattr(self._base, "close"):
            self._base.close()

    def query(self, query: str) -> FrozenLake:
        """Columns computed for each row by itself, as ``SELECT SHAPE(images) AS s``.

        Raises:
            SourceFormatError: The query gives another number of rows than the lake has.
        """
        return self._select(self._base.query(query))

    def query_async(self, query: str) -> Pending:
        """What `query` gives, as a future."""
        return Pending(self._base.query_async(query), self._select)

    def _select(self, result: Any) -> FrozenLake:
        if len(result) != len(self._base):
            raise SourceFormatError("A lake with a fixed row order cannot be queried for other rows")
        return FrozenLake(result, self._rows)


class FrozenColumn:
    """A column of a `FrozenLake`; indices are positions in its order."""

    def __init__(self, base: OpenLake, name: str, rows: NDArray[np.int64]) -> None:
        self._base = base  # Deep Lake's columns die with their lake
        self._column: Any = base[name]
        self._rows = rows

    @property
    def metadata(self) -> Any:
        """The column's metadata."""
        return self._column.metadata

    def get_bytes(self, index: Any) -> Any:
        """Encoded cells: one for a number, a list for a slice or a list of numbers."""
        return self._column.get_bytes(self._base_rows(index))

    def get_bytes_async(self, index: Any) -> Any:
        """What `get_bytes` gives, as Deep Lake's future."""
        return self._column.get_bytes_async(self._base_rows(index))

    def __getitem__(self, index: Any) -> Any:
        chosen, pick = self._plan(index)
        return pick(self._column[chosen])

    def get_async(self, index: Any) -> Pending:
        """What ``column[index]`` gives, as a future."""
        chosen, pick = self._plan(index)
        return Pending(self._column.get_async(chosen), pick)

    def _base_rows(self, index: Any) -> int | list[int]:
        chosen = self._rows[index]
        return int(chosen) if np.ndim(chosen) == 0 else chosen.tolist()

    def _plan(self, index: Any) -> tuple[Any, Callable[[Any], Any]]:
        """What to read of the base, and what to make of it."""
        rows = self._base_rows(index)
        if not isinstance(rows, list) or len(rows) < _LONG or not isinstance(index, slice):
            return rows, lambda cells: cells
        low, high = min(rows), max(rows) + 1
        if high - low > _SPARSE * len(rows):
            return rows, lambda cells: cells
        places = [row - low for row in rows]

        def pick(cells: Any) -> Any:
            return [cells[place] for place in places] if isinstance(cells, list) else cells[places]

        return slice(low, high), pick


class Pending:
    """Deep Lake's future of a read, and what is to be made of its result."""

    def __init__(self, future: Future[Any], convert: Callable[[Any], Any]) -> None:
        self._future = future
        self._convert = convert

    def is_completed(self) -> bool:
        """Whether the read has ended."""
        return self._future.is_completed()

    def result(self) -> Any:
        """The result; waited for if need be, and to be asked for once."""
        return self._convert(self._future.result())
