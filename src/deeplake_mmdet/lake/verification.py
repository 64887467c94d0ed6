"""Whether a lake still holds what a training or a prediction has recorded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import CredentialError, DeepLakeMMDetError, StorageError
from deeplake_mmdet.lake.calls.storage_errors import sound
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.pinning import forget, handle_of
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["FAILED", "OK", "UNREACHABLE", "recorded_source", "verify_recorded"]

OK, FAILED, UNREACHABLE = "OK", "FAILED", "UNREACHABLE"


def recorded_source(facts: Mapping[str, Any]) -> ResolvedSource:
    """The pinned source that a record tells of, without its queries.

    Args:
        facts: As ``ResolvedSource.facts`` gives them, with ``branch``.

    Raises:
        SourceFormatError: The record is not whole.
    """
    with sound("a record of a lake"):
        names = ("url", "dataset_id", "branch_id", "version")
        url, dataset_id, branch_id, version = (str(facts[name]) for name in names)
        return ResolvedSource(
            *(url, dataset_id, branch_id, version),
            format=str(facts.get("format", "v4")),
            branch=str(facts.get("branch", "main")),
            contents=str(facts.get("contents") or ""),
        )


def verify_recorded(facts: Mapping[str, Any], credentials: CredentialRef | None = None) -> tuple[str, str]:
    """Look whether a lake still holds the version that was recorded, with the same data and rows.

    Args:
        facts: As ``ResolvedSource.facts`` gives them, with ``branch`` and ``rows``, how many there were.
        credentials: What opens the lake.

    Returns:
        ``OK``, ``FAILED`` or ``UNREACHABLE``; and why.
    """
    if facts.get("held") or str(facts.get("url", "")).startswith("mem://"):
        return UNREACHABLE, "the data were an opened dataset, or in the memory, of another process"
    try:
        source = recorded_source(facts)
        queries = () if facts.get("rows_digest") else tuple(map(str, facts.get("queries") or ()))
        if "://" not in source.url and not Path(source.url).exists():
            return FAILED, "there is nothing at this path"
        whole = replace(source, queries=queries)
        forget(whole)  # what this process has open may be gone from the storage
        count = len(handle_of(whole, credentials))
    except (CredentialError, StorageError) as error:
        return UNREACHABLE, str(error)
    except DeepLakeMMDetError as error:
        return FAILED, str(error)
    rows = facts.get("rows")
    if isinstance(rows, int) and not facts.get("rows_digest") and count != rows:
        return FAILED, f"it gives {count} rows there, of {rows}"
    return OK, "" if source.contents else "its version has the same id; its contents were not recorded"
