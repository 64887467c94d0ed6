"""Files of a cached annotation table: one ``.npy`` for each array and a manifest that describes them.

The manifest holds a checksum of each array. Checking it reads the whole table, so that what was checked once
is remembered, together with size, times and inode of each file: whatever changes a file changes these. Files
are on the disk before that, so that a power failure cannot empty them afterwards.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.lake.cache.own_files import check_folder, open_file, read_text

__all__ = ["DamagedError", "FileSink", "read_arrays"]

_VERSION = 1
_MANIFEST = "manifest.json"
_CHECKED = "checked.json"
_BLOCK = 8 * 2**20
_WAITING_BYTES = 32 * 2**20  # of blocks that may wait for the disk


class DamagedError(Exception):
    """A folder is no complete and unaltered table of this version."""


class FileSink:
    """Writes arrays block by block into ``.npy`` files; a context manager that closes them.

    Checksums and writing take a thread of their own, beside the reading of the next blocks.

    Args:
        folder: Empty folder, to be written to by this object only.
    """

    def __init__(self, folder: Path) -> None:
        self.left_out: dict[str, str] = {}
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._lengths: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._writer = ThreadPoolExecutor(1, "deeplake-mmdet-table")
        self._waiting: deque[tuple[Future[None], int]] = deque()

    def __enter__(self) -> FileSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.shutdown(cancel_futures=True)
        for file in self._files.values():
            file.close()

    def append(self, name: str, block: NDArray[Any]) -> None:
        """Add a block to the end of an array, in its file. See `ArraySink.append`.

        The block is written later: it must not be changed afterwards.

        Raises:
            OSError: This block, or an earlier one of any array, cannot be written.
            TypeError: Element type or width differ from those of the array's first block.
        """
        if name not in self._files:
            self._files[name] = (self._folder / f"{name}.npy").open("wb")
            self._kinds[name] = block.dtype, block.shape[1:]
            self._lengths[name] = self._sums[name] = 0
            self._files[name].write(_header(block.dtype, (0, *block.shape[1:])))
        dtype, shape = self._kinds[name]
        if block.dtype != dtype or block.shape[1:] != shape:
            raise TypeError(f"array {name!r}: {block.dtype} {block.shape} after {dtype} {shape}")
        self._lengths[name] += len(block)
        self._waiting.append(
            (self._writer.submit(self._write, name, np.ascontiguousarray(block)), block.nbytes)
        )
        while len(self._waiting) > 1 and sum(size for _, size in self._waiting) > _WAITING_BYTES:
            self._waiting.popleft()[0].result()

    def _write(self, name: str, block: NDArray[Any]) -> None:
        data = _bytes(block)
        self._files[name].write(data)
        self._sums[name] = zlib.crc32(data, self._sums[name])

    def drop(self, name: str, role: str, why: str) -> None:
        """Delete the file of an array. See `ArraySink.drop`; the reason is remembered in ``left_out``.

        Raises:
            OSError: The file cannot be deleted, or an earlier block of any array cannot be written.
        """
        self.left_out[role] = why
        while self._waiting:
            self._waiting.popleft()[0].result()
        if name in self._files:
            self._files.pop(name).close()
            (self._folder / f"{name}.npy").unlink()

    def finish(self, facts: dict[str, Any]) -> None:
        """Complete all files and write the manifest.

        Args:
            facts: What the manifest is to say of the table, plain JSON values; ``left_out`` is added.

        Raises:
            OSError: Something cannot be written.
        """
        while self._waiting:
            self._waiting.popleft()[0].result()
        arrays = {}
        for name, file in self._files.items():
            dtype, width = self._kinds[name]
            shape = (self._lengths[name], *width)
            file.seek(0)
            file.write(_header(dtype, shape))
            file.flush()
            os.fsync(file.fileno())
            file.close()
            arrays[name] = {"dtype": dtype.str, "shape": list(shape), "crc32": self._sums[name]}
        manifest = {"version": _VERSION, "facts": {**facts, "left_out": self.left_out}, "arrays": arrays}
        (self._folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        _remember(self._folder, list(arrays))


def read_arrays(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Map the arrays of a table read-only, and check them.

    Args:
        folder: The table's folder.

    Returns:
        Arrays by name, and the manifest's facts.

    Raises:
        DamagedError: Something is missing, cut off, altered or of another version.
    """
    try:
        check_folder(folder)
        manifest = json.loads(read_text(folder / _MANIFEST))
        if manifest["version"] != _VERSION:
            raise DamagedError(f"it is of version {manifest['version']}")
        arrays = {}
        for name, told in manifest["arrays"].items():
            # A plain view: slices of np.memmap itself are slow to make.
            array = np.asarray(_mapped(folder / f"{name}.npy"))
            if (array.dtype.str, list(array.shape)) != (told["dtype"], told["shape"]):
                raise DamagedError(f"{name}.npy is {array.dtype} {array.shape}")
            arrays[name] = array
        names = list(arrays)
        if _remembered(folder) != _stamps(folder, names):
            for name, array in arrays.items():
                if _checksum(array) != manifest["arrays"][name]["crc32"]:
                    raise DamagedError(f"{name}.npy was altered")
            _remember(folder, names)
    except DamagedError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from None
    return arrays, dict(manifest["facts"])


def _mapped(path: Path) -> NDArray[Any]:
    """What ``np.load`` maps, of a file of ours only."""
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):  # type: ignore[no-untyped-call]
            raise ValueError("it has another header")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
        if by_columns or dtype.hasobject:
            raise ValueError("it holds something else than rows of numbers")
        return np.memmap(file, dtype, "r", file.tell(), shape)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """An ``.npy`` header; NumPy leaves room in it for any number of rows, so that all have one length."""
    out = io.BytesIO()
    told = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, told)  # type: ignore[no-untyped-call]
    return out.getvalue()


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.data.cast("B") if array.size else memoryview(b"")


def _checksum(array: NDArray[Any]) -> int:
    data, total = _bytes(array), 0
    for start in range(0, len(data), _BLOCK):
        total = zlib.crc32(data[start : start + _BLOCK], total)
    return total


def _stamps(folder: Path, names: list[str]) -> dict[str, list[int]]:
    found = {}
    for name in names:
        stat = (folder / f"{name}.npy").stat()
        found[name] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    return found


def _remembered(folder: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(read_text(folder / _CHECKED))
    return None


def _remember(folder: Path, names: list[str]) -> None:
    """Write down that the files are good as they are. A read-only folder is always checked."""
    part = folder / f".{_CHECKED}.{os.getpid()}"
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
        with os.fdopen(open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
            json.dump(_stamps(folder, names), file)
        part.replace(folder / _CHECKED)
