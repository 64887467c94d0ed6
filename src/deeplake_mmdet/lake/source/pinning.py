"""Pinning a source once, and one open handle per process for each pinned source.

A handle is never pickled (its pickle would drop the version and carry secrets): other processes get the
`ResolvedSource` and open their own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.calls.faults import is_local, is_on_disk
from deeplake_mmdet.lake.calls.handle import LakeHandle
from deeplake_mmdet.lake.calls.protocols import RawLake
from deeplake_mmdet.lake.calls.storage_errors import guard, sound
from deeplake_mmdet.lake.images.regular_files import read_regular
from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.source import v3, v4
from deeplake_mmdet.lake.source.carried import SCHEME, carried
from deeplake_mmdet.lake.source.contents import witness_of
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.row_order import FrozenLake, first_random, freeze, restrict, run_query
from deeplake_mmdet.lake.source.source import ResolvedSource, Source

__all__ = [
    "Listing",
    "forget",
    "handle_of",
    "hold",
    "lake_metadata",
    "list_versions",
    "newest_credentials",
    "renew",
    "resolve",
]

_HEAD = 16  # bytes of a file, which name the version of its format

# Keyed by process too: a forked child must not use its parent's handle.
_handles: dict[tuple[int, str], LakeHandle | FrozenLake] = {}
# The newest of each pinned version: what opens its lake anew, for whichever of its views, uses them.
_credentials: dict[str, CredentialRef] = {}
# Opened objects that stand in no storage; forked children inherit them.
_held: dict[str, RawLake] = {}


@dataclass(frozen=True)
class Listing:
    """What a lake's history holds.

    Attributes:
        versions: Id, time and message, oldest first, up to the pinned one.
        branches: Names of branches.
        tags: Names of tags and saved views.
    """

    versions: tuple[tuple[str, str, str], ...] = ()
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def resolve(source: Source, credentials: CredentialRef | None = None) -> ResolvedSource:
    """Open a lake read-only and pin its version and row order.

    Args:
        source: What the user asked for.
        credentials: What opens the lake; None for those of the environment.

    Raises:
        SourceNotFoundError: Nothing is there, or not that version, branch, tag or view.
        SourceFormatError: It is no lake, or the query cannot be run or its row order not be fixed.
        ConfigError: Commit, branch, tag and view contradict each other.
        CredentialError: The storage refused access.
        StorageError: The storage failed.
    """
    if source.path.startswith(SCHEME):
        return carried(source.path)
    ref = credentials or CredentialRef()
    resolved, base = _pin(source, ref)
    if source.view and not resolved.view:
        resolved = replace(resolved, view=source.view)
    if source.query:
        resolved = replace(resolved, queries=(*resolved.queries, source.query))
    resolved = _fix_order(resolved, base, source.query)
    if resolved.is_memory:
        resolved = resolved.in_process()
    _credentials[resolved.base.key] = ref
    for each in (resolved.base, resolved) if resolved.is_selection else (resolved,):
        _handles[os.getpid(), each.key] = _readable(base, each)
    return resolved


def handle_of(resolved: ResolvedSource, credentials: CredentialRef | None = None) -> LakeHandle | FrozenLake:
    """This process's open handle of a pinned source; opened at the first call in each process.

    Args:
        resolved: The pinned source.
        credentials: Used unless this process has had others for it, see `renew`.

    Returns:
        What reads like a lake and is read-only, with deadlines and retries: a `LakeHandle` of the dataset at
        the pinned version or of the view that the queries give on it, or a `FrozenLake` over one.

    Raises:
        SourceNotFoundError: Another lake stands there now.
        DeepLakeMMDetError: As `resolve`.
    """
    key = (os.getpid(), resolved.key)
    if key not in _handles:
        ref = newest_credentials(resolved, credentials)
        _handles[key] = _readable(_base(resolved, ref), resolved)
    return _handles[key]


def renew(resolved: ResolvedSource, credentials: CredentialRef) -> None:
    """Use newer credentials for a pinned source, from the next read on and wherever this process reads it.

    Args:
        resolved: The pinned source.
        credentials: The newer ones.
    """
    if _credentials.get(resolved.base.key) != credentials:
        _credentials[resolved.base.key] = credentials
        forget(resolved)


def newest_credentials(resolved: ResolvedSource, first: CredentialRef | None = None) -> CredentialRef:
    """The credentials that this process uses for a pinned source.

    Args:
        resolved: The pinned source.
        first: What to use and remember if this process has had none for it yet; None for the environment's.
    """
    return _credentials.setdefault(resolved.base.key, first or CredentialRef())


def forget(resolved: ResolvedSource) -> None:
    """Close this process's handle of a pinned source, if there is one; `handle_of` opens it again.

    Args:
        resolved: The pinned source. Its whole version is closed as well.
    """
    for key in {resolved.key, resolved.base.key}:
        handle = _handles.pop((os.getpid(), key), None)
        if handle is not None:
            handle.close()


def hold(opened: RawLake) -> str:
    """Keep an opened dataset or view in this process's memory.

    Args:
        opened: Deep Lake's object.

    Returns:
        Its id, for ``ResolvedSource.held``.
    """
    held = secrets.token_hex(8)
    _held[held] = opened
    return held


def lake_metadata(resolved: ResolvedSource, key: str, credentials: CredentialRef | None = None) -> Any:
    """Read an entry of the metadata of a whole lake, as opposed to its columns.

    Args:
        resolved: The pinned lake.
        key: The entry's key.
        credentials: What opens the lake, unless this process has had others for it.

    Returns:
        The entry as a plain JSON value; None if there is none.

    Raises:
        DeepLakeMMDetError: As `resolve`.
    """
    ref = newest_credentials(resolved, credentials)
    if resolved.format == "v3":
        with sound(f"lake {resolved}"):
            return v3.read_info(resolved, ref).get(key)
    stored = getattr(_base(resolved, ref), "metadata", None)  # views have none
    return None if stored is None else read_metadata(stored, (key,)).get(key)


def list_versions(resolved: ResolvedSource, credentials: CredentialRef | None = None) -> Listing:
    """The history of a pinned lake.

    Args:
        resolved: The pinned lake.
        credentials: What opens the lake; None for those of the environment.

    Raises:
        DeepLakeMMDetError: As `resolve`.
    """
    ref = credentials or CredentialRef()
    if resolved.format == "v3":
        with sound(f"lake {resolved}"):
            commits = v3.read_commits(resolved.url, ref)
            versions = [
                (commit, _time_of(commits.nodes[commit]), commits.nodes[commit]["commit_message"] or "")
                for commit in reversed(commits.line(resolved.version))
            ]
        return Listing(tuple(versions), tuple(commits.branches), tuple(v3.saved_views(resolved.url, ref)))
    base: Any = _base(resolved, ref)
    if not hasattr(base, "history"):  # a held view
        return Listing()

    def read() -> Listing:
        versions = tuple(
            (str(found.id), str(found.timestamp), str(found.message or "")) for found in base.history
        )
        return Listing(versions, tuple(base.branches.names()), tuple(base.tags.names()))

    return guard(f"lake {resolved}", read)


def _time_of(commit: Mapping[str, Any]) -> str:
    seconds = commit["commit_time"]
    return (
        "" if seconds is None else f"{datetime.fromtimestamp(float(seconds), timezone.utc):%Y-%m-%d %H:%M:%S}"
    )


def _pin(source: Source, ref: CredentialRef) -> tuple[ResolvedSource, RawLake]:
    if _is_v3_folder(source.path):
        with sound(f"lake {source.path}"):
            return v3.pin(source, ref)
    try:
        return v4.pin(v4.open_head(source.path, ref), source)
    except SourceFormatError:
        if "://" in source.path and not source.path.startswith("mem://") and v3.is_v3(source.path, ref):
            with sound(f"lake {source.path}"):
                return v3.pin(source, ref)
        raise


def _fix_order(resolved: ResolvedSource, base: RawLake, query: str | None) -> ResolvedSource:
    where = f"lake {resolved}"
    if resolved.rows is not None:
        return resolved.with_rows(restrict(base, resolved.rows, (query,), where)) if query else resolved
    first = first_random(resolved.queries)
    if first is None:
        return resolved
    for done in resolved.queries[:first]:
        base = run_query(base, done, where)
    return resolved.with_rows(freeze(base, resolved.queries[first:], where), rerun=first)


def _base(resolved: ResolvedSource, ref: CredentialRef) -> RawLake:
    if not resolved.held:
        with sound(f"lake {resolved}"):
            return v3.open_pinned(resolved, ref) if resolved.format == "v3" else v4.open_pinned(resolved, ref)
    if resolved.held not in _held:
        raise SourceNotFoundError(
            "The opened dataset is not in this process",
            where=f"lake {resolved}",
            advice="commit it and give its path, or train in one process",
        )
    return _held[resolved.held]


def _readable(base: RawLake, resolved: ResolvedSource) -> LakeHandle | FrozenLake:
    _check_files(base, resolved)
    handle = LakeHandle(
        lambda: _queried(_base(resolved, newest_credentials(resolved)), resolved),
        f"lake {resolved}",
        local=is_local(resolved.url),
        raw=_queried(base, resolved),
        folder=_folder_of(resolved),
        witness=_witness_of(resolved),
        whole_columns=resolved.selects and resolved.format == "v4",
    )
    return handle if resolved.rows is None else FrozenLake(handle, resolved.rows)


def _check_files(base: RawLake, resolved: ResolvedSource) -> None:
    """Refuse a lake in a folder whose files are not as long as it says: Deep Lake crashes over some.

    Raises:
        SourceFormatError: One is not.
    """
    if resolved.held or not is_on_disk(resolved.url):
        return
    folder = resolved.url.removeprefix("file://")
    for name, size in getattr(base, "_datafiles", ()):
        # Without a name: rows that are older than their column, of which there is no file.
        if name and (state := _state_of(Path(folder, name), size)) is not None:
            raise SourceFormatError(
                f"The lake is damaged: its file {name} {state}",
                where=f"lake {resolved}",
                advice="copy it again, or restore it from a backup",
            )


def _state_of(path: Path, size: int) -> str | None:
    try:
        head = read_regular(path, _HEAD)
        found = path.stat().st_size
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found != size:
        return f"has {found} of its {size} bytes"
    return "holds zeros, as after a power cut" if head and not any(head) else None


def _folder_of(resolved: ResolvedSource) -> Path | None:
    """The local folder whose files hold exactly a source's rows, in its order; None if there is none."""
    plain = resolved.is_plain and is_on_disk(resolved.url)
    return Path(resolved.url.removeprefix("file://")) if plain else None


def _witness_of(resolved: ResolvedSource) -> Path | None:
    if resolved.held or not is_on_disk(resolved.url):
        return None
    return witness_of(Path(resolved.url.removeprefix("file://")), resolved.branch_id, resolved.version)


def _queried(base: RawLake, resolved: ResolvedSource) -> RawLake:
    frozen = resolved.rows is not None
    for query in resolved.queries[: resolved.rerun] if frozen else resolved.queries:
        base = run_query(base, query, f"lake {resolved}")
    return base


def _is_v3_folder(url: str) -> bool:
    """Whether a local folder is a v3 lake; refuses what is no lake at all."""
    if "://" in url:
        return False
    path = Path(url)
    where = f"dataset key 'path'={url!r}"
    if not path.exists():
        raise SourceNotFoundError(
            "There is nothing at this path",
            where=where,
            advice="check the path, or make a lake with deeplake-mmdet import",
        )
    if (path / "dataset_meta.json").exists():
        return True
    if not path.is_dir() or not any(path.iterdir()):
        raise SourceFormatError(
            "This is not a Deep Lake dataset",
            where=where,
            advice="name the lake's folder, or make a lake with deeplake-mmdet import",
        )
    return False
