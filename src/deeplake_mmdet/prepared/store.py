"""`PreparedImages`: the pixels of a view's rows in one sparse file, shared by all processes of a machine."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from deeplake_mmdet.lake import open_cache_file
from deeplake_mmdet.pipeline.decoding import Allocator
from deeplake_mmdet.prepared.places import lock_shared
from deeplake_mmdet.prepared.prefix import PreparedSteps

__all__ = ["PreparedImages", "PreparedRow"]

PIXELS, MARKS = "pixels", "marks"
_PAGE = 4096  # rows do not share pages, so that one is never damaged by the writing of another
_log = logging.getLogger("deeplake_mmdet")


class PreparedImages:
    """What a pipeline's first steps make of the rows of a view, kept as raw pixels.

    Where a row's pixels lie is known from its size beforehand, so there is no index. Whoever makes an image
    first writes it, then its mark: a 64-bit hash of the pixels, 0 where there are none. So readers wait for
    nobody, and what a killed writer leaves is not looked at. A hash is compared when this process, or one
    that shares its memory, first reads the row; an image that does not fit its hash is made again.

    Safe in any thread and after a fork. It pickles as its settings; other processes open the same files.

    Args:
        folder: Where the files are.
        steps: The steps whose image is kept.
        widths: Width of each row's image in pixels, as the lake has it, shape (n,); 0 where there is none.
        heights: Height of each row's image in pixels, as the lake has it, shape (n,); 0 where there is none.
        chosen: Which rows are kept, shape (n,), bool; None for all.
        lock: Descriptor of a file whose lock says that the folder is in use.

    Raises:
        OSError: The files cannot be made or opened.
    """

    def __init__(
        self,
        folder: Path,
        steps: PreparedSteps,
        widths: NDArray[np.integer[Any]],
        heights: NDArray[np.integer[Any]],
        chosen: NDArray[np.bool_] | None = None,
        lock: int | None = None,
    ) -> None:
        self.folder, self.steps = folder, steps
        self._sources = widths, heights
        self._widths, self._heights = steps.sizes(widths, heights)
        self._chosen, self._lock = chosen, lock
        self._ends = np.cumsum(row_bytes(self._widths, self._heights))
        count = len(self._ends)
        shared = torch.zeros(count, dtype=torch.uint8)
        shared.share_memory_()  # type: ignore[no-untyped-call]
        self._checked: NDArray[np.uint8] = shared.numpy()
        self._filling = True
        self._pixels = open_cache_file(folder / PIXELS, os.O_RDWR | os.O_CREAT)
        descriptor = open_cache_file(folder / MARKS, os.O_RDWR | os.O_CREAT)
        try:
            if os.fstat(descriptor).st_size != 8 * count:
                os.ftruncate(descriptor, 0)
            if count:
                os.posix_fallocate(descriptor, 0, 8 * count)  # a hole in a full disk would end the process
                self._marks = np.frombuffer(mmap.mmap(descriptor, 8 * count), np.uint64)
            else:
                self._marks = np.zeros(0, np.uint64)
        finally:
            os.close(descriptor)

    def __len__(self) -> int:
        return len(self._ends)

    def has(self, rows: Any) -> Any:
        """Whether the images of rows are there.

        Args:
            rows: A row number, or an array of them, shape (n,).

        Returns:
            One bool for a row number, shape (n,) for an array.
        """
        return self._marks[rows] != 0

    def keeps(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Whether the images of rows are among those that are kept at all, there or not.

        Args:
            rows: Row numbers, shape (n,).

        Returns:
            Shape (n,), bool.
        """
        kept: NDArray[np.bool_] = (self._widths[rows] > 0) & (self._heights[rows] > 0)
        return kept if self._chosen is None else kept & self._chosen[rows]

    @property
    def bytes(self) -> int:
        """Bytes of all rows that are kept, once they are there."""
        sizes = row_bytes(self._widths, self._heights)
        return int(sizes.sum() if self._chosen is None else sizes[self._chosen].sum())

    @property
    def filling(self) -> bool:
        """Whether images are taken; not after the disk has refused one."""
        return self._filling

    @property
    def count(self) -> int:
        """How many images are there."""
        return int(np.count_nonzero(self._marks))

    def get(self, row: int, allocate: Allocator | None = None) -> NDArray[np.uint8] | None:
        """The image of a row, in memory that the caller owns.

        Args:
            row: Row number.
            allocate: Gives the memory: a uint8 array of the shape asked for. None for new memory.

        Returns:
            Shape (height, width, 3), uint8, BGR; its memory is in planes if it is kept so. None if it is not
            there.
        """
        mark = self._marks.item(row)
        if not mark:
            return None
        shape = (self._heights.item(row), self._widths.item(row), 3)
        shape = (3, *shape[:2]) if self.steps.planar else shape
        image = np.empty(shape, np.uint8) if allocate is None else allocate(shape)
        try:
            whole = os.preadv(self._pixels, [image.data], self._start(row)) == image.nbytes
        except OSError:
            whole = False
        if whole and not self._checked[row]:
            whole = _hash(image) == mark
            self._checked[row] = 1
        if not whole:
            self._marks[row] = self._checked[row] = 0
            return None
        return image.transpose(1, 2, 0) if self.steps.planar else image

    def put(self, row: int, image: Any) -> None:
        """Keep the image of a row, unless it is none of those that are kept, or of another size or kind.

        A disk that is full, or fails, ends the filling for this process, and the log says so once.

        Args:
            row: Row number.
            image: Shape (height, width, 3), uint8, BGR.
        """
        shape = (self._heights.item(row), self._widths.item(row), 3)
        fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == shape
        if not self._filling or not fits or not image.size:
            return
        if self._chosen is not None and not self._chosen[row]:
            return
        image = np.ascontiguousarray(image.transpose(2, 0, 1) if self.steps.planar else image)
        try:
            place, left = self._start(row), image.data.cast("B")
            while left:
                done = os.pwrite(self._pixels, left, place)
                place, left = place + done, left[done:]
        except OSError as error:
            self._filling = False
            _log.warning(
                "No more images are prepared: %s cannot be written (%s); training goes on without",
                self.folder,
                error.strerror,
            )
            return
        self._marks[row] = _hash(image)
        self._checked[row] = 1

    def row(self, row: int) -> PreparedRow:
        """One row as `run_steps` takes it.

        Args:
            row: Row number.
        """
        return PreparedRow(self, row)

    def _start(self, row: int) -> int:
        return int(self._ends.item(row - 1)) if row else 0

    def __deepcopy__(self, memo: dict[int, Any]) -> PreparedImages:
        return self

    def __reduce__(self) -> Any:
        return _opened_again, (self.folder, self.steps, *self._sources, self._chosen)

    def __del__(self) -> None:
        for descriptor in (getattr(self, "_pixels", None), getattr(self, "_lock", None)):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)


class PreparedRow(NamedTuple):
    """One row of prepared images."""

    store: PreparedImages
    row: int

    @property
    def load(self) -> int:
        """Place of the step that loads the image."""
        return self.store.steps.load

    @property
    def resize(self) -> int | None:
        """Place of the step that resizes it, if that is kept."""
        return self.store.steps.resize

    @property
    def planar(self) -> bool:
        """Whether its memory is in planes."""
        return self.store.steps.planar

    @property
    def last(self) -> int:
        """Place of the step after which the image is what is kept."""
        return self.store.steps.last

    def get(self, allocate: Allocator | None) -> NDArray[np.uint8] | None:
        """See `PreparedImages.get`."""
        return self.store.get(self.row, allocate)

    def put(self, image: Any) -> None:
        """See `PreparedImages.put`."""
        self.store.put(self.row, image)


def row_bytes(widths: NDArray[np.int64], heights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes that images take in the file: their pixels, rounded up to whole pages.

    Args:
        widths: In pixels, shape (n,), int64.
        heights: In pixels, shape (n,), int64.

    Returns:
        Shape (n,), int64.
    """
    return -(-widths * heights * 3 // _PAGE) * _PAGE


def _hash(image: NDArray[np.uint8]) -> int:
    return xxhash.xxh3_64_intdigest(image.data.cast("B")) or 1


def _opened_again(
    folder: Path, steps: PreparedSteps, widths: Any, heights: Any, chosen: Any
) -> PreparedImages:
    return PreparedImages(folder, steps, widths, heights, chosen, lock_shared(folder))
