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
_WHERE = "dataset key 'cache'"
_ADVICE = "write cache='20GB', or cache=dict(size='20GB', folder='/fast/disk')"


@dataclass(frozen=True)
class CacheSettings:
    """Size and place of a cache of chunks.

    Attributes:
        size: Bytes that all its files together may take.
        folder: Where they lie: a folder that may hold other things as well.
    """

    size: int
    folder: Path


def read_cache_settings(given: Any) -> CacheSettings | None:
    """Understand the key ``cache``.

    Args:
        given: None or False for no cache, a size, or a mapping of ``size`` and ``folder``. A size is a number
            of bytes or a text such as ``'500MB'`` or ``'1.5TB'`` (``'2GiB'`` counts by 1024).

    Raises:
        ConfigError: It is something else.
    """
    if given is None or given is False:
        return None
    folder = None
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - {"size", "folder"})
        if unknown or "size" not in given:
            what = f"has no key {unknown[0]!r}" if unknown else "has no size"
            raise ConfigError(f"The cache {what}: {dict(given)}", where=_WHERE, advice=_ADVICE)
        given, folder = given["size"], given.get("folder")
        if folder is not None and (not isinstance(folder, str | Path) or not str(folder).strip()):
            raise ConfigError(f"The cache's folder is {folder!r}", where=_WHERE, advice=_ADVICE)
        if folder is not None and "://" in str(folder):
            raise ConfigError(
                f"The cache's folder is an address, {folder}", where=_WHERE, advice="name a local folder"
            )
    place = cache_folder() if folder is None else Path(folder).expanduser().absolute()
    return CacheSettings(_bytes(given), place)


def human_bytes(count: float) -> str:
    """A number of bytes for people, e.g. ``'1.5 GB'``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _bytes(given: Any) -> int:
    size = -1
    if isinstance(given, int) and not isinstance(given, bool):
        size = given
    elif isinstance(given, str) and (match := _SIZE.fullmatch(given.strip())):
        base = 1024 if match[3] else 1000
        size = int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))
    if size <= 0:
        raise ConfigError(f"The cache's size is {given!r}", where=_WHERE, advice=_ADVICE)
    return size
