"""Small files of lakes in Deep Lake's older format v3, which Deep Lake 4 does not read out by itself."""

from __future__ import annotations

import json
from typing import Any

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.calls.storage_errors import guard
from deeplake_mmdet.lake.direct.object_reader import object_reader
from deeplake_mmdet.lake.source.credentials import CredentialRef

__all__ = ["FIRST", "fetch", "folder_of", "read_json", "tensors_of"]

FIRST = "firstdbf9474d461a19e9333c2fd19b46115348f"  # the id of every v3 lake's first commit


def folder_of(commit: str) -> str:
    """Where the files of a commit lie below the lake's address, with a slash at the end; empty for the first.

    Args:
        commit: The commit's id.
    """
    return "" if commit == FIRST else f"versions/{commit}/"


def tensors_of(url: str, commit: str, credentials: CredentialRef) -> list[str]:
    """The names of the tensors that users see at a commit, sorted.

    Args:
        url, credentials: Address of the lake, and what opens it.
        commit: The commit's id.

    Raises:
        DeepLakeMMDetError: As `read_json`.
    """
    meta = read_json(url, f"{folder_of(commit)}dataset_meta.json", credentials) or {}
    return sorted(set(meta.get("tensors", ())) - set(meta.get("hidden_tensors", ())))


def read_json(url: str, name: str, credentials: CredentialRef) -> Any:
    """Read a JSON file of the lake.

    Args:
        url, credentials: Address of the lake, and what opens it.
        name: The file's name below the address.

    Returns:
        Its content; None if there is no such file.

    Raises:
        SourceFormatError: It is no JSON.
        CredentialError, StorageError: As `fetch`.
    """
    content = fetch(url, name, credentials)
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        raise SourceFormatError(
            f"The lake's file {name} is damaged", where=f"lake {url}", advice="restore it from a copy"
        ) from None


def fetch(url: str, name: str, credentials: CredentialRef) -> bytes | None:
    """Read a file of the lake.

    Args:
        url, credentials: Address of the lake, and what opens it.
        name: The file's name below the address.

    Returns:
        Its bytes; None if there is no such file.

    Raises:
        CredentialError: The storage refused access.
        StorageError: The storage failed.
    """
    token, creds = credentials.resolve()
    where = f"lake {url}"
    reader: Any = guard(where, lambda: object_reader(url, creds=creds or None, token=token))
    try:
        return bytes(guard(where, lambda: reader.get_async(name)))
    except SourceNotFoundError:
        return None
