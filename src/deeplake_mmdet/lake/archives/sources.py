"""What users name as the source of an import: a folder or file, a zip file, or an address of a bucket."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, CredentialError, login_of, without_secrets
from deeplake_mmdet.lake.archives.bucket_files import BucketFiles
from deeplake_mmdet.lake.archives.mounts import Archive, mount
from deeplake_mmdet.lake.archives.zip_files import ZipFiles, looks_like_zip
from deeplake_mmdet.lake.source.identities import STORAGES

__all__ = ["Sources", "is_address"]

_ADDRESS = re.compile(rf"({'|'.join(STORAGES)}):/{{1,2}}(?=[^/])", re.IGNORECASE)  # a Path has one slash
_FILES = (".json", ".gz", ".xml")
_THREADS = 32  # that wait for a network, not for a core


def is_address(given: str | Path) -> bool:
    """Whether this is an address of a bucket.

    Args:
        given: A path or an address.
    """
    return _ADDRESS.match(str(given)) is not None


class Sources:
    """Opens the archives among an import's sources; they stay open as long as this object lives.

    Args:
        creds: Storage options for addresses, as Deep Lake takes them; None for the environment's.
    """

    def __init__(self, creds: Mapping[str, str] | None = None) -> None:
        self._creds = creds
        self._held: dict[Path, Archive] = {}

    @property
    def threads(self) -> int | None:
        """How many threads should read, if it is not one for each core."""
        return _THREADS if any(isinstance(archive, BucketFiles) for archive in self._held.values()) else None

    def path(self, given: str | Path) -> Path:
        """The path by which to look for and read what was given.

        Args:
            given: A path, which may be that of a zip file or lead on into one (``set.zip/train``); or an
                address, of one object if it ends in ``.json`` or so, else of all below it.

        Raises:
            SourceNotFoundError, SourceFormatError: A zip file cannot be read, or cannot be trusted; nothing
                is at an address.
            ConfigError: An address of a zip file.
            CredentialError: The address holds a secret, or the storage refused access.
            StorageError, InstallError: As `BucketFiles`.
        """
        if found := _ADDRESS.match(str(given)):
            return self._at_address(f"{found[1].lower()}://{str(given)[found.end() :]}")
        path = Path(given)
        archive = next((place for place in (path, *path.parents) if _is_archive(place)), None)
        if archive is not None:
            self._hold(archive, partial(ZipFiles, archive))
        return path

    def _at_address(self, address: str) -> Path:
        if login_of(*address.split("://", 1)):
            raise CredentialError(
                "The address holds a user name or a password",
                where=without_secrets(address),
                advice="give the address alone, and the keys by the environment or creds=",
            )
        ending = Path(address).suffix.lower()
        if ending == ".zip":
            raise ConfigError(
                "Zip files are read from disks only",
                where=without_secrets(address),
                advice="copy it to this machine, or its files into the bucket",
            )
        path = Path(address)
        make = partial(BucketFiles, address, self._creds, is_file=ending in _FILES)
        self._hold(path, make)
        return path

    def _hold(self, path: Path, make: Callable[[], Archive]) -> None:
        if path not in self._held:
            self._held[path] = make()
            mount(path, self._held[path])


def _is_archive(path: Path) -> bool:
    try:
        return path.is_file() and looks_like_zip(path)
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return False
