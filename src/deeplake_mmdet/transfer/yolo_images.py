"""The images of a YOLO split, and the label file of each."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from deeplake_mmdet.formats.file_names import FileNames, is_file, is_folder
from deeplake_mmdet.formats.xml_text import decode_text
from deeplake_mmdet.formats.yolo_file import NAME_FILES
from deeplake_mmdet.formats.yolo_set import YoloSplit
from deeplake_mmdet.lake.images.regular_files import read_regular
from deeplake_mmdet.transfer.ahead import read_ahead
from deeplake_mmdet.transfer.image_files import EXTENSIONS, FoundImage, ImageFolder, shown

__all__ = ["LabelFile", "YoloImages"]

_TEXT = (".txt",)
_LONGEST = 2**28


@dataclass(frozen=True)
class LabelFile:
    """The label file of an image.

    Attributes:
        path: Where it is, or would be.
        text: What it holds; None where there is none, and the image is background.
        changes: ``(kind, reason, detail)`` where it was found otherwise than by its name.
        fault: ``(reason, detail)`` why it cannot be read, or ``None``.
    """

    path: Path
    text: str | None = None
    changes: tuple[tuple[str, str, str], ...] = ()
    fault: tuple[str, str] | None = None


class YoloImages:
    """Images in their order: of folders by name, of lists as they stand there.

    Memory is one name for each image, and 8 bytes for each label file.

    Args:
        split: The split.
        limit: How many images to take at most; None for all.
        readers: How many label files to read at once.
    """

    def __init__(self, split: YoloSplit, limit: int | None = None, readers: int = 1) -> None:
        self._split = split
        self._root = ImageFolder(split.root)
        self._limit = limit
        self._readers = readers
        self._names = [] if split.lists else self._in_folders()
        self._label_folders: dict[Path, Path] = {}
        self._label_names: dict[Path, FileNames] = {}
        self._used = array("q")

    def __len__(self) -> int:
        """How many there are, those on lists that are not there among them."""
        count = sum(len(names) for _, names in self._names)
        if self._split.lists:
            count = sum(1 for _ in self._split.listed())
            count += sum(len(FileNames(folder, EXTENSIONS)) for folder in self._split.folders)
        return count if self._limit is None else min(count, self._limit)

    def _in_folders(self) -> list[tuple[Path, list[str]]]:
        """The images of each folder by name; a folder that is part of another counts once."""
        folders = self._split.folders
        apart = [folder for folder in folders if not any(other in folder.parents for other in folders)]
        return [(folder, sorted(FileNames(folder, EXTENSIONS))) for folder in apart]

    def images(self) -> Iterator[FoundImage]:
        """Each image; its ``fault`` tells if there is no file, or if it was named before."""
        return islice(self._all(), self._limit)

    def with_labels(self) -> Iterator[tuple[FoundImage, LabelFile | None]]:
        """Each image with its label file; None where it has a ``fault``."""

        def read(found: FoundImage) -> LabelFile | None:
            return None if found.fault is not None else self.label_file(found.path)

        if self._readers == 1:
            yield from ((found, read(found)) for found in self.images())
        else:  # of a storage that is far away, each file takes a while
            yield from read_ahead(self.images(), read, self._readers)

    def paths(self) -> Iterator[Path]:
        """The files alone."""
        return (found.path for found in self.images() if found.fault is None)

    def _all(self) -> Iterator[FoundImage]:
        root = self._split.root
        for folder, names in self._names:
            inside = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
            for name in names:
                yield self._root.checked(FoundImage(folder / name, inside + name))
        if not self._split.lists:
            return
        seen: set[int] = set()
        for found in self._of_lists():
            key = hash(str(found.path))
            if found.fault is None and key in seen:
                found = replace(found, fault=("image is named once more in the split", repr(found.name)))
            seen.add(key)
            yield found

    def _of_lists(self) -> Iterator[FoundImage]:
        folders = {place: ImageFolder(place.parent) for place in self._split.lists}
        for folder in self._split.folders:  # some entries of the split may be folders
            for name in sorted(FileNames(folder, EXTENSIONS)):
                yield self._root.checked(self._named(folder / name))
        for place, line in self._split.listed():
            # As Ultralytics, ./ is the folder of the list; other names may be relative to either.
            for images in (folders[place], self._root):
                found = images.by_name(line.removeprefix("./").removeprefix(f"{images.folder}/"))
                if found.fault is None:
                    break
            yield self._root.checked(self._named(found.path, found) if found.fault is None else found)

    def _named(self, path: Path, found: FoundImage | None = None) -> FoundImage:
        """An image by its path below the root, where it is there."""
        path = Path(os.path.normpath(path))
        name = path.relative_to(self._split.root).as_posix() if self._is_inside(path) else str(path)
        return replace(found, path=path, name=name) if found else FoundImage(path, name)

    def _is_inside(self, path: Path) -> bool:
        return path.is_relative_to(self._split.root)

    def label_file(self, image: Path) -> LabelFile:
        """Read the label file of an image: ``labels`` in place of the last ``images`` of its path.

        Where there is no such folder, it lies beside the image. A name that is alike but for letter case and
        Unicode form will do.

        Args:
            image: The image file.
        """
        folder = self._label_folder(image.parent)
        path = folder / f"{image.stem}.txt"
        changes: tuple[tuple[str, str, str], ...] = ()
        if not is_file(path):
            others = self._names_in(folder).like(image.stem)
            if len(others) != 1:
                return LabelFile(path)
            path = folder / others[0]
            changes = (("image", "label file found under another name", f"{path.name!r} taken"),)
        self._used.append(hash(str(path)))
        try:
            return LabelFile(path, decode_text(read_regular(path, most=_LONGEST)), changes)
        except OSError as error:
            return LabelFile(path, fault=("label file cannot be read", str(error.strerror)))
        except ValueError as error:
            return LabelFile(path, fault=("label file is no text", str(error)))

    def label_folders(self) -> list[Path]:
        """Where labels of the images so far were looked for."""
        return sorted(set(self._label_folders.values()))

    def spare_labels(self) -> Iterator[str]:
        """Text files in the folders of labels that belong to none of the images that were asked for.

        Nothing where only a part of the folders' images was asked for.
        """
        if self._split.lists or self._limit is not None:
            return
        used = np.unique(np.frombuffer(self._used, np.int64)) if self._used else np.zeros(0, np.int64)
        folders = self.label_folders()
        for folder in folders:
            if any(other in folder.parents for other in folders):
                continue
            for name in FileNames(folder, _TEXT):
                path = folder / name
                key = hash(str(path))
                place = int(np.searchsorted(used, key))
                if (place == len(used) or used[place] != key) and path.name not in NAME_FILES:
                    yield shown(path)

    def _label_folder(self, folder: Path) -> Path:
        if folder not in self._label_folders:
            parts = list(folder.parts)
            found = folder
            if "images" in parts:
                last = len(parts) - 1 - parts[::-1].index("images")
                other = Path(*parts[:last], "labels", *parts[last + 1 :])
                found = other if is_folder(other) else folder
            self._label_folders[folder] = found
        return self._label_folders[folder]

    def _names_in(self, folder: Path) -> FileNames:
        if folder not in self._label_names:
            self._label_names[folder] = FileNames(folder, _TEXT)
        return self._label_names[folder]
