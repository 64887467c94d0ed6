"""What a dataset's key ``cache`` says: how large the cache of chunks may get, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake.table.store import cache_folder

__all__ = ["CacheSettings", "human_bytes", "read_cache_settings"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b", re.IGNORECASE)


@dataclass(frozen=True)
class CacheSettings:
    """Size and place of a cache of chunks.

    Attributes:
        size: Bytes that all its files together may take.
        folder: Where they lie: a folder that may hold other things as well.
    """

    size: int
    folder: Path


def read_cache_settings(given: Any, key: str = "cache") -> CacheSettings | None:
    """Read the value of the key ``cache``, or of another key of the same form.

    Args:
        given: None or False for no cache, a size, or a mapping of ``size`` and ``folder``. A size is a number
            of bytes or a text such as ``'500MB'`` or ``'1.5TB'`` (``'2GiB'`` counts by 1024).
        key: The key's name, for errors.

    Returns:
        Size and folder; None for no cache.

    Raises:
        ConfigError: It is something else.
    """
    if given is None or given is False:
        return None
    told = {
        "where": f"dataset key {key!r}",
        "advice": f"write {key}='20GB', or {key}=dict(size='20GB', folder='/fast/disk')",
    }
    folder = None
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - {"size", "folder"})
        if unknown or "size" not in given:
            what = f"has no key {unknown[0]!r}" if unknown else "has no size"
            raise ConfigError(f"{key!r} {what}: {dict(given)}", **told)
        given, folder = given["size"], given.get("folder")
        if folder is not None and (not isinstance(folder, str | Path) or not str(folder).strip()):
            raise ConfigError(f"The folder of {key!r} is {folder!r}", **told)
        if folder is not None and "://" in str(folder):
            raise ConfigError(
                f"The folder of {key!r} is an address, {folder}",
                where=told["where"],
                advice="name a local folder",
            )
    place = cache_folder() if folder is None else Path(folder).expanduser().absolute()
    size = _bytes(given)
    if size <= 0:
        raise ConfigError(f"The size of {key!r} is {given!r}", **told)
    return CacheSettings(size, place)


def human_bytes(count: float) -> str:
    """A number of bytes for people, e.g. ``'1.5 GB'`` (1 GB is 10^9 bytes).

    Args:
        count: Number of bytes.
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _bytes(given: Any) -> int:
    """The bytes that a number or a text means; -1 for anything else."""
    size = -1
    if isinstance(given, int) and not isinstance(given, bool):
        size = given
    elif isinstance(given, str) and (match := _SIZE.fullmatch(given.strip())):
        base = 1024 if match[3] else 1000
        size = int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))
    return size
