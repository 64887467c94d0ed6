"""Objects of a bucket by obstore, read by the identity that Deep Lake has there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from deeplake_mmdet.errors import CredentialError
from deeplake_mmdet.lake.calls import faults
from deeplake_mmdet.lake.direct.clouds import LeftToDeepLake, Stores, stores_of
from deeplake_mmdet.lake.direct.column_files import is_switched_off
from deeplake_mmdet.lake.source.credentials import CredentialRef
from deeplake_mmdet.lake.source.identities import STORAGES, identity_of

__all__ = ["ObjectStore", "open_store"]

_MD5 = re.compile(r"[0-9a-f]{32}")
_RETRIES = 1
# Where obstore's threads run. A process that is forked from there has none, and would wait for them for ever.
_home: int | None = None
_told: set[str] = set()

_log = logging.getLogger("deeplake_mmdet")


class ObjectStore:
    """The objects below one address. Never pickled: it holds the keys. Safe to use from several threads.

    Args:
        stores: obstore's: identities of which the first that is known to the storage is the right one; or
            what makes them, at the first read.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get(self, name: str) -> memoryview:
        """A whole object.

        Args:
            name: Below the address.

        Raises:
            Exception: obstore's, if it cannot be had in a quarter of the reads' deadline.
        """
        return memoryview(self._found(name).bytes())

    def get_with_sum(self, name: str) -> tuple[memoryview, str]:
        """A whole object, and the MD5 checksum that the storage has for it (hex digits, or empty).

        What an object's ETag is depends on how it was stored: not of all that look like one it is the sum.

        Args:
            name: Below the address.

        Raises:
            Exception: As `get`.
        """
        found = self._found(name)
        tag = str(found.meta.get("e_tag") or "").removeprefix("W/").strip('"').lower()
        return memoryview(found.bytes()), tag if _MD5.fullmatch(tag) else ""

    def get_start(self, name: str, size: int) -> memoryview:
        """The first bytes of an object.

        Args:
            name: Below the address.
            size: How many; the object has as many.

        Raises:
            Exception: As `get`.
        """
        import obstore

        return memoryview(self._first(lambda store: obstore.get_range(store, name, start=0, length=size)))

    def sizes(self) -> dict[str, int]:
        """The lengths of all objects below the address, in bytes, by name.

        Raises:
            Exception: As `get`.
        """
        import obstore

        def listed(store: Any) -> dict[str, int]:
            return {one["path"]: one["size"] for some in obstore.list(store) for one in some}

        found: dict[str, int] = self._first(listed)
        return found

    def size(self, name: str) -> int:
        """The length of an object in bytes.

        Args:
            name: Below the address.

        Raises:
            Exception: As `get`.
        """
        import obstore

        return int(self._first(lambda store: obstore.head(store, name))["size"])

    def _found(self, name: str) -> Any:
        import obstore

        return self._first(lambda store: obstore.get(store, name))

    def _first(self, ask: Callable[[Any], Any]) -> Any:
        """What the first identity gets that the storage knows."""
        stores = self._stores
        if callable(stores):
            stores = self._stores = stores()
        *others, last = stores
        for store in others:
            try:
                found = ask(store)
            except Exception:  # whatever stands in the way of this identity, the next one shows
                continue
            self._stores = [store]
            return found
        found = ask(last)
        self._stores = [last]
        return found

    def __reduce__(self) -> Any:
        raise TypeError("An open store cannot be pickled: it holds keys")

    def __repr__(self) -> str:
        return "ObjectStore()"


def open_store(url: str, credentials: CredentialRef) -> ObjectStore | None:
    """The store below an address of S3, Google or Azure; asks nothing of the network.

    None if it is another kind of storage, if something is given that only Deep Lake understands, if obstore
    is missing, or boto3 where it is needed, or if this process was forked from one that uses it. The log says
    so once if it may come as a surprise.

    Args:
        url: The lake's address.
        credentials: What opens the lake.
    """
    global _home
    address = urlsplit(url)
    storage = STORAGES.get(address.scheme)
    if storage is None or is_switched_off() or _home not in (None, os.getpid()):
        return None
    try:
        import obstore.store  # noqa: F401
    except ImportError:
        return None
    try:
        _, given = credentials.resolve()
    except CredentialError:
        return None
    who = identity_of(url, given)
    assert who is not None
    patience = timedelta(seconds=faults.deadline_seconds() / 4)
    common = {
        "client_options": {"timeout": patience},
        "retry_config": {"max_retries": _RETRIES, "retry_timeout": patience},
    }
    try:
        stores = stores_of(storage, address, given, who, common)
    except LeftToDeepLake as reason:
        _tell(f"{address.scheme}://{address.netloc}", who.way.value, str(reason))
        return None
    except Exception as error:  # not its text, in which a key may stand
        _tell(f"{address.scheme}://{address.netloc}", who.way.value, type(error).__name__)
        return None
    _home = os.getpid()
    return ObjectStore(stores)


def _tell(bucket: str, way: str, reason: str) -> None:
    text = f"{bucket}: images are read through Deep Lake only ({way}): {reason}"
    if text not in _told:
        _told.add(text)
        _log.info("%s", text)
