"""Images that a lake holds as links to files elsewhere."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from deeplake_mmdet.errors import (
    ConfigError,
    CredentialError,
    DeepLakeMMDetError,
    ImageError,
    StorageError,
    login_of,
    without_secrets,
)
from deeplake_mmdet.lake.calls.faults import code_of, is_denied, is_transient, persist
from deeplake_mmdet.lake.calls.protocols import OpenLake
from deeplake_mmdet.lake.calls.storage_errors import cause_of
from deeplake_mmdet.lake.images.cell_reader import StoredCells
from deeplake_mmdet.lake.images.headers import most_bytes, stated_size
from deeplake_mmdet.lake.images.lossless import encode_array
from deeplake_mmdet.lake.images.regular_files import read_regular
from deeplake_mmdet.lake.images.signatures import JPEG, PNG

__all__ = [
    "LINKS_VARIABLE",
    "is_inside",
    "lead_elsewhere",
    "read_addresses",
    "read_links",
    "sizes_of_links",
]

_Found = TypeVar("_Found")

LINKS_VARIABLE = "DEEPLAKE_MMDET_LINKS"
_STORES = ("s3", "gs", "gcs", "azure", "az", "abfs", "al", "hub")  # whose hosts no link can name
_AT_ONCE = 16  # files that one call fetches at a time: most of it is waiting for a server
_HEADER = 2**16  # bytes of a file, in which its size stands nearly always


def read_addresses(handle: OpenLake, column: str, rows: list[int]) -> list[str]:
    """Read the addresses that a column of links holds.

    Args:
        handle: Open lake.
        column: Name of the column of links.
        rows: Row numbers.

    Returns:
        One address for each row, as stored; empty where a row has none.

    Raises:
        DeepLakeMMDetError: As `CellReader.get_bytes`.
        UnicodeDecodeError: An address is not UTF-8.
    """
    return [(data or b"").decode() for data in StoredCells(lambda: handle, column).get_bytes(rows)]


def lead_elsewhere(handle: OpenLake, column: str) -> bool:
    """Whether a column's links are addresses of other machines, by the first, the middle and the last row.

    Args:
        handle: Open lake.
        column: Name of the column of links.

    Raises:
        DeepLakeMMDetError: As `CellReader.get_bytes`.
    """
    count = len(handle)
    rows = sorted({0, count // 2, count - 1}) if count else []
    return any(address and _local(address) is None for address in read_addresses(handle, column, rows))


def read_links(
    handle: OpenLake, column: str, rows: Sequence[int], addresses: Sequence[str]
) -> list[bytes | ImageError | None]:
    """The encoded images that the links of some rows lead to.

    A local file is read as it is. Deep Lake fetches any other address and gives decoded pixels only, which
    are served in a lossless container.

    Args:
        handle: Open lake.
        column: Name of the column of links.
        rows: Row numbers.
        addresses: The address of each row, see `read_addresses`.

    Returns:
        One entry for each row; None where there is no address. An error, not raised, where there is no such
        file, where it is not JPEG or PNG, or where ``DEEPLAKE_MMDET_LINKS`` forbids the link.

    Raises:
        ConfigError: ``DEEPLAKE_MMDET_LINKS`` has an unknown value.
        CredentialError: The storage refused access and said so; web servers' refusals are a StorageError.
        StorageError: The storage refused or failed, or did not answer within the deadline.
    """
    return _for_each(_read_link, handle, column, rows, addresses)


def sizes_of_links(
    handle: OpenLake, column: str, rows: Sequence[int], addresses: Sequence[str]
) -> list[tuple[int, int] | ImageError | None]:
    """Sizes of the images that the links of some rows lead to.

    They are read from the headers of local files; files elsewhere are fetched as a whole.

    Args:
        handle: Open lake.
        column: Name of the column of links.
        rows: Row numbers.
        addresses: The address of each row, see `read_addresses`.

    Returns:
        (height, width) of the stored pixels for each row; None or an error, not raised, as `read_links`.

    Raises:
        ConfigError, CredentialError, StorageError: As `read_links`.
    """
    return _for_each(_size_of_link, handle, column, rows, addresses)


def _for_each(
    look: Callable[[Any, str, int, str], _Found],
    handle: OpenLake,
    column: str,
    rows: Sequence[int],
    addresses: Sequence[str],
) -> list[_Found | ImageError | None]:
    def found(row: int, address: str) -> _Found | ImageError | None:
        try:
            return look(handle, column, row, address) if address else None
        except ImageError as error:
            return error

    remote = sum(bool(address) and _local(address) is None for address in addresses)
    if remote < 2:
        return list(map(found, rows, addresses))
    with ThreadPoolExecutor(min(remote, _AT_ONCE), "deeplake-mmdet-links") as threads:
        return list(threads.map(found, rows, addresses))


def _read_link(handle: OpenLake, column: str, row: int, address: str) -> bytes:
    where = _where(column, row, address)
    path = _local(address)
    _check_allowed(path, address, where)
    if path is None:
        return encode_array(_fetch(handle, column, row, address), where)
    return _read_file(path, where)


def _read_file(path: Path, where: str, size: int | None = None) -> bytes:
    """A local image file, or its first bytes."""
    try:
        data = read_regular(path, size, most=most_bytes())
    except FileNotFoundError:
        raise _missing(where) from None
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EFBIG):
            raise _foreign(where, f"; {error.strerror}") from None
        raise StorageError(f"The linked file cannot be read ({error.strerror})", where=where) from None
    except ValueError:  # a zero byte in the name
        raise _missing(where) from None
    if not data.startswith((JPEG, PNG)):
        raise _foreign(where)
    return data


def _size_of_link(handle: OpenLake, column: str, row: int, address: str) -> tuple[int, int]:
    where = _where(column, row, address)
    path = _local(address)
    _check_allowed(path, address, where)
    if path is None:
        height, width = _fetch(handle, column, row, address).shape[:2]
        return int(height), int(width)
    size = stated_size(_read_file(path, where, _HEADER)) or stated_size(_read_file(path, where))
    if size is None or 0 in size:
        raise _foreign(where)
    return size[1], size[0]


def _local(address: str) -> Path | None:
    """The file of a local address; None for all others."""
    scheme, found, path = address.partition("://")
    if found and scheme.lower() != "file":
        return None
    return Path(path if found else address).expanduser()


def _check_allowed(path: Path | None, address: str, where: str) -> None:
    """Refuse what ``DEEPLAKE_MMDET_LINKS`` forbids.

    ``all`` (the default) allows any link, for lakes of links to files on this machine or in its network are
    common. ``remote`` forbids local files and machines of this network, ``none`` all links.

    Raises:
        ImageError: It is forbidden.
        ConfigError: The variable has another value.
    """
    allowed = os.environ.get(LINKS_VARIABLE, "").strip().lower() or "all"
    if allowed not in ("all", "remote", "none"):
        raise ConfigError(
            f"Links cannot be {allowed!r}",
            where=f"environment variable {LINKS_VARIABLE}",
            advice="choose all, remote or none",
        )
    if allowed == "none":
        kind = "links"
    elif allowed == "remote" and path is not None:
        kind = "links to files of this machine"
    elif allowed == "remote" and is_inside(address):
        kind = "links into this machine's network"
    else:
        return
    raise ImageError(
        f"{LINKS_VARIABLE}={allowed} forbids {kind}",
        where=where,
        advice=f"set {LINKS_VARIABLE}=all if you trust whoever made the lake",
    )


def is_inside(address: str) -> bool:
    """Whether an address leads to this machine or its own network.

    Args:
        address: Path or address. Buckets (``s3://`` and others) are outside; web addresses go by what their
            host's name resolves to.

    Returns:
        True also for unknown schemes, and for hosts that cannot be resolved.
    """
    scheme = address.partition("://")[0].lower()
    if scheme in _STORES:
        return False
    if scheme not in ("http", "https"):
        return True
    try:
        found = socket.getaddrinfo(urlsplit(address).hostname or "", None)
        return not all(ipaddress.ip_address(str(entry[4][0])).is_global for entry in found)
    except (OSError, ValueError):
        return True


def _fetch(handle: OpenLake, column: str, row: int, address: str) -> Any:
    where = _where(column, row, address)
    if address.partition("?")[0].lower().endswith(".png"):
        raise ImageError(
            "Deep Lake decodes linked PNG files wrongly if they have a palette or 16 bit",
            where=where,
            advice="copy these files to a local folder, or import them into the lake",
        )
    try:
        # Started and polled also where the lake itself is local: the link's server may be silent.
        pixels = persist(lambda: handle[column].get_async([row]), where, may_pass=_may_pass)[0]
    except KeyError:
        raise _missing(where) from None
    except MemoryError:
        raise ImageError("The linked image has more pixels than Deep Lake decodes", where=where) from None
    except DeepLakeMMDetError:
        raise
    except Exception as error:  # of many kinds without a common base; their text may hold credentials
        if code_of(error) != "AccessDenied" and (cause := cause_of(error, where)) is not None:
            raise cause from None
        if is_denied(error):
            raise CredentialError(
                "The storage of a linked file refused access",
                where=where,
                advice="set the credentials of that storage in the environment, or import the files",
            ) from None
        raise StorageError(
            f"The linked file cannot be fetched ({type(error).__name__})",
            where=where,
            advice="check that this machine may read the address: Deep Lake does not tell whether access was "
            "refused or the server failed",
        ) from None
    if pixels is None or np.ndim(pixels) != 3:  # what cannot be decoded comes as one or the other
        raise _foreign(where)
    return pixels


def _may_pass(error: BaseException) -> bool:
    # All that Deep Lake says of any status but 404.
    return is_transient(error) or "storage reader error" in str(error).lower()


def _missing(where: str) -> ImageError:
    return ImageError("The link leads to no file", where=where, advice="restore the file or delete the row")


def _foreign(where: str, why: str = "") -> ImageError:
    return ImageError(
        f"The linked file is not a JPEG or PNG image{why}",
        where=where,
        advice="convert the file or delete the row",
    )


def _where(column: str, row: int, address: str) -> str:
    # The whole address is one: what stands behind a blank in it must not be shown either.
    login = login_of(*address.split("://", 1)) if "://" in address else ""
    return f"column {column!r}, row {row}, link {without_secrets(address.replace(login, '', 1))!r}"
