"""Opening a run's predictions in a lake."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.schema.columns import read_metadata
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import handle_of, list_versions, resolve
from deeplake_mmdet.lake.source.source import ResolvedSource, Source
from deeplake_mmdet.lake.writing.run_branch import BOXES, METADATA_KEY, RUN_COLUMNS, RUNS

__all__ = ["RunBranch", "open_run", "read_run", "run_ids"]


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
    return read_run(path, f"{RUNS}{run_id}", run_id, credentials)


def read_run(path: str, branch: str, run_id: str, credentials: CredentialRef) -> RunBranch:
    """Open a branch of predictions.

    Args:
        path: The lake.
        branch: A run's, or a part's.
        run_id: Id of the run.
        credentials: What opens the lake.

    Raises:
        SourceFormatError: It is another branch that is called so.
        DeepLakeMMDetError: The lake cannot be opened.
    """
    source = resolve(Source(path, branch=branch), credentials)
    handle = handle_of(source, credentials)
    columns = [column.name for column in handle.schema.columns]
    stored = handle[BOXES].metadata if BOXES in columns else None
    told = None
    with contextlib.suppress(ValueError):
        told = json.loads(
            read_metadata(stored, (METADATA_KEY,)).get(METADATA_KEY, "") if stored is not None else ""
        )
    if not isinstance(told, dict):
        raise SourceFormatError(
            "The branch is called as a run is, but holds no predictions that this package wrote",
            where=f"lake {path}, branch {branch}",
            advice="rename the branch",
        )
    there = tuple(name for name in RUN_COLUMNS if name in columns)
    return RunBranch(run_id, source, credentials, told, there)
