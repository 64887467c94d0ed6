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
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.errors import ImportRefusedError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.writing.targets import host_name, storage_errors

__all__ = ["RUNS", "RUN_COLUMNS", "RunBranch", "open_run", "run_ids", "write_run"]

RUNS = "runs/"
_METADATA = "deeplake_mmdet_run"
_BOXES = "pred/boxes"

# Column: Deep Lake's type of one number, or what `_type_of` makes a type of. Numbers of a row exist where the
# lake has truth; counts are whole, -1 where there is none.
RUN_COLUMNS: dict[str, str] = {
    _BOXES: "boxes",  # (n, 4), float32, left, top, right, bottom in pixels of the stored image
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


@dataclass(frozen=True)
class RunBranch:
    """A run's predictions in a lake.

    Attributes:
        run_id: Its id; the branch is called ``runs/<run id>``.
        source: The branch, pinned. Its rows are those of the version that was predicted on.
        credentials: What opens it.
        metadata: What was known of the run, see ``loop``.
        columns: Those of `RUN_COLUMNS` that it has.
    """

    run_id: str
    source: ResolvedSource
    credentials: CredentialRef
    metadata: Mapping[str, Any]
    columns: tuple[str, ...]


def write_run(
    base: ResolvedSource,
    credentials: CredentialRef,
    run_id: str,
    blocks: Iterable[Mapping[str, Sequence[Any]]],
    *,
    columns: Sequence[str],
    class_names: Sequence[str],
    metadata: Mapping[str, Any],
    embedding: int = 0,
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
        embedding: Length of the embeddings, if there is a column of them.

    Returns:
        The branch's name.

    Raises:
        ImportRefusedError: The lake has such a run.
        StorageError, CredentialError: The lake cannot be written; it is as it was.
    """
    import deeplake

    token, creds = credentials.resolve()
    name = f"{RUNS}{run_id}"
    with storage_errors("The predictions cannot be written", base.url, creds):
        lake = deeplake.open(base.url, creds=creds or None, token=token)
        if name in lake.branches.names():
            raise ImportRefusedError("The lake has this run already", where=f"lake {base.url}, branch {name}")
        start = next(lake.branches[n] for n in lake.branches.names() if lake.branches[n].id == base.branch_id)
        unfinished = f"predicting-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
        branch = start.open().branch(unfinished, base.version)
        try:
            target = branch.open()
            target.auto_commit_enabled = False
            for column in columns:
                target.add_column(column, _type_of(RUN_COLUMNS[column], embedding))
            target["pred/labels"].metadata["class_names"] = list(class_names)
            target[_BOXES].metadata[_METADATA] = json.dumps(dict(metadata))
            first = 0
            for block in blocks:
                stop = first + len(block[_BOXES])
                for column in columns:
                    target[column][first:stop] = block[column]
                first = stop
            target.commit(f"Predictions of run {run_id}")
            branch.rename(name)
        except BaseException:
            lake.branches[unfinished].delete()
            raise
    return name


def run_ids(source: ResolvedSource, credentials: CredentialRef | None = None) -> list[str]:
    """The ids of the runs whose predictions a lake holds.

    Args:
        source: Any version of the lake.
        credentials: What opens it.
    """
    names = list_versions(source, credentials).branches
    return sorted(name.removeprefix(RUNS) for name in names if name.startswith(RUNS))


def open_run(path: str, run_id: str, credentials: CredentialRef | None = None) -> RunBranch:
    """Open a run's predictions.

    Args:
        path: The lake.
        run_id: Id of the run; ``runs/`` before it does not matter.
        credentials: What opens the lake.

    Raises:
        SourceNotFoundError: The lake has no such run; the nearest names are given.
        SourceFormatError: It is another branch that is called so.
        DeepLakeMMDetError: The lake cannot be opened.
    """
    run_id = run_id.removeprefix(RUNS)
    credentials = credentials or CredentialRef()
    known = run_ids(resolve(Source(path), credentials), credentials)
    if run_id not in known:
        near = get_close_matches(run_id, known, n=10, cutoff=0) or ["none; predict --write-back makes one"]
        raise SourceNotFoundError(
            f"The lake has no run {run_id!r}", where=f"lake {path}", advice=f"Runs there: {', '.join(near)}"
        )
    source = resolve(Source(path, branch=f"{RUNS}{run_id}"), credentials)
    handle = handle_of(source, credentials)
    columns = [column.name for column in handle.schema.columns]
    stored = handle[_BOXES].metadata if _BOXES in columns else None
    told = None
    with contextlib.suppress(ValueError):
        told = json.loads(
            read_metadata(stored, (_METADATA,)).get(_METADATA, "") if stored is not None else ""
        )
    if not isinstance(told, dict):
        raise SourceFormatError(
            "The branch is called as a run is, but holds no predictions that this package wrote",
            where=f"lake {path}, branch {RUNS}{run_id}",
            advice="rename the branch",
        )
    there = tuple(name for name in RUN_COLUMNS if name in columns)
    return RunBranch(run_id, source, credentials, told, there)


def _type_of(kind: str, embedding: int) -> Any:
    from deeplake import types

    if kind == "boxes":
        return types.BoundingBox("float32", format="ltrb", bbox_type="pixel")
    if kind == "labels":
        return types.ClassLabel(types.Array("uint32", 1))
    if kind == "scores":
        return types.Array("float32", 1)
    return types.Embedding(embedding) if kind == "embedding" else kind
