"""Zip files, read member by member; those that were made to do harm are refused as they are opened."""

from __future__ import annotations

import errno
import re
import stat
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.archives.mounts import Archive

__all__ = ["ZipFiles", "looks_like_zip"]

_MARKS = (b"PK\x03\x04", b"PK\x05\x06")  # of a zip file, and of one without files
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 1, 1 << 11  # flags
_HEADER = 30  # bytes in front of a member, besides its name
# What files hardly reach: unpacked bytes of one and of all, and how many times they are the packed ones.
_ONE, _ALL, _TIMES = 2**26, 2**30, 200
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_MACS_OWN = ("__MACOSX/",)  # what macOS adds: no files of the user's


def looks_like_zip(path: Path) -> bool:
    """Whether a file is called or begins like a zip file.

    Args:
        path: A regular file; what cannot be read is none.
    """
    if path.suffix.lower() == ".zip":
        return True
    try:
        with path.open("rb") as file:
            return file.read(4) in _MARKS
    except OSError:
        return False


def _name_of(member: zipfile.ZipInfo) -> str:
    """A member's name: that of UTF-8, which many write without saying so."""
    if member.flag_bits & _UTF8 or member.filename.isascii():
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


class ZipFiles(Archive):
    """The files of a zip file, which stays open. Memory is that of their names and places.

    Args:
        path: The zip file.

    Raises:
        SourceNotFoundError: It cannot be read.
        SourceFormatError: It is damaged, or cannot be trusted: it has encrypted files, links, names that lead
            out of it, two files of one name, files that share bytes, or unpacks to an unlikely size.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise SourceNotFoundError(
                f"The zip file cannot be read ({error.strerror or error})", where=str(path)
            ) from None
        except Exception as error:  # of several kinds, over bytes that make no sense
            raise SourceFormatError(
                f"The zip file is damaged or cut off ({error})", where=str(path), advice="copy it again"
            ) from None
        try:
            self._members = self._checked(path.stat().st_size)
        except BaseException:
            self._zip.close()
            raise
        super().__init__({name: member.file_size for name, member in self._members.items()})

    def read(self, name: str, size: int | None = None) -> bytes:
        """A file, or its first bytes; see `Archive.read`.

        Args:
            name: The file.
            size: How many bytes at most; None for all.

        Raises:
            OSError: There is no such file, it is damaged, or unpacks to an unlikely size.
        """
        length = self.size(name)
        member = self._members[name]
        if length > max(_ONE, _TIMES * member.compress_size):
            raise OSError(errno.EFBIG, f"it grows by more than {_TIMES} times as it is unpacked", name)
        if member.compress_type not in _PACKED:  # of others, a few bytes may unpack to any number at once
            raise OSError(errno.ENOTSUP, "it is packed in another way than by deflate", name)
        try:
            with self._zip.open(member) as file:
                # read() would trust the packed bytes; one more than stated checks an empty file's checksum
                data = file.read(length + 1 if size is None else size)
        except OSError:
            raise
        except Exception as error:  # of a dozen kinds, over bytes that make no sense
            raise OSError(errno.EBADMSG, f"it is damaged in the zip file: {error}", name) from None
        if len(data) < (length if size is None else min(size, length)):
            raise OSError(
                errno.EBADMSG, "it is damaged in the zip file: it has fewer bytes than stated", name
            )
        return data

    def _checked(self, length: int) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        ends: list[tuple[int, int, str]] = []
        total = 0
        for member in self._zip.infolist():
            name = _name_of(member).replace("\\", "/")
            if _ABSOLUTE.match(name) or ".." in name.split("/"):
                self._refuse("has names that lead out of it", name)
            if member.flag_bits & _ENCRYPTED:
                self._refuse("is encrypted", name, "unpack it with its password, and give the folder")
            if stat.S_ISLNK(member.external_attr >> 16):
                self._refuse("holds links", name)
            if name.endswith("/") or name.startswith(_MACS_OWN):
                continue
            name = "/".join(part for part in name.split("/") if part not in ("", "."))
            if name in members:
                self._refuse("has two files of one name", name)
            members[name] = member
            start = member.header_offset
            ends.append((start, start + _HEADER + len(member.orig_filename) + member.compress_size, name))
            total += member.file_size
        ends.sort()
        for (_, end, _), (start, _, name) in pairwise(ends):
            if start < end:
                self._refuse("has files that share bytes with others, as zip bombs have", name)
        if total > max(_ALL, _TIMES * length):
            self._refuse("is a zip bomb, by the sizes that it states", f"{length} bytes, unpacked {total}")
        return members

    def _refuse(
        self, what: str, which: str, advice: str = "unpack it with a tool that you trust, and give the folder"
    ) -> NoReturn:
        raise SourceFormatError(
            f"The zip file {what}; nothing of it was read",
            where=f"{self._path}, {which!r:.200}",
            advice=advice,
        )
