"""Image files on their way into a lake: encoding, size, and a check that they decode, read ahead in order."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from deeplake_mmdet.errors import ConfigError, ImageError

__all__ = ["StoredImage", "detect_format", "find_format", "read_ahead", "read_image"]

_SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
_AHEAD = 4  # images held per thread

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class StoredImage:
    """An encoded image and the size of its stored pixels; an EXIF orientation is not applied."""

    data: bytes
    width: int
    height: int


def detect_format(head: bytes) -> str | None:
    """``'jpeg'`` or ``'png'`` by the first eight bytes, ``None`` for anything else."""
    return next((name for name, mark in _SIGNATURES.items() if head.startswith(mark)), None)


def find_format(paths: Iterable[Path]) -> str | None:
    """The one encoding of these files; files that are missing or of another kind do not count.

    Raises:
        ConfigError: Some are JPEG and some are PNG.
    """
    first: dict[str, Path] = {}
    counts: dict[str, int] = {}
    for path in paths:
        try:
            with path.open("rb") as file:
                found = detect_format(file.read(8))
        except OSError:
            continue  # refused by name when its turn to be imported comes
        if found:
            first.setdefault(found, path)
            counts[found] = counts.get(found, 0) + 1
    if len(counts) > 1:
        listing = ", ".join(
            f"{counts[name]} {name.upper()} (first: {first[name]})" for name in sorted(counts)
        )
        raise ConfigError(
            f"The images are of two encodings, and a lake holds one: {listing}",
            where=str(next(iter(first.values())).parent),
            advice="Import them as two lakes and join those with ConcatDataset, or convert the fewer ones",
        )
    return next(iter(counts), None)


def read_image(path: Path, encoding: str) -> StoredImage:
    """Read a file and decode it once, so that a truncated one is found now and not in training.

    Args:
        path: The file.
        encoding: ``'jpeg'`` or ``'png'``, by signature; the file's extension does not matter.

    Raises:
        ImageError: It is missing, unreadable, of another encoding, or cannot be decoded. ``what`` is the
            reason alone, the same for all files, and ``where`` the file with details.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError("image file is missing", where=str(path)) from None
    except OSError as error:
        raise ImageError("image file cannot be read", where=f"{path} ({error.strerror})") from None
    found = detect_format(data[:8])
    if found is None:
        raise ImageError("neither JPEG nor PNG", where=str(path))
    if found != encoding:
        raise ImageError(f"{found.upper()} in a lake of {encoding.upper()} images", where=str(path))
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            image.load()
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise ImageError("image cannot be decoded", where=f"{path} ({error})") from None
    return StoredImage(data, width, height)


def read_ahead(
    items: Iterable[In], read: Callable[[In], Out], workers: int | None = None
) -> Iterator[tuple[In, Out]]:
    """Apply ``read`` in threads; results come in the order of ``items`` and a bounded number is held.

    ``items`` is drawn from in the calling thread only.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    source = iter(items)
    waiting: deque[tuple[In, Future[Out]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="image-reader") as pool:
        try:
            while True:
                while len(waiting) < workers * _AHEAD:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    waiting.append((item, pool.submit(read, item)))
                if not waiting:
                    return
                item, future = waiting.popleft()
                yield item, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
