"""Addresses under which the file backend serves images of lakes."""

from __future__ import annotations

import re

from deeplake_mmdet.errors import ConfigError

__all__ = ["parse_uri"]

_URI = re.compile(r"deeplake://(?P<key>[0-9a-f]+)/(?P<column>.+)/(?P<row>\d+)\.\w+", re.DOTALL)


def parse_uri(uri: str) -> tuple[str, str, int]:
    """Split the address of an image.

    Args:
        uri: ``deeplake://<view key>/<column>/<row>.<extension>``.

    Returns:
        View key, column name and row number.

    Raises:
        ConfigError: It is no such address.
    """
    match = _URI.fullmatch(str(uri))
    if match is None:
        raise ConfigError(
            f"Not an image address: {uri!r}", advice="it reads deeplake://<view key>/<column>/<row>.<ext>"
        )
    return match["key"], match["column"], int(match["row"])
