"""Row orders that were fixed once, and lakes read in such an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import SourceFormatError
from deeplake_mmdet.lake.calls.protocols import Future, OpenLake, RawLake
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.source.queries import is_plain_selection, is_random, selecting_all

__all__ = ["FrozenLake", "first_random", "freeze", "restrict", "rows_selected", "run_query"]

# No name that a lake would have. Deep Lake's names cannot begin with an underscore in a query.
_NUMBER = "deeplakemmdetrownumber"
# From here on one contiguous read, thinned out, is faster than single cells.
_LONG = 1000
_SPARSE = 4


def run_query(handle: RawLake, query: str, where: str) -> RawLake:
    """Run a query on an open lake.

    Args:
        handle: Open lake, or a view of one.
        query: Text in TQL.
        where: The lake, for messages.

    Returns:
        The view that it gives.

    Raises:
        SourceFormatError: The query cannot be run.
        StorageError, CredentialError: As `guard`.
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
    """Index of the first query that may give other rows when it is run again; None if none does.

    Args:
        queries: Texts in TQL.
    """
    return next((index for index, query in enumerate(queries) if is_random(query)), None)


def freeze(handle: RawLake, queries: Sequence[str], where: str) -> NDArray[np.int64]:
    """Run queries once and tell which rows of ``handle`` they select, in their order.

    Args:
        handle: Open lake, or a view of one.
        queries: Texts in TQL, each run on the result of the one before.
        where: The lake, for messages.

    Returns:
        Row numbers, shape (n,), int64.

    Raises:
        SourceFormatError: A query cannot be run, or is not of the form ``SELECT * ...``, so that its result
            is not simply some rows of the lake.
        StorageError, CredentialError: As `guard`.
    """
    return _numbers(_chain(_numbered(handle, where), queries, where), queries)


def rows_selected(handle: RawLake, queries: Sequence[str], where: str) -> NDArray[np.int64] | None:
    """Tell which rows of ``handle`` queries select, as `freeze` does, also where they choose columns.

    Args:
        handle: Open lake.
        queries: Texts in TQL, each run on the result of the one before.
        where: The lake, for messages.

    Returns:
        Row numbers, shape (n,), int64, in the order that the queries give; None for queries that do more than
        select and order rows (`selecting_all`), or if Deep Lake does not number their rows.

    Raises:
        SourceFormatError: A query cannot be run.
        StorageError, CredentialError: As `guard`.
    """
    wider = [selecting_all(query) for query in queries]
    known = [query for query in wider if query is not None]
    return _found(_chain(_numbered(handle, where), known, where)) if len(known) == len(wider) else None


def restrict(
    handle: RawLake, rows: NDArray[np.int64], queries: Sequence[str], where: str
) -> NDArray[np.int64]:
    """Run queries on some rows of ``handle`` and tell which of them they select, see `freeze`.

    Args:
        handle: Open lake, or a view of one.
        rows: Row numbers, shape (m,), int64. With queries they must ascend and not be empty.
        queries: Texts in TQL, each run on the result of the one before; none selects all rows.
        where: The lake, for messages.

    Returns:
        Row numbers of ``handle``, shape (n,), int64, in the order that the queries give.

    Raises:
        SourceFormatError: As `freeze`; or ``rows`` do not ascend or are empty.
        StorageError, CredentialError: As `guard`.
    """
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


def _found(view: RawLake) -> NDArray[np.int64] | None:
    """The numbers that a view's rows were given before; None if they are not one each."""
    names = [column.name for column in view.schema.columns]
    found = view[_NUMBER][:] if _NUMBER in names and len(view) else []
    rows = np.asarray(found if not isinstance(found, list) else [], np.int64)
    return rows if rows.shape == (len(view),) else None


def _numbers(view: RawLake, queries: Sequence[str]) -> NDArray[np.int64]:
    rows = _found(view)
    if rows is None or not all(is_plain_selection(query) for query in queries):
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

    whole_columns = True

    def __init__(self, base: OpenLake, rows: NDArray[np.int64]) -> None:
        self._base: Any = base  # Deep Lake's own, with futures, or a `LakeHandle`, without
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def places_of(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in this order rows of the lake stand; those that are not in it are left out.

        Args:
            found: Rows of ``base``, shape (m,), int64.

        Returns:
            Shape (k,), int64, in the order of ``found``; of a row that stands here twice the last place.
        """
        places = np.full(len(self._base), -1, np.int64)
        places[self._rows] = np.arange(len(self._rows))
        here = places[found]
        return here[here >= 0]

    def select(self, query: str, where: str) -> NDArray[np.int64]:
        """Run a query on the lake and tell which rows of this order it selects, in the query's order.

        Args:
            query: Text in TQL that begins with ``SELECT *``.
            where: The lake, for messages.

        Raises:
            SourceFormatError: See `freeze`.
        """
        return self.places_of(freeze(self._base, (query,), where))

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
        """Compute columns for each row by itself, as in ``SELECT SHAPE(images) AS s``.

        Args:
            query: Text in TQL; run on the lake without its fixed order.

        Returns:
            The result, in the fixed order.

        Raises:
            SourceFormatError: The query gives another number of rows than the lake has.
            RuntimeError: It cannot be run.
        """
        return self._select(self._base.query(query))

    def query_async(self, query: str) -> Pending:
        """Begin what `query` does; gives its future. See `FrozenLake.query`."""
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
        """See `OpenColumn.get_bytes`; an index counts in the fixed order."""
        return self._column.get_bytes(self._base_rows(index))

    def get_bytes_async(self, index: Any) -> Any:
        """Begin what `get_bytes` does; gives Deep Lake's future. See `OpenColumn.get_bytes`."""
        return self._column.get_bytes_async(self._base_rows(index))

    def __getitem__(self, index: Any) -> Any:
        chosen, pick = self._plan(index)
        return pick(self._column[chosen])

    def get_async(self, index: Any) -> Pending:
        """See `OpenColumn.get_async`; an index counts in the fixed order."""
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
    """Deep Lake's future of a read, with a conversion of its result."""

    def __init__(self, future: Future[Any], convert: Callable[[Any], Any]) -> None:
        self._future = future
        self._convert = convert

    def is_completed(self) -> bool:
        """Whether the read has ended."""
        return self._future.is_completed()

    def result(self) -> Any:
        """The converted result, waited for if need be; to be asked for once."""
        return self._convert(self._future.result())
