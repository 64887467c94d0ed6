"""Lakes in Deep Lake's older format v3: pinning a commit, and opening it again.

Deep Lake 4 reads them through a query only and says nothing of their versions: those stand in JSON files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.calls.concurrency import ask_for_more_at_once
from deeplake_mmdet.lake.calls.faults import is_local
from deeplake_mmdet.lake.calls.protocols import RawLake
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.source.contents import replaced
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.queries import UNQUOTABLE
from deeplake_mmdet.lake.source.source import ResolvedSource, Source, is_same_contents, short_hash
from deeplake_mmdet.lake.source.v3_contents import ALL, contents_of
from deeplake_mmdet.lake.source.v3_files import FIRST, fetch, folder_of, read_json, tensors_of

__all__ = [
    "Commits",
    "check_lengths",
    "is_v3",
    "open_pinned",
    "pin",
    "read_commits",
    "read_info",
    "saved_views",
    "tensor_lengths",
]

_VERSIONS = "version_control_info.json"
_VIEW_ROWS = "VDS_INDEX"  # the only column of a saved view that was not copied
_warned: set[str] = set()


@dataclass(frozen=True)
class Commits:
    """The commits of a v3 lake by id, and the newest of each branch by name."""

    nodes: dict[str, dict[str, Any]]
    branches: dict[str, str]

    def line(self, commit: str) -> list[str]:
        """A commit and those before it, newest first.

        Args:
            commit: The commit's id.
        """
        found = [commit]
        while parent := self.nodes[found[-1]]["parent"]:
            found.append(parent)
        return found

    def is_open(self, commit: str) -> bool:
        """Whether a commit is the head of a branch, to which rows are still being added.

        Args:
            commit: The commit's id.
        """
        return self.nodes[commit]["commit_time"] is None

    def identity(self, commit: str) -> str:
        """An id of the lake: a hash of the commits before a given one, which never change again.

        Args:
            commit: The commit's id.
        """
        before = self.line(commit)[1:]
        return short_hash(
            [[name, self.nodes[name]["commit_time"], self.nodes[name]["commit_message"]] for name in before]
        )


def is_v3(url: str, credentials: CredentialRef) -> bool:
    """Whether a v3 lake stands at an address.

    Args:
        url, credentials: Address of the lake, and what opens it.

    Raises:
        DeepLakeMMDetError: As `read_json`.
    """
    return read_json(url, "dataset_meta.json", credentials) is not None


def read_commits(url: str, credentials: CredentialRef) -> Commits:
    """Read the lake's commits. A lake without a record of them has one, still open.

    Args:
        url, credentials: Address of the lake, and what opens it.

    Raises:
        DeepLakeMMDetError: As `read_json`.
    """
    found = read_json(url, _VERSIONS, credentials)
    if found is None:
        node = {"branch": "main", "parent": None, "commit_time": None, "commit_message": None}
        return Commits({FIRST: node}, {"main": FIRST})
    return Commits(found["commits"], found["branches"])


def saved_views(url: str, credentials: CredentialRef) -> dict[str, dict[str, Any]]:
    """Read the lake's records of its saved views.

    Args:
        url, credentials: Address of the lake, and what opens it.

    Returns:
        The records by the views' ids, as Deep Lake 3 wrote them.
    """
    return {entry["id"]: entry for entry in read_json(url, "queries.json", credentials) or []}


def pin(source: Source, credentials: CredentialRef) -> tuple[ResolvedSource, RawLake]:
    """Choose the commit that the source asks for.

    Args:
        source: What the user asked for.
        credentials: What opens the lake.

    Returns:
        The pinned source, with the rows of a saved view, and the lake opened at that commit.

    Raises:
        SourceNotFoundError: There is no such commit, branch or saved view.
        ConfigError: Commit and branch contradict each other or the saved view; a tag is asked for.
    """
    if source.tag:
        raise ConfigError(
            "This lake is in Deep Lake's older format (v3), which has no tags",
            where=f"dataset key 'tag'={source.tag!r}, lake {source.path}",
            advice="use view=, branch= or commit=",
        )
    commits = read_commits(source.path, credentials)
    source = source.with_version_among(commits.branches)
    if source.view:
        return _pin_view(source, commits, credentials)
    commit = _chosen(source, commits)
    branch = source.branch or commits.nodes[commit]["branch"]
    if source.commit is None and commits.is_open(commit):
        parent = commits.nodes[commit]["parent"]
        if parent and not _is_changed(source.path, commit, credentials):
            commit = parent
    resolved = ResolvedSource(
        source.path, commits.identity(commit), branch, commit, format="v3", branch=branch
    )
    handle = open_pinned(resolved, credentials)
    resolved = _with_contents(resolved, commits, credentials, len(handle))
    if commits.is_open(commit):
        _warn_open(resolved)
        resolved = resolved.with_rows(np.arange(len(handle)))
    return resolved, handle


def _with_contents(
    resolved: ResolvedSource, commits: Commits, credentials: CredentialRef, rows: int | str
) -> ResolvedSource:
    """The source with its ``contents``; at an open commit these count the first rows only."""
    line, time = commits.line(resolved.version), commits.nodes[resolved.version]["commit_time"]
    if time is not None and isinstance(rows, int):
        rows = ALL
    return replace(resolved, contents=contents_of(resolved.url, line, time, credentials, rows))


def open_pinned(resolved: ResolvedSource, credentials: CredentialRef) -> RawLake:
    """Open the lake at the pinned commit, without queries and saved rows.

    Args:
        resolved: The pinned source.
        credentials: What opens the lake.

    Raises:
        SourceNotFoundError: Another lake stands there now.
    """
    commits = read_commits(resolved.url, credentials)
    commit = resolved.version
    if commit not in commits.nodes or commits.identity(commit) != resolved.dataset_id:
        raise SourceNotFoundError(
            "Another lake now stands at this path",
            where=f"lake {resolved}",
            advice="it was overwritten while in use: start again",
        )
    if resolved.contents:
        counted = resolved.contents.partition("-")[0]
        now = _with_contents(resolved, commits, credentials, counted)
        if not is_same_contents(resolved.contents, now.contents):
            raise replaced(f"lake {resolved}")
    reference = "" if commit == FIRST and len(commits.nodes) == 1 else f"@{commit}"
    return _query(resolved.url, reference, credentials)


def read_info(resolved: ResolvedSource, credentials: CredentialRef) -> dict[str, Any]:
    """Read what a pinned lake says of itself as a whole (Deep Lake 3's ``ds.info``).

    Args:
        resolved, credentials: The pinned lake, and what opens it.

    Returns:
        The entries by key; empty if there are none.
    """
    line = read_commits(resolved.url, credentials).line(resolved.version)
    found = _newest(resolved.url, line, "dataset_info.json", credentials)
    return found if isinstance(found, dict) else {}


def tensor_lengths(
    resolved: ResolvedSource, names: Iterable[str], credentials: CredentialRef
) -> dict[str, int]:
    """Read the number of samples of some tensors of a pinned lake.

    Deep Lake 3 lets each tensor grow by itself. A query pairs them by index and fills the shorter ones up, so
    that from the first missing sample on the boxes of one image stand beside another.

    Args:
        resolved, credentials: The pinned lake, and what opens it.
        names: Names of the tensors.

    Returns:
        The number by name, without tensors that do not tell it.
    """
    line = read_commits(resolved.url, credentials).line(resolved.version)
    meta = _newest(resolved.url, line, "dataset_meta.json", credentials) or {}
    keys = meta.get("tensor_names") or {}
    found = {}
    for name in names:
        folder, _, last = str(keys.get(name, name)).rpartition("/")
        told = _newest(resolved.url, line, f"{folder}/{last}/tensor_meta.json".lstrip("/"), credentials)
        if isinstance(told, dict) and told.get(
            "is_sequence"
        ):  # counts items; the ids beside it count samples
            hidden = f"{folder}/_{last}_id/tensor_meta.json".lstrip("/")
            told = _newest(resolved.url, line, hidden, credentials)
        if isinstance(told, dict) and isinstance(told.get("length"), int):
            found[name] = told["length"]
    return found


def check_lengths(lengths: Mapping[str, int], where: str) -> None:
    """Refuse tensors of which some have more samples than others.

    Args:
        lengths: Number of samples by name.
        where: The lake, for the message.

    Raises:
        AnnotationError: They differ; the message lists the lengths.
    """
    if len(set(lengths.values())) > 1:
        raise AnnotationError(
            "The tensors of this lake have different lengths, so that nothing tells which boxes belong to "
            f"which image: {', '.join(f'{name} {length}' for name, length in lengths.items())}",
            where=where,
            advice="repair the lake with Deep Lake 3 (ds.append({...}) fills all tensors at once), or "
            "choose a commit from before",
        )


def _newest(url: str, line: Iterable[str], name: str, credentials: CredentialRef) -> Any:
    """A JSON file as the newest of some commits has it; None if none has."""
    for commit in line:
        if (found := read_json(url, f"{folder_of(commit)}{name}", credentials)) is not None:
            return found
    return None


def _chosen(source: Source, commits: Commits) -> str:
    if source.branch and source.branch not in commits.branches:
        raise SourceNotFoundError(
            f"The lake has no branch {source.branch!r}",
            where=f"dataset key 'branch', lake {source.path}",
            advice=f"it has: {', '.join(commits.branches)}",
        )
    if source.commit is None:
        return commits.branches[source.branch or "main"]
    if source.commit not in commits.nodes:
        raise SourceNotFoundError(
            f"The lake has no commit {source.commit!r}",
            where=f"dataset key 'commit', lake {source.path}",
            advice=f"it has: {', '.join(commits.nodes)}",
        )
    if source.branch and source.commit not in commits.line(commits.branches[source.branch]):
        raise ConfigError(
            f"Commit {source.commit!r} is not one of branch {source.branch!r}",
            where=f"dataset keys 'commit' and 'branch', lake {source.path}",
            advice=f"it belongs to branch {commits.nodes[source.commit]['branch']!r}",
        )
    return source.commit


def _pin_view(source: Source, commits: Commits, credentials: CredentialRef) -> tuple[ResolvedSource, RawLake]:
    views = saved_views(source.path, credentials)
    name = str(source.view)
    where = f"dataset key 'view'={name!r}, lake {source.path}"
    if name not in views:
        raise SourceNotFoundError(
            f"The lake has no saved view {name!r}",
            where=where,
            advice=f"it has: {', '.join(views) or 'none'}",
        )
    commit = views[name].get("source-dataset-version") or FIRST
    branch = commits.nodes.get(commit, {}).get("branch", "main")
    if (source.commit or commit) != commit or (source.branch or branch) != branch:
        raise ConfigError(
            f"The view {name!r} was saved of commit {commit!r} on branch {branch!r}, which contradicts what "
            "else was asked for",
            where=f"{where}, 'commit'={source.commit!r}, 'branch'={source.branch!r}",
            advice="keep 'view' alone, or commit and branch without it",
        )
    url = f"{source.path}/.queries/{name}"
    view = _query(url, "", credentials)
    names = [column.name for column in view.schema.columns]
    if names != [_VIEW_ROWS]:  # a copy: a small lake in itself, that nobody appends to
        inner = read_commits(url, credentials)
        head = inner.branches["main"]
        copied = ResolvedSource(url, inner.identity(head), "main", head, format="v3")
        return _with_contents(copied, inner, credentials, len(view)), view
    if commit not in commits.nodes:
        raise SourceFormatError(
            f"The view was saved of commit {commit!r}, which the lake no longer has", where=where
        )
    resolved = ResolvedSource(
        source.path, commits.identity(commit), branch, commit, format="v3", branch=branch
    )
    rows = _view_rows(view)
    resolved = _with_contents(resolved, commits, credentials, int(rows.max(initial=-1)) + 1)
    return resolved.with_rows(rows), open_pinned(resolved, credentials)


def _view_rows(view: RawLake) -> NDArray[np.int64]:
    cells = view[_VIEW_ROWS][:] if len(view) else []
    return np.array([int(np.asarray(cell).reshape(-1)[0]) for cell in cells], np.int64)


def _is_changed(url: str, head: str, credentials: CredentialRef) -> bool:
    """Whether an open head differs from the commit before it: Deep Lake 3 then writes difference files."""
    folder, tensors = folder_of(head), tensors_of(url, head, credentials)
    # Listing the folder instead would hold the GIL while the storage is asked.
    names = [f"{folder}dataset_diff", *(f"{folder}{tensor}/commit_diff" for tensor in tensors)]
    return any(fetch(url, name, credentials) is not None for name in names)


def _warn_open(resolved: ResolvedSource) -> None:
    if resolved.key in _warned:
        return
    _warned.add(resolved.key)
    logging.getLogger(__name__).warning(
        "%s: branch %s has rows that were never committed. Rows appended from now on are left out, but cells "
        "that are changed in place would show: commit the lake (ds.commit() in Deep Lake 3) to be safe.",
        resolved.url,
        resolved.branch,
    )


def _query(url: str, reference: str, credentials: CredentialRef) -> RawLake:
    import deeplake

    if any(mark in url + reference for mark in UNQUOTABLE):
        raise SourceFormatError(
            "Queries, by which Deep Lake reads its older format (v3), cannot name this address or commit",
            where=f"lake {url}{reference}",
            advice='rename the folder so that it has no ", or copy the lake',
        )
    token, creds = credentials.resolve()
    query = f'SELECT * FROM "{url}{reference}"'
    if not is_local(url):
        ask_for_more_at_once()
    # Not deeplake.query(): it holds the GIL for as long as the storage is asked, deaf to deadline and Ctrl-C.
    handle: RawLake = guard(
        f"lake {url}", lambda: deeplake.query_async(query, creds=creds or None, token=token)
    )
    if not handle.schema.columns:
        raise SourceFormatError(
            "This lake in Deep Lake's older format (v3) has no columns", where=f"lake {url}{reference}"
        )
    return handle
