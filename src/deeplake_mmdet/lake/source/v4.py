"""Lakes in Deep Lake's format v4: pinning a version, and opening it again."""

from __future__ import annotations

import json
import warnings
from typing import Any

from deeplake_mmdet.errors import (
    ConfigError,
    CredentialError,
    SourceFormatError,
    SourceNotFoundError,
    StorageError,
)
from deeplake_mmdet.lake.calls.concurrency import ask_for_more_at_once
from deeplake_mmdet.lake.calls.faults import Background, is_local
from deeplake_mmdet.lake.calls.lifecycle import linger
from deeplake_mmdet.lake.calls.protocols import Branch, VersionedLake
from deeplake_mmdet.lake.calls.storage_errors import guard, no_identity
from deeplake_mmdet.lake.source.contents import contents_of, replaced
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.identities import identity_of, lacks_keys
from deeplake_mmdet.lake.source.source import ResolvedSource, Source

__all__ = ["VIEWS", "at_version", "open_head", "open_pinned", "pin"]

VIEWS = "views/"  # how the branches of saved views begin, see `saved_views`


def open_head(url: str, credentials: CredentialRef) -> VersionedLake:
    """Open the newest version of branch ``main``, read-only.

    Args:
        url: Address of the lake.
        credentials: What opens it.

    Raises:
        SourceNotFoundError, SourceFormatError, CredentialError, StorageError: As `guard`. A
            `CredentialError` names the identity that was tried.
    """
    import deeplake

    token, creds = credentials.resolve()

    def call() -> VersionedLake:
        try:
            lake: VersionedLake = deeplake.open_read_only(url, creds=creds or None, token=token)
        except RuntimeError as error:
            if "incomplete JSON" in str(error) and lacks_keys(identity_of(url, creds)):
                raise no_identity(f"lake {url}") from None
            raise
        return lake

    if is_local(url):
        return guard(f"lake {url}", call)
    ask_for_more_at_once()
    try:
        # Deep Lake's own asynchronous opening asks the network before it returns.
        lake: VersionedLake = guard(f"lake {url}", lambda: Background(call))
        return lake
    except (CredentialError, StorageError) as error:
        linger()
        who = identity_of(url, creds) if isinstance(error, CredentialError) else None
        if who is None:
            raise
        raise CredentialError(
            error.what, where=f"{error.where}, read by {who}", advice=error.advice
        ) from None


def pin(base: VersionedLake, source: Source) -> tuple[ResolvedSource, VersionedLake]:
    """Choose the version that the source asks for.

    Args:
        base: The lake as `open_head` gives it.
        source: What the user named; its query is left to the caller.

    Returns:
        The pinned source, with a saved view's query, and the lake opened at that version.

    Raises:
        SourceNotFoundError: There is no such version, branch or tag.
        SourceFormatError: The lake has no columns, as while an import to a new address is under way.
        ConfigError: Commit or branch contradict the tag.
    """
    if source.version:
        names = guard(f"lake {source.path}", lambda: (base.branches.names(), base.tags.names()))
        source = source.with_version_among(*map(list, names))
    queries: tuple[str, ...] = ()
    version, message = source.commit, ""
    name = source.tag or source.view
    if name:
        key = "tag" if source.tag else "view"
        tag = _named(base.tags, name, key, source)
        base = _branch_of(tag, base, source)
        queries, message = (str(tag.query),) if tag.query else (), str(tag.message or "")
        _check_agreement(source, key, base.current_branch.name, tag.version)
        version = tag.version or version
    elif source.branch and source.branch != base.current_branch.name:
        entry = _named(base.branches, source.branch, "branch", source)
        base = guard(f"lake {source.path}", entry.open_async)
    pinned = at_version(base, version or base.version, f"lake {source.path}", f"'commit'={version!r}")
    if not list(pinned.schema.columns):
        raise SourceFormatError(
            "This lake has no columns yet: an import to it is under way, or was interrupted",
            where=f"lake {source.path}",
            advice="wait for the import, or start it again",
        )
    branch = base.current_branch
    resolved = ResolvedSource(
        source.path,
        base.id,
        branch.id,
        pinned.version,
        queries,
        branch=branch.name,
        contents=contents_of(pinned, f"lake {source.path}"),
        view=name or "",
        view_message=message,
    )
    return resolved, pinned


def open_pinned(resolved: ResolvedSource, credentials: CredentialRef) -> VersionedLake:
    """Open the lake at the pinned version, without its queries.

    Args:
        resolved: The pinned source.
        credentials: What opens the lake.

    Raises:
        SourceNotFoundError: Another lake stands there now, or the branch or the version is gone.
        SourceFormatError, CredentialError, StorageError: As `guard`.
    """
    base = open_head(resolved.url, credentials)
    where = f"lake {resolved}"
    if base.id != resolved.dataset_id:
        raise SourceNotFoundError(
            "Another lake now stands at this path",
            where=where,
            advice="it was overwritten while in use: start again",
        )
    if resolved.branch_id != base.current_branch.id:
        base = guard(where, _entry(base, resolved.branch_id, where).open_async)
    pinned = at_version(base, resolved.version, where, f"version {resolved.version!r}")
    if resolved.contents and contents_of(pinned, where) != resolved.contents:
        raise replaced(where)
    return pinned


def at_version(base: VersionedLake, version: str, where: str, asked: str) -> VersionedLake:
    """Open a branch at one of its versions; ids of versions mean something within a branch only.

    Args:
        base: The branch, open at any version.
        version: Id of the version.
        where: The lake, for messages.
        asked: What the user asked for, for messages.

    Raises:
        SourceNotFoundError: The branch has no such version.
        CredentialError, StorageError: As `guard`.
    """
    if version == base.version:
        return base
    # Opening takes a request for each commit; a version that is not there fails at the look-up already.
    opened: VersionedLake = guard(where, lambda: base.history[version].open_async(), asked)
    return opened


def _check_agreement(source: Source, key: str, branch: str, version: str) -> None:
    # A view of ours is pinned by its branch.
    pinned = version or branch.startswith(VIEWS)
    wrong_commit = source.commit and pinned and source.commit != version
    if wrong_commit or (source.branch and source.branch != branch):
        raise ConfigError(
            f"The {key} {getattr(source, key)!r} is version {version or 'newest'!r} of branch {branch!r}, "
            "which contradicts what else was asked for",
            where=f"dataset keys {key!r}={getattr(source, key)!r}, 'commit'={source.commit!r}, "
            f"'branch'={source.branch!r}",
            advice=f"keep {key!r} alone, or commit and branch without it",
        )


def state_parts(opened: Any) -> list[dict[str, Any]]:
    """Read an opened object's own state: its branch, reader and queries, in an undocumented form.

    It holds credentials in clear text: an error of reading it is never to be chained or shown.

    Args:
        opened: Deep Lake's dataset or view.

    Returns:
        The parts: the first has ``reader`` and ``branch_id``, those of queries have ``query_string``.

    Raises:
        Exception: The state has another form.
    """
    with warnings.catch_warnings():
        # It warns of a pickle without uncommitted changes; none is made.
        warnings.simplefilter("ignore", UserWarning)
        parts = json.loads(opened.__getstate__()[0])
    return parts if isinstance(parts, list) else [parts]


def _branch_of(tag: Any, base: VersionedLake, source: Source) -> VersionedLake:
    """The branch that a tag belongs to, opened."""
    # A tag does not tell its branch, and versions of different branches share ids: only the state of what
    # it opens says it.
    where = f"lake {source.path}"
    opened = guard(where, tag.open_async)
    try:
        branch_id = state_parts(opened)[0]["branch_id"]
    except Exception:  # not chained: the state's form is not documented, and it holds credentials
        raise ConfigError(
            f"Deep Lake does not say to which branch tag {source.tag!r} belongs",
            where=f"{where}, dataset key 'tag'",
            advice="name the version and the branch instead: commit=..., branch=...",
        ) from None
    if branch_id == base.current_branch.id:
        return base
    return guard(where, _entry(base, branch_id, where).open_async)


def _entry(base: VersionedLake, branch_id: str, where: str) -> Branch:
    for name in base.branches.names():
        branch: Branch = base.branches[name]
        if branch.id == branch_id:
            return branch
    raise SourceNotFoundError(
        "The branch is no longer there", where=where, advice="deeplake-mmdet inspect lists its branches"
    )


def _named(entries: Any, name: str, what: str, source: Source) -> Any:
    names = list(entries.names())
    if name not in names:
        raise SourceNotFoundError(
            f"The lake has no {what} {name!r}",
            where=f"dataset key {what!r}, lake {source.path}",
            advice=f"it has: {', '.join(names) or 'none'}",
        )
    return entries[name]
