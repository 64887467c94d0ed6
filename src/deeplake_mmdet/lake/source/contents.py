"""Telling the data of two versions apart where lake id, branch and version id are equal.

A copy of a v4 lake keeps its ids, and its versions are counted: after a backup was restored and something
else was committed, or a copy that went its own way was moved to the lake's place, all of these are equal
although the data differ. The record of a commit, a file that never changes, does tell them apart: it holds
the names of the commit's data files, which Deep Lake draws at random, and its time.

Deep Lake's own history does not serve: its times are those of the files, which a copy changes, and every 64
commits it forgets the times and messages of those before.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceNotFoundError
from deeplake_mmdet.lake.calls.protocols import VersionedLake
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.direct.branch_log import LOG
from deeplake_mmdet.lake.source.source import short_hash

__all__ = ["contents_of", "replaced", "witness_of"]

_RECORDS = 16
# The number, one of some kinds of commit, and what is 0 unless it is a summary of others.
_COUNTED = re.compile(r"(\d{10})([a-z])0{8}")
_KINDS = "mc"
_ENDINGS = (".jsonl.lz4", ".jsonl")
# What a commit with data files says; its record is compressed, but what occurs for the first time is not.
_ADDS = (b"addBlock", b"updateData")


def contents_of(base: VersionedLake, where: str) -> str:
    """A hash of the records of a version's commits, back to the newest that wrote data files.

    It is equal for any number of copies, by whatever path, and whatever is committed, tagged or renamed
    later. Takes one or two requests for each record, usually for one.

    Args:
        base: A v4 lake at a version, as Deep Lake opens it.
        where: The lake, for messages.

    Returns:
        16 hex digits; empty if Deep Lake does not give the records out.

    Raises:
        StorageError: The storage failed.
    """
    reader = getattr(base, "_reader", None)
    if reader is None:
        return ""
    found: list[Any] = [base.id, len(base)]
    for branch, versions in _line(base):
        record = _record(reader, branch, versions, where)
        if record is None:
            continue
        found.append([branch, versions[0], hashlib.blake2s(record, digest_size=16).hexdigest()])
        if any(word in record for word in _ADDS):
            break
    return short_hash(found) if len(found) > 2 else ""


def replaced(where: str) -> SourceNotFoundError:
    """Make the error for a lake that has the right ids but other data.

    Args:
        where: The lake, for the message.
    """
    return SourceNotFoundError(
        "Another lake now stands at this path: it has the same id and version, but other data, as after a "
        "backup was restored, or when a copy that went its own way takes a lake's place",
        where=where,
        advice="put the lake back that this began with, or start again",
    )


def witness_of(folder: Path, branch_id: str, version: str) -> Path | None:
    """Find a file that stays as it is as long as the same lake stands in a folder.

    Args:
        folder: The lake's folder.
        branch_id, version: Id of the pinned branch, and of the version on it.

    Returns:
        Path of the file, to be watched by its time and size; None if there is no such file.
    """
    log = folder / LOG
    names = [log / branch_id / f"{version}{ending}" for ending in _ENDINGS]
    names += [log / "_meta" / "0000000001c00000000.jsonl"]  # of a branch that has no commits yet
    names += [folder / "version_control_info.json", folder / "dataset_meta.json"]  # of v3
    return next((name for name in names if name.exists()), None)


def _line(base: VersionedLake) -> Iterator[tuple[str, list[str]]]:
    """A version and those before it, newest first, by their branch's id and possible names; not all."""
    branch, names = base.current_branch.id, [str(base.version)]
    for _ in range(_RECORDS):
        match = _COUNTED.fullmatch(names[0])
        if match is None or not int(match[1]):
            origin = _origin(base, branch)
            if origin is None:
                return
            branch, names = origin[0], [origin[1]]
            match = _COUNTED.fullmatch(names[0])
        yield branch, names
        before = int(match[1]) - 1 if match else 0
        # Which kind the commit before was is not told; asking the history would, but it may be cut short.
        names = [f"{before:010d}{kind}00000000" for kind in _KINDS]


def _origin(base: VersionedLake, branch_id: str) -> tuple[str, str] | None:
    """The branch and version that a branch began with."""
    for name in base.branches.names():
        branch = base.branches[name]
        if branch.id == branch_id and branch.base:
            return str(branch.base[0]), str(branch.base[1])
    return None


def _record(reader: Any, branch: str, versions: list[str], where: str) -> bytes | None:
    for version, ending in itertools.product(versions, _ENDINGS):
        name = f"{LOG}/{branch}/{version}{ending}"
        try:
            return bytes(guard(where, functools.partial(reader.get_async, name)))
        except SourceNotFoundError:
            continue
        except DeepLakeMMDetError:
            raise
        except Exception:  # a kind of storage that cannot be read this way
            return None
    return None
