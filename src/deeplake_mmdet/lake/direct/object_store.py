"""Objects of an S3 bucket by obstore, where the keys that Deep Lake would use are at hand."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from deeplake_mmdet.errors import CredentialError
from deeplake_mmdet.lake.calls import faults
from deeplake_mmdet.lake.direct.column_files import is_switched_off
from deeplake_mmdet.lake.source.credentials import CredentialRef

__all__ = ["ObjectStore", "open_store"]

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_REGIONS = ("aws_region", "region")
_ENDPOINT = "endpoint_url"
_MD5 = re.compile(r"[0-9a-f]{32}")
_RETRIES = 1
# Where obstore's threads run. A process that is forked from there has none, and would wait for them for ever.
_home: int | None = None


class ObjectStore:
    """The objects below one address. Never pickled: it holds the keys.

    Args:
        store: obstore's.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, name: str) -> memoryview:
        """A whole object.

        Raises:
            Exception: obstore's, if it cannot be had in a quarter of the reads' deadline.
        """
        import obstore

        return memoryview(obstore.get(self._store, name).bytes())

    def get_with_sum(self, name: str) -> tuple[memoryview, str]:
        """A whole object, and the MD5 checksum that the storage has for it (hex digits, or empty).

        What an object's ETag is depends on how it was stored: not of all that look like one it is the sum.
        """
        import obstore

        found = obstore.get(self._store, name)
        tag = str(found.meta.get("e_tag") or "").removeprefix("W/").strip('"').lower()
        return memoryview(found.bytes()), tag if _MD5.fullmatch(tag) else ""

    def __reduce__(self) -> Any:
        raise TypeError("An open store cannot be pickled: it holds keys")

    def __repr__(self) -> str:
        return "ObjectStore()"


def open_store(url: str, credentials: CredentialRef) -> ObjectStore | None:
    """The store below an address of S3; asks nothing of the network.

    None if it is another kind of storage, if keys are not given by ``credentials`` or the environment (Deep
    Lake knows more places), if something is given that only Deep Lake understands, if obstore is missing, or
    if this process was forked from one that uses it.

    Args:
        url: The lake's address.
        credentials: What opens the lake.
    """
    global _home
    address = urlsplit(url)
    if address.scheme != "s3" or is_switched_off() or _home not in (None, os.getpid()):
        return None
    try:
        import obstore.store as obstore_store
    except ImportError:
        return None
    try:
        _, given = credentials.resolve()
    except CredentialError:
        return None
    if set(given) - {*_KEYS, *_REGIONS, _ENDPOINT}:
        return None
    # Deep Lake, too, takes the environment's keys only where none are given.
    keys = {key: given.get(key) or "" for key in _KEYS}
    if not any(keys.values()):
        keys = {key: os.environ.get(key.upper(), "") for key in _KEYS}
    elif not keys["aws_session_token"] and os.environ.get("AWS_SESSION_TOKEN"):
        return None  # obstore would send this token, which belongs to other keys
    if not (keys["aws_access_key_id"] and keys["aws_secret_access_key"]):
        return None
    region = next((given[key] for key in _REGIONS if given.get(key)), None)
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    _home = os.getpid()
    patience = timedelta(seconds=faults.deadline_seconds() / 4)
    options: dict[str, Any] = {key: value for key, value in keys.items() if value}
    if endpoint := given.get(_ENDPOINT):
        options["endpoint"] = endpoint
    store = obstore_store.S3Store(
        address.netloc,
        prefix=address.path.strip("/"),
        region=region,
        virtual_hosted_style_request=False,
        client_options={"timeout": patience, "allow_http": str(endpoint).startswith("http://")},
        retry_config={"max_retries": _RETRIES, "retry_timeout": patience},
        **options,
    )
    return ObjectStore(store)
