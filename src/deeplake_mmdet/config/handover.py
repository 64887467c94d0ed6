"""Content that a file read by MMEngine takes as its base, without being written into a file.

A file would hold secrets in plain text, and could not hold every value that a config may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

__all__ = ["base_file", "handed_over"]

_CONTENT: dict[str, Mapping[str, Any]] = {}


@contextmanager
def base_file(content: Mapping[str, Any], path: Path) -> Iterator[None]:
    """Make a config file that says ``content`` as long as this lasts, and in this process only."""
    path.write_text(
        f"from {__name__} import handed_over\nglobals().update(handed_over({str(path)!r}))\n",
        encoding="utf-8",
    )
    _CONTENT[str(path)] = content
    try:
        yield
    finally:
        del _CONTENT[str(path)]


def handed_over(path: str) -> dict[str, Any]:
    """What such a file says."""
    return deepcopy(dict(_CONTENT[path]))
