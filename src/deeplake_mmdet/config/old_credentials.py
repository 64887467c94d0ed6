"""``deeplake_credentials`` whose secrets were put away, as old scripts change them: entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.lake import CredentialRef, is_handle

__all__ = ["joined", "taken_apart"]

_KEY = "deeplake_credentials"


def taken_apart(node: Any) -> Any:
    """Replace each handle by ``username``, ``password``, ``token`` and ``creds``, which hold the handle.

    So a script can still say ``cfg.data.train.deeplake_credentials.token = ...``.
    """
    if isinstance(node, Mapping):
        return {
            key: _entries(value) if key == _KEY and is_handle(value) else taken_apart(value)
            for key, value in node.items()
        }
    return type(node)(map(taken_apart, node)) if isinstance(node, (list, tuple)) else node


def joined(node: Any) -> Any:
    """The reverse: one handle where all entries are as they were, else what the entries stand for.

    Where a script has changed an entry, the result holds literal secrets: `extract_secrets` comes next.
    """
    if isinstance(node, Mapping):
        return {
            key: _value(value) if key == _KEY and isinstance(value, Mapping) else joined(value)
            for key, value in node.items()
        }
    return type(node)(map(joined, node)) if isinstance(node, (list, tuple)) else node


def _entries(handle: str) -> dict[str, Any]:
    storage = CredentialRef(handle).resolve()[1]
    return {"username": None, "password": None, "token": handle, "creds": handle if storage else None}


def _value(entries: Mapping[str, Any]) -> Any:
    given = {key: value for key, value in entries.items() if value not in (None, "")}
    handle = given.get("token")
    if (
        isinstance(handle, str)
        and is_handle(handle)
        and given == {key: value for key, value in _entries(handle).items() if value}
    ):
        return handle
    found = dict(entries)
    if is_handle(found.get("token")):
        found["token"] = CredentialRef(found["token"]).resolve()[0]
    if is_handle(found.get("creds")):
        found["creds"] = CredentialRef(found["creds"]).resolve()[1]
    return found
