"""Deep Lake's log of branches and columns: its records, read and written.

Nothing of it is documented. It lies in ``_deeplake_log``: a folder for each branch, and ``_meta`` with one
record for each change of branches, numbered; the number to be taken next stands in ``next_base``.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

__all__ = ["EMPTY", "LOG", "NEXT", "column_folders", "number_of", "record_name", "renaming", "unpacked"]

EMPTY = "0000000000v00000000"  # the version before the first commit
LOG = "_deeplake_log"
_META = f"{LOG}/_meta"
NEXT = f"{_META}/next_base"
_COLUMN = re.compile(rb'"createColumn":\{"i":(\d+)')
_FIRST = 2  # number of the first record after those of the lake's creation


def number_of(claimed: bytes) -> int:
    """The number that the next record of the log takes.

    Args:
        claimed: Content of the object `NEXT`, a little-endian number; empty if there is no such object.
    """
    return max(int.from_bytes(claimed, "little"), _FIRST)


def record_name(number: int) -> str:
    """Name of the object that holds a record, below the lake's address.

    Args:
        number: The record's number.
    """
    return f"{_META}/{number:010d}m00000000.jsonl"


def renaming(old: str, old_name: str, new: str, *, delete_old: bool, metadata: Mapping[str, Any]) -> bytes:
    """Make the record that renames a branch to ``main``.

    Args:
        old: Id of the branch that is ``main``.
        old_name: The name that it takes.
        new: Id of the branch that becomes ``main``.
        delete_old: Whether the old branch is deleted as well.
        metadata: Entries of the lake's metadata, by key.

    Returns:
        The record's object, lines of JSON.
    """
    lines = [
        {"commit": {"release": version("deeplake"), "clientTimestamp": int(time.time())}},
        {"renameBranch": {"id": old, "name": old_name}},
        {"renameBranch": {"id": new, "name": "main"}},
        *([{"deleteBranch": {"id": old}}] if delete_old else []),
        *_metadata_lines(metadata),
    ]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()


def column_folders(record: bytes, *, packed: bool) -> list[str]:
    """Names of the folders of the columns that a record of a branch's log creates: column ids to base 36.

    Args:
        record: Content of the record's object.
        packed: Whether it is compressed (its name ends in ``.lz4``), see `unpacked`.
    """
    text = unpacked(record) if packed else record
    return [np.base_repr(column, 36).lower() for column in map(int, _COLUMN.findall(text))]


def _metadata_lines(metadata: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of the log by which Deep Lake sets a lake's metadata, as it writes them itself."""
    import deeplake

    lake: Any = deeplake.create(f"mem://deeplake-mmdet-{secrets.token_hex(8)}")
    for key, value in metadata.items():
        lake.metadata[key] = value
    lake.commit()
    record = bytes(lake._reader.get(record_name(_FIRST)))
    for line in map(json.loads, record.splitlines()):
        if "commit" not in line:
            yield line


def unpacked(data: bytes) -> bytes:
    """Decompress a record of the log.

    Args:
        data: Four bytes that hold its length, then one LZ4 block.

    Returns:
        The record, lines of JSON.

    Raises:
        IndexError: The data is damaged; not all damage is noticed.
    """
    out, at = bytearray(), 4

    def length(total: int) -> int:
        nonlocal at
        more = total == 15
        while more:
            total += data[at]
            more = data[at] == 255
            at += 1
        return total

    while at < len(data):
        token = data[at]
        at += 1
        literals = length(token >> 4)
        out += data[at : at + literals]
        at += literals
        if at >= len(data):
            break
        offset = int.from_bytes(data[at : at + 2], "little")
        at += 2
        count = 4 + length(token & 15)
        start = len(out) - offset
        for place in range(start, start + count):  # may overlap what it makes
            out.append(out[place])
    return bytes(out)
