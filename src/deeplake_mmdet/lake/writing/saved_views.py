"""Saved views: tags on queries, which any `DeepLakeDataset` opens by ``view=``; and tags on versions.

A view of ours is a branch ``views/<name>-...`` that begins at a version and has one column more, in which its
rows are marked; and a tag on a query for them. Deep Lake 4.7 keeps four bytes for each row of a tag that it
pins by itself, and where they exceed 32 KiB, all other tags and branches of the lake are lost. A tag that
is not pinned keeps the query alone, and nothing is ever committed to that branch again.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deeplake_mmdet.errors import ConfigError, ImportRefusedError, SourceNotFoundError, readable
from deeplake_mmdet.lake.calls.faults import Background
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import newest_credentials
from deeplake_mmdet.lake.source.source import ResolvedSource
from deeplake_mmdet.lake.source.v4 import VIEWS, open_head, open_pinned
from deeplake_mmdet.lake.writing.targets import storage_errors, upload

__all__ = ["SavedView", "check_view_name", "lineage_in", "save_view", "saved_views", "tag_version"]

_REFUSED = "\"'@/\\"  # Deep Lake takes a path's end after an '@' for a name; quotes cannot be written in TQL
_LONGEST = 200
_LONGEST_MESSAGE = 16_000  # bytes, see above
_MARK = "in_view"


@dataclass(frozen=True)
class SavedView:
    """A tag of a lake.

    Attributes:
        name: Its name.
        version: Id of the version that it is pinned to, on its branch; empty if it follows the newest.
        query: TQL on that version; empty for all rows.
        message: What was said when it was made.
    """

    name: str
    version: str
    query: str
    message: str


def lineage_in(message: str) -> dict[str, Any] | None:
    """What a tag's message says of where it comes from, if this package wrote it.

    Args:
        message: The message.

    Returns:
        A mapping with ``kind``, ``'view'`` or ``'model'``; None of other messages.
    """
    try:
        told = json.loads(message) if message.startswith("{") and len(message) <= _LONGEST_MESSAGE else None
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and told.get("kind") in ("view", "model") else None


def check_view_name(name: str) -> str:
    """Refuse names that no path, query or terminal can hold.

    Args:
        name: Of a view that is to be saved.

    Returns:
        The name.

    Raises:
        ConfigError: It is empty, too long, begins or ends with a blank, or holds such a character.
    """
    bad = not name or name != name.strip() or name != readable(name) or len(name) > _LONGEST
    if bad or any(letter in _REFUSED for letter in name):
        raise ConfigError(
            "A saved view cannot have this name",
            where=f"view {name[:_LONGEST]!r}",
            advice=f"take up to {_LONGEST} letters, digits, '.', '_' or '-', without slashes, quotes and '@'",
        )
    return name


def save_view(
    base: ResolvedSource,
    credentials: CredentialRef,
    name: str,
    rows: ArrayLike,
    *,
    message: str = "",
    overwrite: bool = False,
) -> None:
    """Save rows of a pinned version under a name, in the order of the lake.

    The view is complete under another name before an old one of its name is taken away.

    Args:
        base: The version; its own queries are not used.
        credentials: What opens the lake for writing.
        name: Name of the view, see `check_view_name`.
        rows: Row numbers, shape (n,).
        message: Stands beside the name.
        overwrite: Replace a view or tag of this name.

    Raises:
        ConfigError: The name cannot be one, or the message is too long.
        ImportRefusedError: The lake has a view, a tag or a branch of this name.
        StorageError, CredentialError: The lake cannot be written; its views are as they were.
    """
    marks = np.zeros(_rows_of(base, credentials), np.uint8)
    marks[np.asarray(rows, np.int64)] = 1

    def write(lake: Any, start: Any, written: str) -> None:
        branch = start.branch(f"{VIEWS}{name}-{secrets.token_hex(4)}", base.version)
        try:
            marked = branch.open()
            marked.auto_commit_enabled = False
            if _MARK not in [column.name for column in marked.schema.columns]:  # of a view of a view
                marked.add_column(_MARK, "uint8")
            marked[_MARK][0 : len(marks)] = marks
            marked.commit(f"Rows of view {name}")
            marked.query(f"SELECT * WHERE {_MARK} == 1").tag(written, message, fixed_version=False)
        except BaseException:
            branch.delete()
            raise

    _publish(base, credentials, name, message, overwrite, len(marks), write)


def tag_version(
    base: ResolvedSource, credentials: CredentialRef, name: str, *, message: str = "", overwrite: bool = False
) -> None:
    """Name a pinned version, with all its rows. See `save_view`.

    Args:
        base: The version; its own queries are not used.
        credentials: What opens the lake for writing.
        name, message, overwrite: As of `save_view`.
    """

    def write(lake: Any, start: Any, written: str) -> None:
        start.tag(written, message, base.version)

    _publish(base, credentials, name, message, overwrite, 0, write)


def _publish(
    base: ResolvedSource,
    credentials: CredentialRef,
    name: str,
    message: str,
    overwrite: bool,
    size: int,
    write: Callable[[Any, Any, str], None],
) -> None:
    import deeplake

    check_view_name(name)
    if len(message.encode()) > _LONGEST_MESSAGE:
        raise ConfigError("The view's message is too long", where=f"view {name!r}")
    token, creds = newest_credentials(base, credentials).resolve()

    def call() -> None:
        lake = deeplake.open(base.url, creds=creds or None, token=token)
        branches = {entry: lake.branches[entry] for entry in lake.branches.names()}
        standing = name in lake.tags.names()
        if (standing and not overwrite) or name in branches:
            raise ImportRefusedError(
                f"The lake has a {'view' if standing else 'branch'} {name!r} already",
                where=f"lake {base.url}",
                advice="choose another name"
                + (", or replace it with overwrite=True (--overwrite)" if standing else ""),
            )
        start = next((entry.open() for entry in branches.values() if entry.id == base.branch_id), None)
        if start is None or lake.id != base.dataset_id:
            raise SourceNotFoundError(
                "The branch that was looked at is no longer there",
                where=f"lake {base}",
                advice="it was removed while in use: start again",
            )
        written = f"{name}.{secrets.token_hex(4)}" if standing else name
        write(lake, start, written)
        if standing:
            lake.tags[name].delete()
            lake.tags[written].rename(name)
        # Those of a view that was replaced, or of one that was killed before its tag was made.
        for entry, branch in branches.items():
            if re.fullmatch(rf"{re.escape(VIEWS + name)}-[0-9a-f]{{8}}", entry):
                branch.delete()

    with storage_errors(f"The view {name!r} cannot be saved", base.url, creds):
        upload(lambda: Background(call), f"lake {base.url}", size)


def saved_views(source: ResolvedSource, credentials: CredentialRef | None = None) -> tuple[SavedView, ...]:
    """The tags and saved views of a lake.

    Args:
        source: Any version of a v4 lake.
        credentials: What opens it.
    """
    lake: Any = open_head(source.url, newest_credentials(source, credentials))

    def read() -> tuple[SavedView, ...]:
        tags = [lake.tags[name] for name in lake.tags.names()]
        return tuple(
            SavedView(str(tag.name), str(tag.version or ""), str(tag.query or ""), str(tag.message or ""))
            for tag in tags
        )

    return guard(f"lake {source.url}", read)


def _rows_of(base: ResolvedSource, credentials: CredentialRef) -> int:
    return len(open_pinned(base, newest_credentials(base, credentials)))
