"""Reading a run's predictions where they lie: by TQL on its branch, and the version that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.schema.columns import describe_columns, read_metadata
from deeplake_mmdet.lake.schema.role_rules import RULES, place_of
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, resolve
from deeplake_mmdet.lake.source.row_order import freeze, run_query
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.writing.run_branch import without_queries
from deeplake_mmdet.lake.writing.run_opening import RunBranch

__all__ = [
    "base_of",
    "cells_of",
    "class_names_of",
    "names_of_files",
    "rows_of_view",
    "run_table",
    "source_of_rows",
]

_FEW, _BLOCK = 1000, 65_536  # rows


def base_of(run: RunBranch) -> ResolvedSource:
    """The version that a run's predictions were made for, without a query: row i of both is the same.

    Args:
        run: The run.

    Raises:
        SourceNotFoundError: That branch or version is gone.
        DeepLakeMMDetError: The lake cannot be opened.
    """
    source = run.source
    _, version, name = _origin(source, run.credentials)
    if not name:
        raise SourceNotFoundError(
            "The branch that the predictions were made for is gone",
            where=f"lake {source.url}, run {run.run_id}",
            advice="predict again on a branch that the lake has",
        )
    return resolve(Source(source.url, branch=name, commit=version), run.credentials)


def run_table(run: RunBranch, tql: str) -> dict[str, NDArray[Any]]:
    """Run a query on a run's branch and read its result, which is to be numbers, one for each row and column.

    Args:
        run: The run.
        tql: The query.

    Returns:
        Arrays of shape (n,) by column.

    Raises:
        SourceFormatError: The query cannot be run.
        StorageError, CredentialError: The storage failed, or refused access.
    """
    handle: Any = handle_of(run.source, run.credentials)
    found = run_query(handle, tql, f"lake {run.source}")
    names = [column.name for column in found.schema.columns]
    return {name: np.asarray(found[name][:] if len(found) else []).reshape(-1) for name in names}


def cells_of(run: RunBranch, column: str, rows: Sequence[int] | slice) -> Any:
    """Cells of a run's column.

    Args:
        run: The run.
        column: Its name.
        rows: Row numbers, at least one, or a slice.

    Returns:
        As Deep Lake gives them: a list, or an array where all are of one shape.
    """
    return handle_of(run.source, run.credentials)[column][rows]


def class_names_of(run: RunBranch) -> list[str]:
    """The names of a run's classes, in the order of its labels.

    Args:
        run: The run.
    """
    stored = handle_of(run.source, run.credentials)["pred/labels"].metadata
    return list(map(str, read_metadata(stored, ("class_names",)).get("class_names", ())))


def names_of_files(base: ResolvedSource, credentials: CredentialRef, rows: Sequence[int]) -> list[str] | None:
    """The names that the files of some rows had; None if the lake has none.

    Args:
        base: The version.
        credentials: What opens it.
        rows: Row numbers.
    """
    handle, rule = handle_of(base, credentials), RULES["file_name"]
    places = {
        name: place_of(rule, name)
        for name, facts in describe_columns(handle).items()
        if facts.kind in rule.kinds
    }
    column = min(places, key=lambda name: places[name], default=None)
    if column is None or places[column] == len(rule.names):
        return None
    wanted = np.asarray(rows, np.int64)
    if len(wanted) <= _FEW:
        return list(map(str, handle[column][wanted.tolist()])) if len(wanted) else []
    names = np.empty(len(wanted), object)  # whole blocks: single cells take longer
    for start in range(0, len(handle), _BLOCK):
        here = np.flatnonzero((wanted >= start) & (wanted < start + _BLOCK))
        if len(here):
            cells = handle[column][start : start + _BLOCK]
            names[here] = [str(cells[row - start]) for row in wanted[here].tolist()]
    return names.tolist()


def source_of_rows(base: ResolvedSource, credentials: CredentialRef, rows: Sequence[int]) -> Source:
    """A source of some rows of a pinned version, in the lake's order; for few rows.

    Args:
        base: The version.
        credentials: What opens it.
        rows: Row numbers.
    """
    numbers, columns = "base_row", describe_columns(handle_of(base, credentials))
    while numbers in columns:
        numbers += "_"
    listed = ",".join(map(str, sorted(map(int, rows))))
    # Of the forms that Deep Lake 4.7 takes, this one alone does not look at the whole list for each row.
    query = f"SELECT * FROM (SELECT *, ROW_NUMBER() AS {numbers}) WHERE {numbers} IN ({listed})"
    return Source(base.url, branch=base.branch, commit=base.version, query=query)


def rows_of_view(base: ResolvedSource, credentials: CredentialRef, view: str) -> NDArray[np.int64]:
    """The rows of a saved view, numbered as in a version that it is of.

    Args:
        base: The version.
        credentials: What opens the lake.
        view: Name of the view.

    Returns:
        Row numbers, shape (n,), in the view's order.

    Raises:
        SourceNotFoundError: The lake has no such view.
        ConfigError: It is of another version or branch, whose rows may be others.
    """
    found = resolve(Source(base.url, view=view), credentials)
    same = (base.branch_id, base.version)
    if (found.branch_id, found.version) != same and _origin(found, credentials)[:2] != same:
        raise ConfigError(
            f"The view {view!r} is of another version than the run: their row numbers need not agree",
            where=f"lake {base.url}: the run is of branch {base.branch}, version {base.version}",
            advice="name the rows by their numbers",
        )
    if found.rows is not None and not found.rerun:
        return found.rows
    whole: Any = handle_of(without_queries(found), credentials)
    return freeze(whole, found.queries, f"lake {found}") if found.queries else np.arange(len(whole))


def _origin(source: ResolvedSource, credentials: CredentialRef) -> tuple[str, str, str]:
    """Id and version of the branch that a source's branch began with, and its name, if it is still there."""
    handle: Any = handle_of(without_queries(source), credentials)
    lake = handle.raw

    def read() -> tuple[str, str, str]:
        entries = [lake.branches[name] for name in lake.branches.names()]
        begun = next((entry.base for entry in entries if entry.id == source.branch_id), None) or ("", "")
        name = next((str(entry.name) for entry in entries if entry.id == str(begun[0])), "")
        return str(begun[0]), str(begun[1]), name

    return guard(f"lake {source.url}", read)
