"""Images by number, and what was left out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["LeftOut", "Listing"]

_SHOWN = 5
_ARRAYS = ("paths", "names", "ends", "frames")


@dataclass
class LeftOut:
    """What was not predicted on, counted by reason, and the first names of each."""

    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, *names: str, count: int | None = None) -> None:
        """Count some more.

        Args:
            reason: In words, as in "3 files <reason>".
            names: Of files or rows.
            count: How many these are, where not all are named.
        """
        self.counts[reason] = self.counts.get(reason, 0) + (len(names) if count is None else count)
        known = self.names.setdefault(reason, [])
        known.extend(names[: _SHOWN - len(known)])

    def join(self, other: LeftOut) -> None:
        """Count what another process has left out.

        Args:
            other: What that is.
        """
        for reason, count in other.counts.items():
            self.add(reason, *other.names[reason], count=count)

    def __str__(self) -> str:
        """One part for each reason: ``2 no images (notes.txt, a.zip)``."""
        return "; ".join(
            f"{count} {reason} ({', '.join(self.names[reason])}"
            f"{', ...' if count > len(self.names[reason]) else ''})"
            for reason, count in self.counts.items()
        )


class Listing:
    """Images and videos by number, as flat arrays, which workers and processes share.

    Args:
        paths: All paths in UTF-8 (bytes that are none as surrogates), one behind the other, uint8.
        names: What the images are called in what is written, likewise.
        ends: Where path and name of each end, shape (n, 2), int64.
        frames: Number of frames of each, shape (n,), int64; 0 for an image.
    """

    def __init__(
        self,
        paths: NDArray[np.uint8],
        names: NDArray[np.uint8],
        ends: NDArray[np.int64],
        frames: NDArray[np.int64],
    ) -> None:
        self._texts, self._ends, self.frames = (paths, names), ends, frames
        self._last = np.cumsum(np.maximum(frames, 1))

    @classmethod
    def of(cls, found: Sequence[tuple[str, str, int]]) -> Listing:
        """Make one.

        Args:
            found: Path, name and number of frames of each.
        """
        paths = [path.encode("utf-8", "surrogateescape") for path, *_ in found]
        names = [name.encode("utf-8", "surrogateescape") for _, name, _ in found]
        ends = [np.cumsum([len(text) for text in part], dtype=np.int64) for part in (paths, names)]
        return cls(
            np.frombuffer(b"".join(paths), np.uint8),
            np.frombuffer(b"".join(names), np.uint8),
            np.stack(ends, axis=1),
            np.array([count for *_, count in found], np.int64),
        )

    def save(self, folder: Path) -> None:
        """Write it down, for `load`.

        Args:
            folder: A folder that exists.
        """
        for name, array in zip(_ARRAYS, [*self._texts, self._ends, self.frames], strict=True):
            np.save(folder / f"{name}.npy", np.asarray(array))

    @classmethod
    def load(cls, folder: Path) -> Listing:
        """Map what `save` wrote.

        Args:
            folder: Its folder.
        """
        # An empty file cannot be mapped, and there is no listing of nothing.
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS))

    def __len__(self) -> int:
        return int(self._last[-1]) if len(self._last) else 0

    def source(self, index: int) -> tuple[int, int]:
        """Which of the files an image is in, and the number of its frame; -1 of an image file.

        Args:
            index: Number of the image, from 0.
        """
        file = int(np.searchsorted(self._last, index, "right"))
        frames = self.frames.item(file)
        return file, index - (self._last.item(file) - frames) if frames else -1

    def path(self, file: int) -> str:
        """The path of a file.

        Args:
            file: Its number.
        """
        return self._text(file, 0)

    def name(self, index: int) -> str:
        """What an image is called; a frame of a video ``<name>#<number>``, from 0.

        Args:
            index: Number of the image.
        """
        file, frame = self.source(index)
        return self.file_name(file) + (f"#{frame}" if frame >= 0 else "")

    def file_name(self, file: int) -> str:
        """What a file is called.

        Args:
            file: Its number.
        """
        return self._text(file, 1)

    def first(self, file: int) -> int:
        """Number of the first image of a file.

        Args:
            file: Its number.
        """
        return int(self._last[file] - max(self.frames.item(file), 1))

    def _text(self, file: int, part: int) -> str:
        start = self._ends.item(file - 1, part) if file else 0
        text = self._texts[part][start : self._ends.item(file, part)]
        return text.tobytes().decode("utf-8", "surrogateescape")
