"""Datasets and views that the user has opened by himself, pinned as they are at that moment."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deeplake_mmdet.errors import ConfigError, CredentialError, SourceNotFoundError
from deeplake_mmdet.lake.calls.protocols import RawLake, VersionedLake
from deeplake_mmdet.lake.source import v3, v4
from deeplake_mmdet.lake.source.contents import contents_of, replaced
from deeplake_mmdet.lake.source.credentials import CredentialRef, put_away
from deeplake_mmdet.lake.source.pinning import handle_of, hold, resolve
from deeplake_mmdet.lake.source.queries import split_source
from deeplake_mmdet.lake.source.row_order import FrozenLake, first_random, run_query
from deeplake_mmdet.lake.source.source import ResolvedSource, Source, absolute_url

__all__ = ["is_opened", "source_of"]

_DATASETS = ("Dataset", "ReadOnlyDataset")
_HEAVY = ("image", "mask", "video", "medical", "mesh", "audio", "link")  # kinds that are compared by samples
_TRIED_VERSIONS = 20
_SAMPLED_ROWS = 16


@dataclass(frozen=True)
class _State:
    """Where an opened object comes from: its pickled state, without the credentials in it."""

    url: str
    branch_id: str
    queries: tuple[str, ...]
    credentials: CredentialRef
    reference: str = ""


def is_opened(value: object) -> bool:
    """Whether something is an object of Deep Lake's, as opposed to a path.

    Args:
        value: What the user gave for a lake.
    """
    return type(value).__module__.partition(".")[0] == "deeplake"


def source_of(opened: Any, credentials: CredentialRef | None = None) -> tuple[ResolvedSource, CredentialRef]:
    """Pin an opened dataset or view: its version, its rows and their order, as they are now.

    A view does not tell its version. It is rebuilt on the newest version that gives the same rows, which is
    checked on all annotations and on samples of the images. What stands in no storage (uncommitted rows, an
    order by chance that only this object has) stays bound to this process and its forks, and so does a
    ``mem://`` lake: see `ResolvedSource.is_local_process`. Do not change such data while it is in use.

    Args:
        opened: ``deeplake.Dataset``, ``ReadOnlyDataset`` or ``DatasetView``.
        credentials: Used in place of those that the object was opened with.

    Returns:
        The resolved source, and what opens it.

    Raises:
        ConfigError: It is another object, such as the slice ``ds[2:10]``.
        DeepLakeMMDetError: As `resolve`.
    """
    kind = type(opened).__name__
    if not is_opened(opened) or kind not in (*_DATASETS, "DatasetView"):
        raise ConfigError(
            f"An object of type {kind} cannot be trained on",
            where="argument ds_train or ds_val",
            advice="pass a dataset or a view from ds.query(...); for the rows 2 to 9 that is "
            "ds.query('SELECT * LIMIT 8 OFFSET 2'), not ds[2:10]",
        )
    state = _state_of(opened, credentials)
    if not state.branch_id:
        return _pin_v3(opened, state), state.credentials
    base = v4.open_head(state.url, state.credentials)
    if base.current_branch.id != state.branch_id:
        names = [name for name in base.branches.names() if base.branches[name].id == state.branch_id]
        if not names:
            return _held(opened, state, base, "its branch is no longer there"), state.credentials
        base = base.branches[names[0]].open()
    resolved = (_pin_dataset if kind in _DATASETS else _pin_view)(opened, state, base)
    return resolved.in_process(resolved.held) if resolved.is_memory else resolved, state.credentials


def _state_of(opened: Any, credentials: CredentialRef | None) -> _State:
    """Where an opened object comes from. Of changes that were not committed `_held` tells."""
    try:
        parts = v4.state_parts(opened)
        reader = parts[0].get("reader") or {}
        params = dict(reader.get("params") or {})
        branch_id = str(parts[0].get("branch_id") or "")
        texts = [part["query_string"] for part in parts if "query_string" in part]
        url = str(reader.get("url") or "")
    except Exception:
        # All errors, as the state's form is not documented, and not chained: one let through by a list of
        # names could print the state, and so the credentials.
        raise ConfigError(
            "Deep Lake does not say where this dataset comes from",
            where=f"an object of type {type(opened).__name__}",
            advice="give its path, and version and query, instead",
        ) from None
    reference = ""
    for index, text in enumerate(texts):
        named, texts[index] = split_source(text)
        if index == 0 and named:
            named, _, reference = named.partition("@")
            url = url or named
    return _State(
        absolute_url(url), branch_id, _meaningful(texts), credentials or _put_away(params), reference
    )


def _put_away(params: dict[str, Any]) -> CredentialRef:
    try:
        return CredentialRef(params)
    except CredentialError:
        token = params.pop("token", None)
        return CredentialRef(put_away({"creds": params, "token": token}))


def _meaningful(queries: list[str]) -> tuple[str, ...]:
    return tuple(query.strip() for query in queries if query.split() != ["SELECT", "*"])


def _pin_dataset(opened: Any, state: _State, base: VersionedLake) -> ResolvedSource:
    branch, where = opened.current_branch, f"lake {state.url}"
    if base.id != opened.id:
        return _held(opened, state, opened, "another lake stands at its path now")
    try:
        pinned = v4.at_version(base, opened.version, where, f"version {opened.version!r}")
    except SourceNotFoundError:
        return _held(opened, state, opened, "it has changes that are not committed")
    if not _has_same_files(opened, pinned):
        raise replaced(where)  # the files that it would read are gone
    contents = contents_of(pinned, where)
    return ResolvedSource(
        state.url, opened.id, branch.id, opened.version, branch=branch.name, contents=contents
    )


def _pin_view(opened: Any, state: _State, base: VersionedLake) -> ResolvedSource:
    if first_random(state.queries) is not None:
        return _held(opened, state, base, "its query gives another order each time it is run")
    branch, where = base.current_branch, f"lake {state.url}"
    for version, pinned in _versions(base, where):
        try:
            rebuilt: RawLake = pinned
            for query in state.queries:
                rebuilt = run_query(rebuilt, query, where)
        except ValueError:  # an older version may lack a column
            continue
        if _is_same(opened, rebuilt):
            contents = contents_of(pinned, where)
            return ResolvedSource(
                state.url,
                base.id,
                branch.id,
                version,
                state.queries,
                branch=branch.name,
                contents=contents,
            )
    return _held(opened, state, base, "no recent version of its lake has these rows")


def _versions(base: VersionedLake, where: str) -> Iterator[tuple[str, VersionedLake]]:
    yield base.version, base
    older = [str(found.id) for found in base.history if found.id != base.version]
    for version in reversed(older[-_TRIED_VERSIONS:]):
        yield version, v4.at_version(base, version, where, f"version {version!r}")


def _pin_v3(opened: Any, state: _State) -> ResolvedSource:
    queries = state.queries
    if first_random(queries) is not None:
        _check_v3(opened, state)
        return _held(opened, state, None, "its query gives another order each time it is run")
    resolved = resolve(_v3_source(state, queries[0] if queries else None), state.credentials)
    if len(queries) > 1:
        raise ConfigError(
            "A query of a query on a v3 lake cannot be pinned",
            where=f"lake {state.url}, queries {', then '.join(queries)!r}",
            advice="write one query",
        )
    if not _is_same(opened, handle_of(resolved, state.credentials)):
        _check_v3(opened, state)
        return _held(opened, state, None, "its lake has been changed since")
    return resolved


def _v3_source(state: _State, query: str | None) -> Source:
    commits = v3.read_commits(Source(state.url).path, state.credentials)
    is_branch = state.reference in commits.branches
    return Source(
        state.url,
        branch=state.reference if is_branch else None,
        commit=None if is_branch else state.reference,
        query=query,
    )


def _check_v3(opened: Any, state: _State) -> None:
    """What `open_view` checks of lakes that are not held in this process."""
    pinned, _ = v3.pin(_v3_source(state, None), state.credentials)
    names = [column.name for column in opened.schema.columns]
    v3.check_lengths(v3.tensor_lengths(pinned, names, state.credentials), f"lake {pinned}")


def _held(opened: Any, state: _State, base: VersionedLake | None, why: str) -> ResolvedSource:
    """Bind the object itself to this process, at its present number of rows."""
    logging.getLogger(__name__).warning(
        "%s: the opened %s is used in this process only, as %s; several processes cannot train on it.",
        state.url,
        type(opened).__name__,
        why,
    )
    branch = getattr(base, "current_branch", None)
    resolved = ResolvedSource(
        state.url,
        getattr(base, "id", ""),
        state.branch_id,
        str(getattr(opened, "version", "unknown")),
        state.queries,
        branch=getattr(branch, "name", "unknown"),
    )
    # A writable dataset, and a view of one, grow with it: the rows are fixed.
    held = hold(FrozenLake(opened, np.arange(len(opened))))
    # The queries have been run already.
    return replace(resolved.in_process(held), rows=np.arange(len(opened)), rerun=0)


def _has_same_files(opened: Any, pinned: Any) -> bool:
    """Whether two openings of a version list the same data files, whose names are drawn at random."""
    return len(opened) == len(pinned) and _files_of(opened) == _files_of(pinned)


def _files_of(lake: Any) -> list[tuple[str, list[str]]]:
    # Not of all files, as Deep Lake may list some that nothing refers to any more.
    told = getattr(lake, "_datafiles_report", {})
    return sorted(
        (str(name), sorted(str(file.filename) for file in (*files.insert_datafiles, *files.update_datafiles)))
        for name, files in told.items()
    )


def _is_same(opened: Any, rebuilt: Any) -> bool:
    """Whether two views have the same rows: all annotations, and samples of what is large."""
    columns = list(opened.schema.columns)
    if len(opened) != len(rebuilt) or [column.name for column in columns] != [
        column.name for column in rebuilt.schema.columns
    ]:
        return False
    sampled = (
        np.unique(np.linspace(0, len(opened) - 1, _SAMPLED_ROWS).astype(int)).tolist() if len(opened) else []
    )
    for column in columns:
        name, kind = column.name, str(column.dtype).lower()
        heavy = any(word in kind for word in _HEAVY)
        if not heavy and not _equal(opened[name][:], rebuilt[name][:]):
            return False
        if heavy and not all(_equal(opened[name][[row]], rebuilt[name][[row]]) for row in sampled):
            return False
    return True


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, (list, tuple)) or isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(_equal, first, second))
    a, b = np.asarray(first), np.asarray(second)
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        return np.array_equal(a, b, equal_nan=True)
    return np.array_equal(a, b)
