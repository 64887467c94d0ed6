"""Pinned sources of opened datasets, under an address that a config may hold."""

from __future__ import annotations

import secrets
from typing import Any

from deeplake_mmdet.errors import SourceNotFoundError
from deeplake_mmdet.lake.source.source import ResolvedSource

__all__ = ["SCHEME", "CarriedSource", "carried", "carry"]

SCHEME = "opened://"

_carried: dict[str, ResolvedSource] = {}


def carry(resolved: ResolvedSource) -> str:
    """Remember a pinned source in this process.

    Args:
        resolved: The pinned source.

    Returns:
        An address (``opened://...``) by which a config may name it.
    """
    for address, known in _carried.items():
        if known == resolved:
            return address
    address = SCHEME + secrets.token_hex(8)
    _carried[address] = resolved
    return address


def carried(address: str) -> ResolvedSource:
    """Look up the pinned source that an address stands for, see `carry`.

    Args:
        address: ``opened://...``.

    Raises:
        SourceNotFoundError: This process knows no such address: another one has made it.
    """
    found = _carried.get(address)
    if found is None:
        raise SourceNotFoundError(
            "This address stands for a dataset that another process had opened",
            where=f"dataset key 'path'={address!r}",
            advice="give the lake's path, version and query instead, or pass the opened dataset again",
        )
    return found


class CarriedSource:
    """Takes a carried source to another process, which then knows it by the same address.

    Args:
        address: What `carry` gave.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self._address, "resolved": carried(self._address)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._address = state["address"]
        _carried[self._address] = state["resolved"]
