"""The images of a run as its loader gives them, with their numbers and names."""

from __future__ import annotations

from typing import Any

import torch

from deeplake_mmdet.lake import LakeView, parse_uri
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.loop.image_files import INDEX, ImageFiles
from deeplake_mmdet.loop.images import FileImages, Images, LakeImages
from deeplake_mmdet.loop.listing import LeftOut

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
        self.seen = torch.zeros(self.count, dtype=torch.bool)

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

    def left_out(self) -> LeftOut:
        """Rows of a lake that could not be read."""
        found = LeftOut()
        if self.lake is not None:
            wanted = set(self.indices())
            for when, rows in self.lake.skipped_rows.items():
                rows = [row for row in rows if when == "up_front" or row in wanted]
                if rows:
                    found.add(UNDECODABLE, *(f"row {row}" for row in rows))
        return found
