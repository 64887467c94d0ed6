"""Annotation files of JSON: what they hold, or why they cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake.images.regular_files import read_regular

__all__ = ["load_json"]

# How a file of another kind begins, in lower case, and what it is.
_OTHERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "fetch it with 'git lfs pull'"),
    (b"pk\x03\x04", "is a ZIP archive", "unpack it"),
    (b"<!doctype html", "is an HTML page, as servers send in place of a file", "download the file again"),
    (b"<html", "is an HTML page, as servers send in place of a file", "download the file again"),
    (b"<", "is XML, not JSON", "Pascal VOC data sets are imported with 'import voc'"),
)

_HEAD = 4096
_UNPACKED, _UNPACKED_TIMES = 2**26, 200  # bytes; what annotations hardly reach
_CUT = 20  # at the end of a file that was cut off, so many characters may belong to a number or word


def load_json(path: Path) -> Any:
    """Load a JSON file in UTF-8, UTF-16 or UTF-32, plain or compressed by gzip.

    A byte order mark may stand before it; ``NaN`` and ``Infinity`` are taken as numbers.

    Args:
        path: The file.

    Returns:
        The value that it holds: a dict, list, text, number, bool or None.

    Raises:
        SourceNotFoundError: The file is missing or cannot be read.
        SourceFormatError: It is no JSON, with the cause: damaged, cut off, of another kind, nested beyond
            reason.
    """
    data = _unpacked(_bytes_of(path), path)
    if not data.strip():
        raise _fault("is empty", path)
    begin = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for mark, what, advice in _OTHERS:
        if begin.startswith(mark):
            raise _fault(what, path, advice)
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        cause, hint = _cause(error)
        raise _fault(f"is not JSON: {cause}", path, hint) from None
    except UnicodeDecodeError as error:
        raise _fault(f"is not in UTF-8 ({error})", path, "save it in UTF-8") from None
    except ValueError as error:  # numbers of more than 4300 digits
        raise _fault(f"holds a value that cannot be read ({error})", path) from None
    except RecursionError:
        raise _fault("is nested too deep to be read", path) from None


def _bytes_of(path: Path) -> bytes:
    try:
        # A file with holes in it may be longer than any memory.
        return read_regular(path) if read_regular(path, _HEAD).strip(b"\0") else b""
    except FileNotFoundError:
        raise SourceNotFoundError("There is no such annotation file", where=str(path)) from None
    except DeepLakeMMDetError:  # of a storage, and no word about the file
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise SourceNotFoundError(
            f"The annotation file cannot be read ({reason})", where=str(path)
        ) from error


def _unpacked(data: bytes, path: Path) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            most = max(_UNPACKED, _UNPACKED_TIMES * len(data))
            unpacked = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _fault(f"is compressed by gzip and damaged ({error})", path, "copy it again") from None
    if len(unpacked) > most:
        raise _fault(
            f"is compressed by gzip and grows by more than {_UNPACKED_TIMES} times", path, "unpack it"
        )
    return unpacked


def _cause(error: json.JSONDecodeError) -> tuple[str, str | None]:
    place = f"line {error.lineno}, column {error.colno}"
    text, rest = error.doc[: error.pos], error.doc[error.pos :]
    if error.msg == "Extra data":
        return f"something follows its end ({place})", "give one JSON value, not one for each line"
    cut = len(rest) < _CUT and error.doc.rstrip()[-1:] not in ("]", "}")
    if cut or error.msg.startswith("Unterminated string") or not rest.strip():
        return f"it breaks off ({place})", "it may not be copied whole: copy it again"
    comma = re.search(r",\s*$", text[-1000:])
    if (comma and rest[0] in "]}") or error.msg.startswith("Illegal trailing comma"):
        return f"a comma stands before a closing bracket ({place})", "remove the comma"
    if rest.startswith("'"):
        return f"texts stand in single quotes ({place})", "write it with a JSON library"
    return f"{error.msg} ({place})", None


def _fault(what: str, path: Path, advice: str | None = None) -> SourceFormatError:
    return SourceFormatError(f"The annotation file {what}", where=str(path), advice=advice)
