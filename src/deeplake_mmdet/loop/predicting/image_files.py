"""`ImageFiles`: images and frames of videos as samples to predict on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.datasets.transforms import LoadImageFromNDArray
from mmengine.dataset import Compose, pseudo_collate
from torch.utils.data import Dataset

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.loop.predicting.listing import Listing
from deeplake_mmdet.loop.predicting.videos import Frames
from deeplake_mmdet.registry import DATASETS, FUNCTIONS

__all__ = ["INDEX", "UNREADABLE", "ImageFiles", "Unreadable", "collate_files"]

INDEX = "image_index"  # of a sample's metadata
UNREADABLE = "unreadable"  # key of a batch


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be loaded.

    Attributes:
        index: Its number.
        why: What loading it ended with.
    """

    index: int
    why: str


@DATASETS.register_module()
class ImageFiles(Dataset):  # type: ignore[type-arg]
    """The images of a `Listing`, each through the pipeline of a config.

    The pipeline's first step loads the file; of a video's frame ``LoadImageFromNDArray`` takes its place. A
    file that cannot be loaded gives an `Unreadable` in place of its sample, for `collate_files`.

    Args:
        listing: Folder of the listing.
        pipeline: Config of the pipeline's steps.
        metainfo: ``classes`` and the rest of a dataset's metainfo.
        indices: Number of images, the first ones, or their numbers; None for all.
        extra: Entries of every sample's dict.
    """

    def __init__(
        self,
        listing: str,
        pipeline: Sequence[Mapping[str, Any]],
        metainfo: Mapping[str, Any],
        indices: int | Sequence[int] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.listing = Listing.load(Path(listing))
        self.metainfo = dict(metainfo)
        load, *others = pipeline
        self._load = Compose([load])
        self._take = LoadImageFromNDArray(to_float32=bool(load.get("to_float32", False)))
        self._others = Compose(others)
        self._extra = dict(extra or {})
        count = len(self.listing)
        self.indices: Sequence[int] = range(min(indices, count) if isinstance(indices, int) else count)
        if indices is not None and not isinstance(indices, int):
            self.indices = indices
        self._frames: Frames | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Any:
        index = int(self.indices[place])
        file, frame = self.listing.source(index)
        path = self.listing.path(file)
        info = {"img_path": path, "img_id": index + 1, "sample_idx": place, **self._extra}
        try:
            if frame < 0:
                loaded = self._load(info)
            else:
                loaded = {**info, **self._take({**info, "img": self._frames_of(path).read(frame)})}
                loaded["img_path"] = path
        except Exception as error:  # whatever a step makes of a file that is no image
            return Unreadable(index, _first_line(error))
        if loaded is None or loaded.get("img") is None:
            return Unreadable(index, "the file holds no image that can be decoded")
        sample = self._others(loaded)
        samples = sample["data_samples"]
        for one in samples if isinstance(samples, (list, tuple)) else [samples]:
            one.set_metainfo({INDEX: index})
        return sample

    def _frames_of(self, path: str) -> Frames:
        if self._frames is None or self._frames.path != path:
            self._frames = Frames(path)
        return self._frames

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_frames": None}  # an open video belongs to its process


@FUNCTIONS.register_module()
def collate_files(samples: list[Any]) -> dict[str, Any]:
    """Collate as MMEngine's ``pseudo_collate`` does, with what could not be loaded set apart.

    Args:
        samples: Of `ImageFiles`.

    Returns:
        ``dict(inputs=[...], data_samples=[...], unreadable=[...])``; the last alone if nothing was loaded.
    """
    apart = [sample for sample in samples if isinstance(sample, Unreadable)]
    loaded = [sample for sample in samples if not isinstance(sample, Unreadable)]
    return {**(pseudo_collate(loaded) if loaded else {}), UNREADABLE: apart}


def _first_line(error: Exception) -> str:
    if isinstance(error, ImageError):
        return error.what
    text = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}{f': {text}' if text else ''}"
