"""The image files of a Pascal VOC split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deeplake_mmdet.formats.file_names import is_file, split_extension
from deeplake_mmdet.formats.voc import VocImage
from deeplake_mmdet.formats.voc_split import VocSplit
from deeplake_mmdet.transfer.image_claims import Claims
from deeplake_mmdet.transfer.image_files import EXTENSIONS, FoundImage, ImageFolder

__all__ = ["VocImages"]

_BY_FILENAME = 3  # above all ranks of `ImageFolder.by_id`


class VocImages:
    """Which image each annotation file has: ``<id>.*`` first, then what its ``<filename>`` says.

    An image that is called like another annotation file is that one's, in the split or not. An image that
    several annotation files would use by other ways is nobody's.

    Args:
        voc: The split; XML files are read where no image has the file's name.
    """

    def __init__(self, voc: VocSplit) -> None:
        self._voc = voc
        self._folder = ImageFolder(voc.image_folder)
        self._claims = Claims()
        self._by_other_names: set[int] = set()  # hashes of files that are not called like their XML
        for image_id in voc.ids:
            found = self._candidate(image_id)
            if found.fault is None:
                self._claims.add(found.name, image_id, found.rank)
                if found.rank:
                    self._by_other_names.add(hash(found.name))
        self._claims.settle()

    def paths(self) -> Iterator[Path]:
        """The files that were found, in the order of the split."""
        for image_id in self._voc.ids:
            found = self._refused(image_id, self._candidate(image_id))
            if found.fault is None:
                yield found.path

    def spare(self) -> Iterator[str]:
        """Names of the images that no annotation file has, in no order."""
        for name in self._folder.names:
            owner = self._voc.xml_of(split_extension(name, EXTENSIONS)[0])
            if not is_file(owner) and hash(name) not in self._by_other_names:
                yield name

    def find(self, image: VocImage) -> FoundImage:
        """The image file of an annotation file that was read.

        Args:
            image: One of the split, from `VocSplit.read`.
        """
        found = self._refused(image.image_id, self._candidate(image.image_id, image))
        return self._folder.checked(found)

    def _candidate(self, image_id: str, image: VocImage | None = None) -> FoundImage:
        found = self._folder.by_id(image_id)
        if found.fault is None:
            return found
        file_name = (image or self._voc.read(image_id)).file_name
        if not file_name:
            return found
        other = self._folder.by_name(file_name, anywhere=True)
        if other.fault is not None:
            return found if other.fault[0] == "image file is missing" else other
        change = ("image", "image file found by <filename>, not by the name of the XML", repr(other.name))
        return replace(other, rank=_BY_FILENAME, changes=(change,))

    def _refused(self, image_id: str, found: FoundImage) -> FoundImage:
        if found.fault is not None or not found.rank:
            return found
        why = self._claims.refusal(found.name, image_id, found.rank)
        owner = self._voc.xml_of(split_extension(found.name, EXTENSIONS)[0])
        if owner != self._voc.xml_of(image_id) and is_file(owner):
            why = "image file belongs to another annotation file"
        if why is None:
            return found
        return replace(found, fault=(why, f"{image_id!r} would use {found.name!r}"))
