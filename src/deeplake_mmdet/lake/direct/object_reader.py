"""Single objects of a lake's storage, through Deep Lake's own client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.errors import InstallError

__all__ = ["object_reader"]


def object_reader(url: str, creds: Mapping[str, str] | None = None, token: str | None = None) -> Any:
    """Deep Lake's reader of a folder or address, with ``get_async(name)`` and ``list_iter()``.

    Args:
        url: Of the lake.
        creds: Storage options as Deep Lake takes them.
        token: Of Activeloop's platform.

    Raises:
        InstallError: The installed Deep Lake has none: it is no documented part of it.
        Exception: As Deep Lake raises it.
    """
    try:
        # deeplake.storage is announced but bound to something else.
        from deeplake._deeplake.storage import Reader
    except ImportError:
        raise InstallError(
            "The installed Deep Lake does not give its storage's objects, by which v3 lakes are identified "
            "and lakes at addresses are written",
            where="deeplake._deeplake.storage.Reader",
            advice="pip install deeplake==4.7.4",
        ) from None
    return Reader(url, creds=creds, token=token) if token else Reader(url, creds=creds)
