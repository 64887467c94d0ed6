"""Which encoding a new lake's image column gets, by what the files are; a column holds one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, ImageError
from deeplake_mmdet.lake.images.headers import most_bytes
from deeplake_mmdet.lake.images.regular_files import read_regular
from deeplake_mmdet.lake.images.signatures import detect_format
from deeplake_mmdet.transfer.ahead import blocks_of_files, read_ahead
from deeplake_mmdet.transfer.decoder import check_image

__all__ = ["CONVERT_MODES", "Encoding", "choose_encoding", "detect_format", "read_file"]

CONVERT_MODES = ("auto", "never")
HEAD_BYTES = 12
_NAMED = 5  # files that are named as the reason for a conversion
_FEW = 10  # JPEGs are few where there are more than so many PNGs for each


@dataclass(frozen=True)
class Encoding:
    """How a lake will hold its images.

    Attributes:
        format: ``'jpeg'`` or ``'png'``.
        convert: Whether images of other encodings are converted; else they are refused.
        because: If JPEGs must be converted, the first few files that are the reason.
        because_of: How many those are in all.
    """

    format: str
    convert: bool = True
    because: tuple[str, ...] = ()
    because_of: int = 0


def read_file(path: Path, size: int | None = None) -> bytes:
    """Read a regular file, or its first bytes. A pipe or a device is not waited for.

    Args:
        path: The file.
        size: How many bytes to read at most; None for all.

    Raises:
        CredentialError, StorageError: It is in a bucket, whose storage failed.
        ImageError: It is missing, no file, empty, unreadable or longer than `most_bytes`. ``what`` is the
            reason alone, the same for all files, and ``where`` the file with details.
    """
    try:
        data = read_regular(path, size, most=most_bytes())
    except DeepLakeMMDetError:  # of a storage, and no word about the file
        raise
    except FileNotFoundError:
        raise ImageError("image file is missing", where=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ImageError("image file cannot be read", where=f"{path} ({reason})") from None
    if not data:
        raise ImageError("image file is empty", where=str(path))
    return data


def choose_encoding(paths: Iterable[Path], convert: str = "auto", workers: int | None = None) -> Encoding:
    """JPEG if any image is JPEG, so that those stay as they are; else PNG.

    The others can be converted to either without loss. As PNG, a JPEG takes five to fifteen times its bytes,
    and so JPEGs are converted only where they are few, less than one for ten PNGs. A file that OpenCV cannot
    decode has no say. Without conversion, the more frequent of the two.

    Args:
        paths: The files. Those that are missing do not count: they are refused by name later.
        convert: ``'auto'``, or ``'never'``.
        workers: Threads that read; by default one per core.

    Raises:
        ConfigError: ``convert`` is neither.
    """
    if convert not in CONVERT_MODES:
        raise ConfigError(f"'convert' is {convert!r}", where="convert", advice="Choose auto or never")
    counts: Counter[str] = Counter()
    others: list[Path] = []
    sound = False  # whether one of the others can be decoded
    # In threads: of a file system that is far away, each file takes a while.
    blocks = read_ahead(
        blocks_of_files(paths, lambda path: None), lambda block: [*map(_kind, block)], workers
    )
    for path, kind in (pair for block, kinds in blocks for pair in zip(block, kinds, strict=True)):
        if kind is None:
            continue
        counts[kind] += 1
        if kind == "jpeg":
            continue
        if len(others) < _NAMED:
            others.append(path)
        if convert == "auto" and not sound:
            sound = _decodes(path)
            if not sound:
                others.remove(path)
    if convert == "never":
        return Encoding("png" if counts["png"] > counts["jpeg"] else "jpeg", convert=False)
    if not sound or 0 < counts["jpeg"] * _FEW >= counts["png"]:
        return Encoding("jpeg")
    if not counts["jpeg"]:
        return Encoding("png")
    return Encoding("png", True, tuple(map(str, others)), counts.total() - counts["jpeg"])


def _kind(path: Path) -> str | None:
    """The encoding, empty if it has no name; None of what cannot be read."""
    try:
        return detect_format(read_file(path, HEAD_BYTES)) or ""
    except ImageError:
        return None


def _decodes(path: Path) -> bool:
    try:
        check_image(read_file(path))
    except ImageError:
        return False
    return True
