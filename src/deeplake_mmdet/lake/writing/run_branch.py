"""Predictions of a run, in the lake that they were made for: the branch ``runs/<run id>``.

The branch begins at the version that was predicted on and has its columns and rows, and besides the columns
of `RUN_COLUMNS`. It is written under a name of its own, committed once, and renamed at the end, so that
whatever is called ``runs/...`` is complete; ``main`` stays as it is. What is known of the run stands in the
metadata of its column ``pred/boxes``: Deep Lake shares a dataset's own metadata between all branches.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import (
    CredentialError,
    DeepLakeMMDetError,
    ImportRefusedError,
    StorageError,
)
from deeplake_mmdet.lake.calls.faults import Background, deadline_seconds, is_denied, is_local, wait
from deeplake_mmdet.lake.shard import Shard
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of
from deeplake_mmdet.lake.source.row_order import freeze
from deeplake_mmdet.lake.source.source import ResolvedSource
from deeplake_mmdet.lake.source.v4 import open_pinned
from deeplake_mmdet.lake.writing.targets import (
    active,
    check_complete,
    host_name,
    is_alive,
    storage_errors,
)

__all__ = [
    "BOXES",
    "METADATA_KEY",
    "RUNS",
    "RUN_COLUMNS",
    "RUN_SHARDS",
    "count_rows",
    "delete_branches",
    "rows_in_base",
    "without_queries",
    "write_run",
]

RUNS, RUN_SHARDS = "runs/", "run-shards/"
METADATA_KEY = "deeplake_mmdet_run"
BOXES = "pred/boxes"
_UNFINISHED = re.compile(r"predicting-(.+)-(\d+)-[0-9a-f]{8}")
_SLOWEST, _BLOCK = 2**20, 2**25  # bytes a second that a network is granted; bytes that a block may have
_MOST_PENDING = 2**28  # bytes in memory
_ROOM = 2**24  # bytes that a disk has to have besides
_NOT_ALLOWED = ("Permission denied", "Read-only file system", "Operation not permitted")

# Column: Deep Lake's type of one number, or what `_type_of` makes a type of. Numbers of a row exist where the
# lake has truth; counts are whole, -1 where there is none.
RUN_COLUMNS: dict[str, str] = {
    BOXES: "boxes",  # (n, 4), float32, left, top, right, bottom in pixels of the stored image
    "pred/labels": "labels",  # (n,), number of the class in ``class_names`` of the column's metadata
    "pred/scores": "scores",  # (n,), float32, the highest first
    "pred/masks": "text",  # a JSON list of n COCO run-length encodings
    "pred/tp": "int32",
    "pred/fp": "int32",
    "pred/missed": "int32",
    "pred/confused": "int32",
    "pred/localisation": "int32",
    "pred/ap50": "float32",
    "pred/lowest_score": "float32",
    "pred/disagreement": "float32",
    "pred/label_error": "float32",
    "pred/loss": "float32",
    "pred/embedding": "embedding",  # (d,), float32
}


def write_run(
    base: ResolvedSource,
    credentials: CredentialRef,
    run_id: str,
    blocks: Iterable[Mapping[str, Sequence[Any]]],
    *,
    columns: Sequence[str],
    class_names: Sequence[str],
    metadata: Mapping[str, Any],
    shard: Shard | None = None,
    embedding: int = 0,
    size: int = 0,
) -> str:
    """Write a run's predictions as a new branch, all or nothing.

    Args:
        base: The version that was predicted on, without a query.
        credentials: What opens the lake for writing.
        run_id: Id of the run.
        blocks: Values of neighbouring rows by column, from row 0 to the last; each with all ``columns``.
        columns: Names out of `RUN_COLUMNS`.
        class_names: Names of the labels.
        metadata: What is known of the run; values that JSON takes.
        shard: Which part of the run these are; None of a whole one.
        embedding: Length of the embeddings, if there is a column of them.
        size: About how many bytes the values have; a disk that has no room for them is told beforehand.

    Returns:
        The branch's name.

    Raises:
        ImportRefusedError: The lake has such a run.
        StorageError, CredentialError: The lake cannot be written; it is as it was.
    """
    name = f"{RUNS}{run_id}" if shard is None else f"{RUN_SHARDS}{run_id}/{shard.number}-of-{shard.parts}"
    where = f"lake {base.url}"
    token, creds = credentials.resolve()
    with storage_errors("The predictions cannot be written", base.url, creds), _refusals(where):
        lake = _open(base, creds, token)
        names = list(lake.branches.names())
        if name in names:
            what = "this run" if shard is None else f"shard {shard} of this run"
            raise ImportRefusedError(f"The lake has {what} already", where=f"{where}, branch {name}")
        _check_room(base.url, size)
        _remove_leftovers(lake, names, where)
        unfinished = f"predicting-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
        active.add(unfinished)
        start = next(lake.branches[n] for n in names if lake.branches[n].id == base.branch_id)
        parent = _sent(start.open, where)
        branch = _sent(lambda: parent.branch(unfinished, base.version), where)
        try:
            target = _sent(branch.open, where)
            target.auto_commit_enabled = False
            if taken := [column.name for column in target.schema.columns if column.name in columns]:
                raise ImportRefusedError(
                    "These are rows of a run's branch, whose predictions cannot be written over",
                    where=f"{where}, branch {base.branch}, column {taken[0]}",
                    advice="predict on the branch that the run was made on",
                )
            for column in columns:
                target.add_column(column, _type_of(RUN_COLUMNS[column], embedding))
            target["pred/labels"].metadata["class_names"] = list(class_names)
            target[BOXES].metadata[METADATA_KEY] = json.dumps(dict(metadata))
            _sent(lambda: target.commit("Columns"), where)
            first = size = 0
            for block in blocks:
                stop = first + len(block[BOXES])
                size += _put(target, columns, block, slice(first, stop), where)
                first = stop
                if size >= _MOST_PENDING:
                    _sent(lambda: target.commit("Part of a run"), where, size)
                    size = 0
            _sent(lambda: target.commit(f"Predictions of run {run_id}"), where, size)
            _check_files(target, lambda: _sent(branch.open, where), len(target), base.url)
            try:
                _sent(lambda: branch.rename(name), where)
            except Exception as error:
                if type(error).__name__ != "BranchExistsError":
                    raise
                raise ImportRefusedError(
                    "Another process has written this run meanwhile", where=f"{where}, branch {name}"
                ) from None
        except BaseException:
            with contextlib.suppress(Exception):
                _sent(lambda: lake.branches[unfinished].delete(), where)
            raise
        finally:
            active.discard(unfinished)
    return name


def delete_branches(base: ResolvedSource, credentials: CredentialRef, names: Sequence[str]) -> None:
    """Delete branches of a lake; those that cannot be are left.

    Args:
        base: Any version of the lake.
        credentials: What opens it for writing.
        names: Of the branches.
    """
    token, creds = credentials.resolve()
    lake = _open(base, creds, token)
    for name in names:
        with contextlib.suppress(Exception):
            _sent(lake.branches[name].delete, f"lake {base.url}")


def without_queries(source: ResolvedSource) -> ResolvedSource:
    """The version that a source's rows are taken from.

    Args:
        source: A pinned v4 lake.
    """
    return replace(source, queries=(), rows=None, rerun=0, rows_digest="")


def count_rows(source: ResolvedSource, credentials: CredentialRef) -> int:
    """How many rows a pinned lake has.

    Args:
        source: The lake.
        credentials: What opens it.
    """
    return len(handle_of(source, credentials))


def rows_in_base(source: ResolvedSource, credentials: CredentialRef) -> NDArray[np.int64] | None:
    """Which rows of `without_queries` a source's rows are, shape (n,), in their order; None for all of them.

    Args:
        source: A pinned v4 lake.
        credentials: What opens it.

    Raises:
        SourceFormatError: Its queries compute something, so that its rows are not simply some of the lake's.
    """
    if not source.queries and source.rows is None:
        return None
    base = open_pinned(without_queries(source), credentials)
    rows = freeze(
        base, source.queries[: source.rerun] if source.rows is not None else source.queries, str(source)
    )
    return rows if source.rows is None else rows[source.rows]


def _open(base: ResolvedSource, creds: dict[str, str], token: str | None) -> Any:
    import deeplake

    return _sent(lambda: deeplake.open(base.url, creds=creds or None, token=token), f"lake {base.url}")


def _sent(call: Callable[[], Any], where: str, size: int = 0) -> Any:
    """Run a call of Deep Lake's that may never come back from a network."""
    if is_local(where.removeprefix("lake ")):
        return call()
    return wait(lambda: Background(call), time.monotonic() + deadline_seconds() + size / _SLOWEST, where)


def _check_room(url: str, size: int) -> None:
    """Where the disk is full as a branch is made, Deep Lake leaves a lake that nobody can write any more."""
    if not is_local(url) or "://" in url:
        return
    free = shutil.disk_usage(url).free
    if free < size + _ROOM:
        raise StorageError(
            f"The disk has {free / 2**20:,.0f} MiB left, and the predictions take about {size / 2**20:,.0f}",
            where=f"lake {url}",
            advice="make room; the lake is as it was",
        )


def _check_files(written: Any, reopen: Callable[[], Any], rows: int, url: str) -> None:
    """Deep Lake does not report a disk that is full, but leaves files short."""
    if is_local(url) and "://" not in url:
        folder = Path(url)
        files = (file for file in folder.rglob("*") if file.is_file())
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}
        check_complete(written, reopen, rows, sizes, f"lake {url}", "make room; the lake is as it was")


def _put(
    target: Any, columns: Sequence[str], block: Mapping[str, Sequence[Any]], rows: slice, where: str
) -> int:
    """Hand a block to Deep Lake, and tell about how many bytes it has."""

    def put() -> None:
        for column in columns:
            target[column][rows] = block[column]

    _sent(put, where, _BLOCK)
    return sum(int(np.asarray(value).nbytes) for column in columns for value in block[column])


def _remove_leftovers(lake: Any, names: Sequence[str], where: str) -> None:
    """Delete the branches of writers on this machine that were killed."""
    for name in names:
        match = _UNFINISHED.fullmatch(name)
        if match and match[1] == host_name() and name not in active and not is_alive(int(match[2])):
            with contextlib.suppress(Exception):  # the next one tries again
                _sent(lake.branches[name].delete, where)


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    """Tell that a lake may not be written from all that may go wrong with one that may."""
    try:
        yield
    except DeepLakeMMDetError:
        raise
    except Exception as error:
        if is_denied(error) or any(text in str(error) for text in _NOT_ALLOWED):
            raise CredentialError(
                "This lake may not be written: the predictions cannot go back into it", where=where
            ) from None
        raise


def _type_of(kind: str, embedding: int) -> Any:
    from deeplake import types

    if kind == "boxes":
        return types.BoundingBox("float32", format="ltrb", bbox_type="pixel")
    if kind == "labels":
        return types.ClassLabel(types.Array("uint32", 1))
    if kind == "scores":
        return types.Array("float32", 1)
    return types.Embedding(embedding) if kind == "embedding" else kind
