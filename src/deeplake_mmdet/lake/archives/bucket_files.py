"""The objects below an address of S3, Google or Azure as files, read as Deep Lake would be known there."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from deeplake_mmdet.errors import (
    CredentialError,
    DeepLakeMMDetError,
    InstallError,
    SourceNotFoundError,
    StorageError,
)
from deeplake_mmdet.lake.archives.mounts import Archive
from deeplake_mmdet.lake.calls.faults import deadline_seconds, pause_before_retry
from deeplake_mmdet.lake.calls.storage_errors import cause_of
from deeplake_mmdet.lake.direct.object_store import ObjectStore, open_store
from deeplake_mmdet.lake.source.credentials import CredentialRef, put_away

__all__ = ["BucketFiles"]

Out = TypeVar("Out")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
_FOR_GOOD = re.compile(r"status code: 4(?!08|29)\d\d")  # but for "too long" and "too many requests"
_XML, _SMALL = ".xml", 2**20  # Pascal VOC has a small file for each image
_TOGETHER, _AT_ONCE = 512, 32
_REFUSED = ("PermissionDeniedError", "UnauthenticatedError")
_ADVICE = "check the address, the keys in the environment and --endpoint-url (creds=)"


class BucketFiles(Archive):
    """The objects below an address. They are listed once; memory is that of their names.

    Args:
        address: ``s3://bucket/prefix``, or one of the other storages.
        creds: Storage options as Deep Lake takes them; None for the environment's.
        is_file: Whether the address is that of one object.

    Raises:
        CredentialError, StorageError: The storage refused access, failed, or was silent.
        SourceNotFoundError: Nothing is there.
        InstallError: obstore cannot read this address.
    """

    def __init__(self, address: str, creds: Mapping[str, str] | None, *, is_file: bool = False) -> None:
        self._address = address.rstrip("/")
        self._only = ""
        if is_file:
            self._address, _, self._only = self._address.rpartition("/")
        credentials = CredentialRef(put_away(creds) if creds else None)
        store = open_store(self._address, credentials)
        if store is None:
            raise InstallError(
                "This address cannot be read here: obstore, or boto3 for a profile, is missing or switched "
                "off, or does not understand the credentials (the log says which at level INFO)",
                where=self._address,
                advice="install them, unset DEEPLAKE_MMDET_DIRECT, or copy the files to a folder",
            )
        self._store: ObjectStore = store
        try:
            if is_file:
                sizes = {"": self._asked(lambda: store.size(self._only))}
            else:
                listed = self._asked(store.sizes)
                # Some tools put an empty object in the place of a folder.
                sizes = {name: size for name, size in listed.items() if name and (size or "." in name)}
        except DeepLakeMMDetError:  # which may be a FileNotFoundError as well
            raise
        except FileNotFoundError:
            raise SourceNotFoundError("There is no such object", where=address) from None
        if not sizes:
            raise SourceNotFoundError("There are no objects below this address", where=self._address)
        super().__init__(sizes)
        self._fetching = threading.Lock()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # for as long as this lives
        weakref.finalize(self, self._file.close)
        self._kept: dict[str, tuple[int, int]] = {}
        self._others = (one for one, size in sizes.items() if _is_small(one, size))

    def read(self, name: str, size: int | None = None) -> bytes:
        """An object, or its first bytes; see `Archive.read`.

        Args:
            name: The object.
            size: How many bytes at most; None for all.

        Raises:
            OSError: There is no such object.
            CredentialError, StorageError: The storage refused access, failed, or was silent.
        """
        length = self.size(name)
        if _is_small(name, length):
            return self._small(name)[:size]
        name = name or self._only
        if not length or size == 0:
            return b""
        if size is None or size >= length:
            data = bytes(self._asked(lambda: self._store.get(name), name))
        else:
            data = bytes(self._asked(lambda: self._store.get_start(name, size), name))
        if len(data) != (length if size is None else min(size, length)):
            raise OSError(errno.EIO, "it was changed while it was read", name)
        return data

    def _small(self, name: str) -> bytes:
        """A file that is one of many: others are fetched with it, side by side, for later.

        They are read one by one, and twice, once for their class names; each would take its time on the way.
        """
        with self._fetching:
            if name not in self._kept:
                self._fetch(name)
            at, length = self._kept[name]
            self._file.seek(at)
            return self._file.read(length)

    def _fetch(self, name: str) -> None:
        missing = [
            name,
            *islice((one for one in self._others if one != name and one not in self._kept), _TOGETHER),
        ]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="annotation-reader") as pool:
            fetched = pool.map(lambda one: bytes(self._asked(lambda: self._store.get(one), one)), missing)
            for one, data in zip(missing, fetched, strict=True):
                at = self._file.seek(0, os.SEEK_END)
                self._file.write(data)
                self._kept[one] = at, len(data)

    def _asked(self, ask: Callable[[], Out], name: str = "") -> Out:
        """Ask the storage, again where that may help."""
        end = time.monotonic() + deadline_seconds()
        attempt = 0
        while True:
            try:
                return ask()
            except DeepLakeMMDetError:
                raise
            except Exception as error:
                attempt += 1
                is_lost = isinstance(error, FileNotFoundError) and not _NO_BUCKET.search(str(error))
                if is_lost:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
                if _FOR_GOOD.search(str(error)) or not pause_before_retry(attempt, end):
                    raise self._fault(error, name) from None

    def _fault(self, error: Exception, name: str) -> DeepLakeMMDetError:
        where = f"{self._address}/{name}".rstrip("/")
        # obstore quotes the storage's answer, in which no key stands, but addresses may hold signatures.
        found = _CODE.search(str(error))
        known = cause_of(RuntimeError(f"code={found[1]}"), where) if found else None
        if known is not None:
            return known
        if type(error).__name__ in _REFUSED:
            return CredentialError("The storage refused access", where=where, advice=_ADVICE)
        return StorageError(
            f"The storage did not answer properly ({found[1] if found else type(error).__name__})",
            where=where,
            advice=_ADVICE,
        )


def _is_small(name: str, length: int) -> bool:
    return length <= _SMALL and name.lower().endswith(_XML)
