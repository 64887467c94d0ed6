"""What the images of a run are called, and what their ids are: those of a lake, or of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Protocol

import mmcv
import numpy as np
from mmengine.fileio import get
from numpy.typing import NDArray

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.evaluation.truth import category_ids
from deeplake_mmdet.lake import LakeView
from deeplake_mmdet.loop.predicting.listing import Listing
from deeplake_mmdet.loop.predicting.videos import Frames
from deeplake_mmdet.training.hooks.visualization import plain_name

__all__ = ["FileImages", "Images", "LakeImages"]

_AT_ONCE = 4096  # names, read at a time


class Images(Protocol):
    """The images of a run by index.

    Attributes:
        category_ids: The category id of each class.
        address: Of the lake; empty for files.
        whole_ids: Whether all ids are 64-bit integers.
        listing: The files; None of a lake.
    """

    category_ids: Sequence[Any]
    address: str
    whole_ids: bool
    listing: Listing | None

    def image_id(self, index: int) -> Any:
        """The id of an image in results.

        Args:
            index: Its index.
        """

    def file_names(self, indices: Sequence[int]) -> Sequence[str] | None:
        """Names of files; None if there are none.

        Args:
            indices: Of some images.
        """

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Decode an image once more.

        Args:
            index: Its index.

        Returns:
            Shape (height, width, 3), RGB.
        """

    def picture_names(self) -> dict[int, str] | None:
        """Names for pictures by index; None where `picture_name` tells each by itself."""

    def picture_name(self, index: int) -> str:
        """The name of an image's picture, with folders; unique.

        Args:
            index: Its index.
        """


class LakeImages:
    """The rows of a lake.

    Args:
        view: The lake.
    """

    def __init__(self, view: LakeView) -> None:
        self.view = view
        self.category_ids: Sequence[Any] = category_ids(view)
        self.address = view.source.url
        self.whole_ids = view.table.source_ids is None
        self.listing: Listing | None = None
        self._names: dict[int, str] = {}

    def image_id(self, index: int) -> Any:
        """See `Images`."""
        return self.view.table.image_id(index)

    def file_names(self, indices: Sequence[int]) -> Sequence[str] | None:
        """See `Images`."""
        return self.view.file_names(indices) if len(indices) else None

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """See `Images`."""
        return np.asarray(mmcv.imfrombytes(get(self.view.uri(index)), channel_order="rgb"))

    def picture_names(self) -> dict[int, str] | None:
        """See `Images`: as `LakeVisualizationHook` names them; the same in every process."""
        if self.view.roles.file_name is None:
            return None
        taken: set[str] = set()
        found: dict[int, str] = {}
        for start in range(0, len(self.view.table), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(self.view.table)))
            for row, file in zip(rows, self.view.file_names(rows) or (), strict=True):
                path = PurePath(self.view.uri(row))
                name = plain_name(file) or path.stem
                name = f"{name}.row{row}" if name.casefold() in taken else name
                taken.add(name.casefold())
                found[row] = name + path.suffix
        return found

    def picture_name(self, index: int) -> str:
        """See `Images`."""
        return PurePath(self.view.uri(index)).name


class FileImages:
    """Image files and videos.

    Args:
        listing: The files.
        classes: Number of classes; their category ids are 1 to that.
    """

    def __init__(self, listing: Listing, classes: int) -> None:
        self.listing: Listing | None = listing
        self._listing = listing
        self.category_ids: Sequence[Any] = range(1, classes + 1)
        self.address, self.whole_ids = "", True
        self._common = _common_folder(listing)
        self._frames: Frames | None = None

    def image_id(self, index: int) -> Any:
        """See `Images`: from 1, in the order of the inputs."""
        return index + 1

    def file_names(self, indices: Sequence[int]) -> Sequence[str] | None:
        """See `Images`."""
        return [self._listing.name(index) for index in indices]

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """See `Images`."""
        file, frame = self._listing.source(index)
        path = self._listing.path(file)
        if frame >= 0:
            if self._frames is None or self._frames.path != path:
                self._frames = Frames(path)
            return np.ascontiguousarray(self._frames.read(frame)[..., ::-1])
        pixels = mmcv.imfrombytes(get(path), channel_order="rgb")
        if pixels is None:
            raise ImageError("The image cannot be decoded for its picture", where=path)
        return np.asarray(pixels)

    def picture_names(self) -> dict[int, str] | None:
        """See `Images`."""
        return None

    def picture_name(self, index: int) -> str:
        """See `Images`: by the path below the folder that all files have in common."""
        file, _ = self._listing.source(index)
        name = self._listing.file_name(file)
        if self._common is None:
            return name
        return str(PurePath(_absolute(self._listing.path(file))).relative_to(self._common))


def _absolute(path: str) -> str:
    import os

    return os.path.abspath(path)  # noqa: PTH100 - resolves '..', and no links


def _common_folder(listing: Listing) -> str | None:
    """The folder that all files have in common; None where their names can stay as they are."""
    count = len(listing.frames)
    if all(_is_inside(listing.file_name(file)) for file in range(count)):
        return None
    folder = PurePath(_absolute(listing.path(0))).parent
    for file in range(1, count):
        path = PurePath(_absolute(listing.path(file)))
        while not path.is_relative_to(folder):
            folder = folder.parent
    return str(folder)


def _is_inside(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts
