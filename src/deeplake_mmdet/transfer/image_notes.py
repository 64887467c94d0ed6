"""What an import says, in sentences, about turned and converted images as a whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from deeplake_mmdet.lake.cache.settings import human_bytes
from deeplake_mmdet.transfer.encodings import Encoding
from deeplake_mmdet.transfer.frames import UNDECIDED, Frame
from deeplake_mmdet.transfer.images import ReadImage

__all__ = ["ImageNotes"]


@dataclass
class ImageNotes:
    """Counts over the images that were taken.

    Attributes:
        encoding: How the lake holds images.
        exif: What the user said of EXIF orientations.
        verify: What the user said of verification.
        not_decoded: How many images were not decoded.
    """

    encoding: Encoding
    exif: str
    verify: str = "decode"
    not_decoded: int = 0
    _told: int = 0
    _turned: int = 0
    _left: int = 0
    _undecided: int = 0
    _jpegs: int = 0
    _jpeg_bytes: int = 0
    _png_bytes: int = 0
    _others: Counter[str] = field(default_factory=Counter)
    _other_bytes: int = 0

    def add(self, image: ReadImage, frame: Frame, stored_bytes: int) -> None:
        """Count an image that was taken.

        Args:
            image: The file.
            frame: How it is to be read.
            stored_bytes: What it takes in the lake.
        """
        self.not_decoded += not image.decoded
        if image.orientation != 1:
            self._turned += frame.turned
            self._left += not frame.turned
            self._told += frame.turned and not frame.changes
            self._undecided += any(reason == UNDECIDED for reason, _ in frame.changes)
        if image.kind == "jpeg" != self.encoding.format:
            self._jpegs += 1
            self._jpeg_bytes += len(image.data)
            self._png_bytes += stored_bytes
        elif image.kind != self.encoding.format == "jpeg":
            self._others[image.kind] += 1
            self._other_bytes += stored_bytes

    def sentences(self) -> list[str]:
        """The notes; none if there is nothing to say."""
        notes = []
        if self.not_decoded:
            sizes = (
                "" if self.verify == "header" else ", and sizes that are stated were not held against them"
            )
            notes.append(
                f"{self.not_decoded} images were not decoded{sizes}, as --verify {self.verify} says: "
                "those that are cut off or damaged will be met in training"
            )
        if self._jpegs:
            shown = ", ".join(Path(file).name for file in self.encoding.because)
            more = self.encoding.because_of - len(self.encoding.because)
            notes.append(
                f"A lake holds images of one encoding, and {self.encoding.because_of} files are not JPEG "
                f"({shown}{f' and {more} more' * (more > 0)}), so that {self._jpegs} JPEG images of "
                f"{human_bytes(self._jpeg_bytes)} were converted to PNG, {human_bytes(self._png_bytes)}. "
                "With --convert never the fewer ones are refused instead"
            )
        if self._others:
            kinds = ", ".join(f"{count} {kind.upper()}" for kind, count in self._others.most_common())
            notes.append(
                f"A lake holds images of one encoding, here JPEG: {kinds} images were "
                f"converted to lossless JPEG, {human_bytes(self._other_bytes)}. With --convert never they "
                "are refused instead"
            )
        if self.exif != "auto" and self._turned + self._left:
            what = f"turned by it ({self._turned})" if self._turned else f"left as stored ({self._left})"
            notes.append(f"Images with an EXIF orientation are {what}, as --exif {self.exif} says")
        elif self._told:
            notes.append(
                f"{self._told} images are turned by their EXIF orientation, as their stated sizes say"
            )
        if self._undecided:
            notes.append(
                f"{self._undecided} images have an EXIF orientation, and nothing tells whether their boxes "
                "belong to the turned image; they are turned, as MMDetection does. If a tool that ignores "
                "EXIF made the annotations, import again with --exif stored"
            )
        return notes
