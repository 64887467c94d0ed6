"""What tells the data of two v3 lakes apart that have equal commit ids.

The first commit of every v3 lake has the same id, and a head keeps its id when it is committed: in two
copies of a lake that went their own ways it may stand for other rows. The chunks' ids, drawn at random,
differ.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from deeplake_mmdet.lake.calls.faults import is_on_disk
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.source import OPEN, short_hash
from deeplake_mmdet.lake.source.v3_files import fetch, folder_of, tensors_of

__all__ = ["ALL", "contents_of"]

ALL = "all"


def contents_of(
    url: str,
    line: Sequence[str],
    time: float | None,
    credentials: CredentialRef,
    rows: int | str,
) -> str:
    """Identify the data at a commit by its rows, their chunks, and its time or, while it is open, its state.

    Takes a request for each tensor and one more.

    Args:
        url: The lake's address.
        line: The commit and those before it, newest first.
        time: When it was committed; None while it is open.
        credentials: What opens the lake.
        rows: How many count, as rows may be appended to an open commit; or ``ALL``.

    Returns:
        The value for ``ResolvedSource.contents``; to be compared by `is_same_contents`.

    Raises:
        StorageError: The storage failed.
    """
    counted = None if rows == ALL else int(rows)
    tensors = tensors_of(url, line[0], credentials)
    chunks = []
    for tensor in tensors:
        names = (f"{folder_of(commit)}{tensor}/chunks_index/unsharded" for commit in line)
        found = next((data for name in names if (data := fetch(url, name, credentials)) is not None), b"")
        chunks.append([tensor, _chunks(found, counted)])
    about = short_hash([sorted(chunks)])
    last = short_hash([time]) if time is not None else f"{OPEN}:{_state(url, line[0], tensors, credentials)}"
    return f"{rows}-{about}-{last}"


def _chunks(encoder: bytes, rows: int | None) -> str:
    """Hash of the chunks, of the first rows only if these are counted."""
    if rows is None or len(encoder) < 2:
        return hashlib.blake2s(encoder, digest_size=8).hexdigest()
    try:
        at = 1 + encoder[0]
        pairs = np.frombuffer(encoder, f"<u{encoder[at]}", offset=at + 1).reshape(-1, 2)
    except (IndexError, TypeError, ValueError):
        return hashlib.blake2s(encoder, digest_size=8).hexdigest()
    begins = np.concatenate([[0], pairs[:-1, 1].astype(np.int64) + 1])
    return hashlib.blake2s(pairs[begins < rows, 0].astype("<u8").tobytes(), digest_size=8).hexdigest()


def _state(url: str, commit: str, tensors: Sequence[str], credentials: CredentialRef) -> str:
    """What is known of changes in place to an open commit."""
    if is_on_disk(url):
        folder = Path(url.removeprefix("file://"), folder_of(commit))
        return short_hash([sorted(_files(folder / tensor / "chunks")) for tensor in tensors])
    names = (f"{folder_of(commit)}{tensor}/commit_diff" for tensor in tensors)
    return hashlib.blake2s(
        b"|".join(fetch(url, name, credentials) or b"" for name in names), digest_size=8
    ).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat()
                yield entry.name, status.st_size, status.st_mtime_ns
