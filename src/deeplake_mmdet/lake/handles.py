"""Opening lakes: pinning a source once, and one handle per process for each pinned source.

A handle is never pickled (its pickle would drop the version and carry secrets): other processes get the
`ResolvedSource` and open their own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError, StorageError
from deeplake_mmdet.lake.credentials import CredentialRef
from deeplake_mmdet.lake.source import ResolvedSource, Source

__all__ = ["handle_of", "resolve"]

# Keyed by process too: a forked child must not use its parent's handle.
_handles: dict[tuple[int, str], Any] = {}


def resolve(source: Source, credentials: CredentialRef | None = None) -> ResolvedSource:
    """Open a lake read-only and pin its version.

    Raises:
        SourceNotFoundError: Nothing is there, or not that version, branch or tag.
        SourceFormatError: It is not a Deep Lake v4 lake, or the query cannot be run.
        ConfigError: A query stands beside a tag that is a saved view.
        StorageError: The storage refused or failed.
    """
    ref = credentials or CredentialRef()
    base = _open(source.path, ref)
    branch, version, query = base.current_branch.name, base.version, source.query
    if source.tag:
        base, version, view_query = _tagged(base, source)
        branch = base.current_branch.name
        query = view_query or query
    if source.branch and source.branch != branch:
        branch_entry = _named(base.branches, source.branch, "branch", source)
        base = _guard(source, branch_entry.open)
        branch, version = source.branch, base.version
    if source.commit:
        version = source.commit
        if version != base.version:
            _guard(source, lambda: base.history[version])
    resolved = ResolvedSource(source.path, base.id, branch, version, query)
    _handles[os.getpid(), resolved.key] = _rows(base, resolved, source)
    return resolved


def handle_of(resolved: ResolvedSource, credentials: CredentialRef | None = None) -> Any:
    """This process's open handle of a pinned source; opened at the first call in each process.

    The handle is read-only: a dataset at the pinned version, or the view that the query gives on it.
    """
    key = (os.getpid(), resolved.key)
    if key not in _handles:
        source = Source(resolved.url)
        base = _open(resolved.url, credentials or CredentialRef())
        if resolved.branch != base.current_branch.name:
            base = _guard(source, lambda: base.branches[resolved.branch].open())
        if base.id != resolved.dataset_id:
            raise SourceNotFoundError(
                "Another lake now stands at this path",
                where=str(resolved),
                advice="it was overwritten while in use: start again",
            )
        _handles[key] = _rows(base, resolved, source)
    return _handles[key]


def _tagged(base: Any, source: Source) -> tuple[Any, str, str | None]:
    """The branch that a tag belongs to, opened; the tag's version on it; and its query, if it is a view."""
    tag = _named(base.tags, str(source.tag), "tag", source)
    if tag.query and source.query:
        raise ConfigError(
            f"Tag {source.tag!r} is a saved view with a query of its own",
            where=f"dataset keys 'tag' and 'query', lake {source.path}",
            advice=f"keep one of them; the view's query is {tag.query!r}",
        )
    # A tag does not tell its branch, and versions of different branches share ids: only the state of what
    # it opens says it.
    state = json.loads(_guard(source, tag.open).__getstate__()[0])
    branch_id = (state[0] if isinstance(state, list) else state)["branch_id"]
    if branch_id != base.current_branch.id:
        entries = [base.branches[name] for name in base.branches.names()]
        base = _guard(source, next(entry.open for entry in entries if entry.id == branch_id))
    return base, tag.version or base.version, tag.query or None


def _rows(base: Any, resolved: ResolvedSource, source: Source) -> Any:
    pinned = base
    if resolved.version != base.version:
        pinned = _guard(source, lambda: base.history[resolved.version].open())
    if resolved.query is None:
        return pinned
    query = resolved.query

    def run() -> Any:
        try:
            return pinned.query(query)
        except RuntimeError as error:
            raise SourceFormatError(
                f"The query cannot be run: {error}",
                where=f"dataset key 'query'={query!r}",
                advice="write SELECT * WHERE ..., with column names as deeplake-mmdet inspect shows them",
            ) from None

    return _guard(source, run)


def _named(entries: Any, name: str, what: str, source: Source) -> Any:
    names = list(entries.names())
    if name not in names:
        raise SourceNotFoundError(
            f"The lake has no {what} {name!r}",
            where=f"dataset key {what!r}, lake {source.path}",
            advice=f"it has: {', '.join(names) or 'none'}",
        )
    return entries[name]


def _open(url: str, credentials: CredentialRef) -> Any:
    import deeplake

    _check_local(url)
    token, creds = credentials.resolve()
    source = Source(url)
    return _guard(source, lambda: deeplake.open_read_only(url, creds=creds or None, token=token))


def _check_local(url: str) -> None:
    if "://" in url:
        return
    path = Path(url)
    where = f"dataset key 'path'={url!r}"
    if not path.exists():
        raise SourceNotFoundError(
            "There is nothing at this path",
            where=where,
            advice="check the path, or make a lake with deeplake-mmdet import",
        )
    if (path / "dataset_meta.json").exists():
        raise SourceFormatError(
            "This lake is in Deep Lake's older format (v3)",
            where=where,
            advice="convert it once: python -c \"import deeplake; deeplake.convert('OLD', 'NEW')\"",
        )
    if not path.is_dir() or not any(path.iterdir()):
        raise SourceFormatError(
            "This is not a Deep Lake dataset",
            where=where,
            advice="name the lake's folder, or make a lake with deeplake-mmdet import",
        )


def _guard(source: Source, call: Any) -> Any:
    """Run one Deep Lake call and turn its errors, which share no base class, into ours."""
    try:
        return call()
    except Exception as error:
        kind = type(error).__name__
        # Not chained: Deep Lake's own text may hold the address with its credentials.
        where = f"lake {source.path}"
        if kind == "LogNotexistsError":
            raise SourceFormatError(
                "This is not a Deep Lake dataset, or an older one (v3)",
                where=where,
                advice="check the path; a v3 lake is converted once with deeplake.convert(OLD, NEW)",
            ) from None
        if kind in ("VersionNotFoundError", "BranchNotFoundError", "TagNotFoundError"):
            raise SourceNotFoundError(
                f"The lake has no such version ({source.commit or source.branch or source.tag})",
                where=f"dataset key 'commit', {where}",
                advice="deeplake-mmdet inspect lists its versions",
            ) from None
        if kind == "KeyError":
            raise SourceNotFoundError(
                "The bucket or the object does not exist", where=where, advice="check the address"
            ) from None
        if kind == "StorageAccessDenied":
            raise StorageError(
                "The storage refused access",
                where=where,
                advice="set ACTIVELOOP_TOKEN or the AWS variables; check that they may read this lake",
            ) from None
        if kind.startswith("Storage") or kind == "HTTPRequestFailedError":
            raise StorageError(
                f"The storage did not answer properly ({kind})",
                where=where,
                advice="check the address, the endpoint_url and the network",
            ) from None
        if isinstance(error, RuntimeError) and "schema" in str(error):
            raise SourceFormatError(
                "Deep Lake knows no storage with this scheme",
                where=where,
                advice="use a folder, mem://, s3://, gs://, azure:// or al://",
            ) from None
        raise
