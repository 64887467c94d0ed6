"""Reading all images of a lake: whether they decode, their sizes and orientations, and hashes of them."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.checking.looks import look_of
from deeplake_mmdet.errors import ConfigError, ImageError
from deeplake_mmdet.lake import LakeView, read_orientation
from deeplake_mmdet.transfer.ahead import read_ahead
from deeplake_mmdet.transfer.decoder import check_image, examine_image, read_header

__all__ = ["VERIFY", "ImageFacts", "read_images"]

VERIFY = ("decode", "header", "none")
MISSING = "The image cell is empty"
NO_SIZE = "Deep Lake gives no size for the image, and training leaves it out"
_ROWS = 32  # a thread's share: one image at a time would keep it waiting for the interpreter
_NAMED = 5
_TURNED = 5  # EXIF orientations from here on exchange width and height
_MOST_REASONS = 255
_PLACE = re.compile(r"^column .*?, row \d+(, |: )?")  # which is told anyway


@dataclass(eq=False)
class ImageFacts:
    """What reading the images of n rows shows; 20 bytes for each row.

    Attributes:
        read: How many were read; 0 if none was to be.
        reasons: What can be wrong with an image; the first entry means that nothing is.
        states: Index into ``reasons``, shape (n,), uint8.
        hashes: Hash of the file's bytes, or of the pixels where the lake stores arrays, shape (n,), uint64.
        looks: See `looks.look_of`, shape (n,), uint64.
        comparable: Whether ``looks`` means something, shape (n,), bool.
        orientations: EXIF orientation, 1 to 8, shape (n,), uint8.
        odd_sizes: Whether the size differs from the recorded one, shape (n,), bool.
        details: Examples, by reason.
    """

    read: int
    states: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    looks: NDArray[np.uint64]
    comparable: NDArray[np.bool_]
    orientations: NDArray[np.uint8]
    odd_sizes: NDArray[np.bool_]
    reasons: list[str] = field(default_factory=lambda: [""])
    details: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def unread(cls, rows: int) -> ImageFacts:
        """Facts of images that were not read.

        Args:
            rows: How many there are.
        """
        states, orientations = np.zeros(rows, np.uint8), np.ones(rows, np.uint8)
        hashes, looks = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
        return cls(0, states, hashes, looks, np.zeros(rows, bool), orientations, np.zeros(rows, bool))

    def rows_of(self, reason: str) -> NDArray[np.int64]:
        """The rows with a fault, shape (k,).

        Args:
            reason: Of ``reasons``.
        """
        return np.flatnonzero(self.states == self.reasons.index(reason))

    def blame(self, row: int, reason: str, where: str) -> None:
        """Note that an image has a fault.

        Args:
            row: Row number.
            reason: What is wrong, in the same words for all like it.
            where: What is particular to this one.
        """
        if reason not in self.reasons:
            if len(self.reasons) == _MOST_REASONS:
                reason = self.reasons[-1]
            else:
                self.reasons.append(reason)
        self.states[row] = self.reasons.index(reason)
        named = self.details.setdefault(reason, [])
        if len(named) < _NAMED:
            named.append(f"row {row}: {where}" if where else f"row {row}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One image, as a thread has seen it; dropped as soon as the facts are filled in."""

    fault: tuple[str, str] | None = None
    size: tuple[int, int] | None = None
    hash: int = 0
    look: int = 0
    comparable: bool = False
    orientation: int = 1


def read_images(
    view: LakeView,
    verify: str = "decode",
    *,
    workers: int | None = None,
    tell: Callable[[int], None] = lambda images: None,
) -> ImageFacts:
    """Read all images, in as many threads as there are cores.

    Args:
        view: The lake.
        verify: ``'decode'``: decode each as import does; ``'header'``: read files and their headers, which
            finds no damage behind these; ``'none'``: read nothing.
        workers: Number of threads.
        tell: Called with the number of images that were read since.

    Raises:
        ConfigError: ``verify`` is something else, or there is no thread.
        StorageError: The lake cannot be read.
    """
    if verify not in VERIFY:
        raise ConfigError(
            f"verify is {verify!r}", where="argument 'verify'", advice=f"one of {', '.join(VERIFY)}"
        )
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ConfigError(f"workers is {workers!r}", where="argument 'workers'", advice="one at the least")
    table = view.table
    facts = ImageFacts.unread(len(table))
    if verify == "none":
        return facts
    turned = replace(view, apply_exif=True)  # gives files with their EXIF orientation in place
    turned.cell_reader()  # made once, before several threads ask for it

    def look(rows: range) -> list[_Seen]:
        return [_seen(image, verify) for image in turned.fetch(rows)]

    with contextlib.closing(read_ahead(_blocks(view), look, workers)) as ahead:
        for rows, seen in ahead:
            for row, image in zip(rows, seen, strict=True):
                _fill_in(facts, view, row, image)
            tell(len(rows))
    facts.read = len(table)
    return facts


def _blocks(view: LakeView) -> Iterator[range]:
    """Whole chunks of a remote lake, which come at once; less of a local one, so that all threads work."""
    bounds = view.chunk_bounds.tolist() if view.has_encoded_images else [0, len(view.table)]
    whole = view.has_encoded_images and view.reads_network
    for start, stop in pairwise(bounds):
        step = max(1, stop - start) if whole else _ROWS
        for first in range(start, stop, step):
            yield range(first, min(first + step, stop))


def _seen(image: bytes | ImageError, verify: str) -> _Seen:
    if isinstance(image, ImageError):
        return _Seen((image.what, _PLACE.sub("", image.where or "").strip(" ()")))
    known = hashlib.blake2b(image, digest_size=8).digest()
    hashed, orientation = int.from_bytes(known, "big"), read_orientation(image)
    try:
        if verify == "header":
            size = read_header(image) or check_image(image)
            return _Seen(None, size, hashed, orientation=orientation)
        size, grey = examine_image(image)
    except ImageError as error:
        return _Seen((error.what, error.where or ""), hash=hashed, orientation=orientation)
    look, plain = look_of(grey)
    return _Seen(None, size, hashed, look, not plain, orientation)


def _fill_in(facts: ImageFacts, view: LakeView, row: int, image: _Seen) -> None:
    facts.hashes[row], facts.looks[row] = image.hash, image.look
    facts.comparable[row], facts.orientations[row] = image.comparable, image.orientation
    if image.fault is not None:
        facts.blame(row, *image.fault)
        return
    if image.size is None:
        return
    turning = view.turning if isinstance(view.turning, bool) else bool(view.turning[row])
    size = image.size[::-1] if turning and image.orientation >= _TURNED else image.size
    recorded = int(view.table.widths[row]), int(view.table.heights[row])
    facts.odd_sizes[row] = recorded[0] > 0 and recorded != size
