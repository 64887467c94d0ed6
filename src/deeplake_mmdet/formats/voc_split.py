"""Splits of Pascal VOC folders: which images belong to one, and what the classes are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.file_names import FileNames, is_file, is_folder, split_extension
from deeplake_mmdet.formats.voc import VocImage, read_class_names, read_voc_file
from deeplake_mmdet.formats.voc_layout import VocLayout, find_layout, names_in
from deeplake_mmdet.formats.xml_text import decode_text
from deeplake_mmdet.lake import class_list
from deeplake_mmdet.lake.archives.mounts import listed
from deeplake_mmdet.lake.images.regular_files import read_regular

__all__ = ["VocSplit", "load_voc", "near_name"]

_SHOWN = 5
_XML = (".xml",)
_FLAG = re.compile(r"(\S.*?)\s+(-1|0|1)")


@dataclass(frozen=True)
class VocSplit:
    """One split of a VOC folder: ids and class names; the XML files are read when asked for.

    Attributes:
        root: The folder that was given.
        split: Name of the list; ``None`` where all annotation files of the folders were taken.
        ids: Image ids in the order of the split file, each once.
        class_names: The position is the label.
        unreadable: How many annotation files could not be read for their class names.
        annotations: Folder of the XML files.
        image_folder: Folder of the images.
        repeated: Ids that the split file names once more, as often as it does.
        notes: What the user should know about how the folder was read, in sentences.
    """

    root: Path
    split: str | None
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    unreadable: int
    annotations: Path
    image_folder: Path
    repeated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def images(self) -> Iterator[VocImage]:
        """Read the XML files one by one, in the order of the split; a bad file yields its ``fault``."""
        return map(self.read, self.ids)

    def read(self, image_id: str) -> VocImage:
        """Read the XML file of one image; a bad file yields its ``fault``.

        Args:
            image_id: One of ``ids``.
        """
        path = self.xml_of(image_id)
        image = read_voc_file(path, image_id, self.image_folder / f"{image_id}.jpg")
        if image.fault is None and path != self.annotations / f"{image_id}.xml":
            change = ("annotation file found under another name", f"{image_id!r} stands in the split")
            return replace(image, changes=(change, *image.changes))
        return image

    def xml_of(self, image_id: str) -> Path:
        """The path of the XML file of an image.

        Args:
            image_id: The name without extension.

        Returns:
            ``<id>.xml`` if there is such a file, or else the only one that is called so but for letter case,
            Unicode form and URL quoting. If there is none, or several, ``<id>.xml`` all the same.
        """
        path = self.annotations / f"{image_id}.xml"
        others = [] if is_file(path) else self._xml_names.like(image_id)
        return self.annotations / others[0] if len(others) == 1 else path

    @cached_property
    def _xml_names(self) -> FileNames:
        return FileNames(self.annotations, _XML)


def load_voc(root: str | Path, split: str | None = None, classes: Sequence[str] | None = None) -> VocSplit:
    """Load the ids and class names of a split.

    The folder is laid out as VOC2007 is, or in another usual way (see `find_layout`). A split is a list of
    ids in ``ImageSets/Main``, in ``ImageSets`` or in the folder itself, or a folder of XML files, in the root
    or in ``Annotations``; without any list, and only then, all XML files are taken, sorted. Of lists with a
    flag (``cat_train.txt``: 1, 0 or -1 for "has none") all ids are taken, whatever the flag.

    Args:
        root: The folder.
        split: The name of the list, with or without ``.txt``, or of the folder; None for a folder without.
        classes: The class names in label order. None takes every name found in all annotation files,
            sorted, so that the splits of one folder agree on it. Names are stripped of spaces and line breaks
            around them, which ``XMLDataset`` does not do.

    Raises:
        SourceNotFoundError: The folder or the split file is missing.
        SourceFormatError: The split file is empty or not text, or no class name was found.
        ConfigError: ``classes`` is empty, names a class twice, is no list of texts, names only classes that
            no annotation file has, or one that is nearly called like one of theirs; ``split`` is ``None`` and
            there are lists to choose from.
    """
    root = Path(root)
    layout = find_layout(root, split)
    annotations, image_folder = layout.annotations, layout.images
    notes = []
    if (annotations, image_folder) != (root / "Annotations", root / "JPEGImages"):
        notes.append(f"Annotations are read from {annotations}, images from {image_folder}")
    lines, list_notes = _read_split(layout, None if layout.is_split else split)
    counts = Counter(lines)
    repeated = tuple(line for line, count in counts.items() for _ in range(count - 1))
    notes += list_notes
    if classes is None:
        names, unreadable = _all_names(layout.every)
        if not names:
            raise _unreadable(annotations) or SourceFormatError(
                "No annotation file names a class", where=str(annotations)
            )
    else:
        names, unreadable = class_list(classes, "argument 'classes'", error=ConfigError), 0
        if not names:
            raise ConfigError("'classes' must name each class once", where=f"classes={list(names)}")
        notes += _unknown_classes(names, layout.every)
    if layout.is_split:
        split = None
    return VocSplit(
        root, split, tuple(counts), names, unreadable, annotations, image_folder, repeated, tuple(notes)
    )


def _unreadable(folder: Path) -> SourceNotFoundError | None:
    """The error for a folder that cannot be listed; None if it can."""
    try:
        listed(folder)
    except OSError as error:
        return SourceNotFoundError(f"The folder cannot be read ({error.strerror})", where=str(folder))
    return None


def _read_split(layout: VocLayout, split: str | None) -> tuple[list[str], list[str]]:
    """The ids, repeated ones included, and what to say about them."""
    root, annotations = layout.root, layout.annotations
    folders = [root / "ImageSets" / "Main", root / "ImageSets", root]
    names = [name for folder in folders[:2] for name in names_in(folder)]
    lists = sorted({name.removesuffix(".txt") for name in names if name.endswith(".txt")})
    if split is None:
        if lists:
            raise ConfigError(
                "The folder has lists of images; say which split to import",
                where=str(root / "ImageSets"),
                advice=f"Splits here: {', '.join(lists[:20])}",
            )
        ids = _ids_in(annotations)
        asked = "The split is a folder" if layout.is_split else "No split was asked for"
        return ids, [f"{asked}: all {len(ids)} annotation files were taken, sorted by name"]
    name = f"{split.removesuffix('.txt')}.txt"
    path = next((folder / name for folder in folders if is_file(folder / name)), None)
    if path is None and split.strip(".") and "/" not in split and is_folder(annotations / split):
        return [f"{split}/{name}" for name in _ids_in(annotations / split)], []
    if path is None:
        advice = f"Splits here: {', '.join(lists[:20])}"
        if not lists:
            advice = "There are no lists in ImageSets; leave the split out to import all annotation files"
        raise SourceNotFoundError(f"There is no split '{split}'", where=str(folders[0] / name), advice=advice)
    try:
        text = decode_text(read_regular(path))
    except DeepLakeMMDetError:  # of a storage, and no word about the file
        raise
    except OSError as error:
        what = f"The split file cannot be read ({error.strerror})"
        raise SourceNotFoundError(what, where=str(path)) from None
    except ValueError:
        raise SourceFormatError("The split file is not UTF-8 text", where=str(path)) from None
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    if not lines:
        raise SourceFormatError("The split file names no image", where=str(path))
    return _ids(lines, annotations, path.name)


def _ids_in(folder: Path) -> list[str]:
    ids = sorted(split_extension(name, _XML)[0] for name in FileNames(folder, _XML))
    if not ids:
        raise _unreadable(folder) or SourceFormatError("The folder has no XML file", where=str(folder))
    return ids


def _ids(lines: list[str], annotations: Path, name: str) -> tuple[list[str], list[str]]:
    """Ids of lines: a line is an id, blanks and all, unless only what stands before its flag is one."""
    all_flagged = all(_FLAG.fullmatch(line) and not _is_id(annotations, line) for line in lines)
    flags: dict[str, int] = {}
    extensions = 0
    ids = []
    for line in lines:
        found = _FLAG.fullmatch(line)
        if found and not _is_id(annotations, line) and (all_flagged or _is_id(annotations, found[1])):
            flags[found[2]] = flags.get(found[2], 0) + 1
            line = found[1]
        stem, dot, extension = line.rpartition(".")
        if dot and extension.isalnum() and not _is_id(annotations, line) and _is_id(annotations, stem):
            extensions += 1
            line = stem
        ids.append(line)
    notes = []
    if flags:
        counts = ", ".join(f"{count} with {flag}" for flag, count in sorted(flags.items()))
        notes.append(f"{name} has a flag for each image ({counts}); all are imported, whatever their flag")
    if extensions:
        notes.append(f"{name} names files instead of ids in {extensions} lines; extensions are left off")
    return ids, notes


def _is_id(annotations: Path, line: str) -> bool:
    return is_file(annotations / f"{line}.xml")


def _all_names(annotations: Path) -> tuple[tuple[str, ...], int]:
    names: set[str] = set()
    unreadable = 0
    for stated in _every(annotations):
        unreadable += stated is None
        names.update(name.strip() for name in stated or ())
    return tuple(sorted(names - {""})), unreadable


def _every(annotations: Path) -> Iterator[list[str] | None]:
    return (read_class_names(annotations / name) for name in FileNames(annotations, _XML))


def _unknown_classes(names: tuple[str, ...], annotations: Path) -> list[str]:
    """Notes on classes that no annotation file has; reading ends when all are found.

    Raises:
        ConfigError: The files have classes, and none of these.
    """
    missing, found = set(names), set()
    for stated in _every(annotations):
        for name in stated or ():
            found.add(name.strip())
            missing -= {name.strip(), name}
        if not missing:
            return []
    found.discard("")
    absent = [name for name in names if name in missing]
    # A class that is rare may be absent from a folder; one that is nearly there is misspelt.
    misspelt = [name for name in absent if (near := near_name(name, found)) and near not in names]
    if found and (misspelt or len(absent) == len(names)):
        hints = [_hint(name, found) for name in (misspelt or absent)]
        raise ConfigError(
            f"No annotation file has {'the' if misspelt else 'any of these'} classes: "
            + ", ".join(hints[:_SHOWN]),
            where=f"classes, {annotations}",
            advice=f"Classes of the files: {', '.join(map(repr, sorted(found)[:20]))}",
        )
    return [f"No annotation file has the class {name!r}" for name in absent]


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that is perhaps meant, whatever the letter case; None if none is like it.

    Args:
        name: What was written.
        known: The names to choose from.
    """
    folded = {other.casefold(): other for other in sorted(known)}
    near = get_close_matches(name.strip().casefold(), folded, n=1)
    return folded[near[0]] if near else None


def _hint(name: str, known: Iterable[str]) -> str:
    near = near_name(name, known)
    return f"{name!r} (did you mean {near!r}?)" if near else repr(name)
