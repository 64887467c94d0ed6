"""The images of a run as its loader gives them, with their numbers and names."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeplake_mmdet.lake import LakeView, parse_uri
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.loop.predicting.image_files import INDEX, ImageFiles
from deeplake_mmdet.loop.predicting.images import FileImages, Images, LakeImages

__all__ = ["UNDECODABLE", "RunSource"]

UNDECODABLE = "images that cannot be decoded"


class RunSource:
    """The dataset of a loader: a lake's, or one of files.

    Attributes:
        lake: The `DeepLakeDataset`; None of files.
        metainfo: The dataset's.
        classes: Names of the classes, by label.
        images: What the images are called.
        seen: Which images this process has predicted on, by index.
    """

    def __init__(self, loader: Any) -> None:
        self.dataset = loader.dataset
        lakes = lakes_under(self.dataset)
        self.lake: Any = lakes[0] if lakes else None
        self.metainfo: dict[str, Any] = dict(self.dataset.metainfo)
        self.classes = tuple(self.metainfo["classes"])
        self.images: Images
        if self.lake is not None:
            self.images = LakeImages(self.lake.view)
            self.count = len(self.lake.view.table)
        else:
            assert isinstance(self.dataset, ImageFiles)
            self.images = FileImages(self.dataset.listing, len(self.classes))
            self.count = len(self.dataset.listing)
        self.seen = np.zeros(self.count, np.bool_)

    @property
    def view(self) -> LakeView | None:
        """The lake's view; None of files."""
        return None if self.lake is None else self.lake.view

    def indices(self) -> list[int]:
        """Indices of all images that are to be predicted on, in order."""
        if self.lake is not None:
            return list(self.lake.data_list.rows.tolist())
        return list(self.dataset.indices)

    def index_of(self, sample: Any) -> int:
        """The index of a sample's image.

        Args:
            sample: As the model returns it.
        """
        if self.lake is None:
            return int(sample.get(INDEX))
        return parse_uri(sample.img_path)[2]

    def name_of(self, sample: Any, index: int) -> str:
        """The name of a sample's image.

        Args:
            sample: As the model returns it.
            index: Its index.
        """
        listing = self.images.listing
        return str(sample.img_path) if listing is None else listing.name(index)

    def follow(self, loader: Any) -> None:
        """Go on with another loader of the same images, some left out.

        Args:
            loader: The loader.
        """
        self.dataset = loader.dataset
        self.lake = next(iter(lakes_under(self.dataset)), None)

    def unreadable_rows(self) -> list[int]:
        """Rows of a lake that this process could not read; those of files are told batch by batch."""
        if self.lake is None:
            return []
        skipped, rows = self.lake.skipped_rows, self.lake.data_list.rows
        up_front = skipped["up_front"]
        if len(rows) + len(up_front) < self.count and len(rows):  # a limit, behind which nothing was wanted
            up_front = [row for row in up_front if row < rows[-1]]
        return [*up_front, *skipped["at_first_sight"]]
