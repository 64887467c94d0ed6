"""Splits of YOLO data sets: where their images are, and what the classes are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.class_map import check_map, choose_classes
from deeplake_mmdet.formats.file_names import is_file, is_folder
from deeplake_mmdet.formats.voc_layout import names_in
from deeplake_mmdet.formats.yolo_file import SPLITS, YoloFile, read_name_file, read_text, read_yolo_file
from deeplake_mmdet.lake import class_list
from deeplake_mmdet.lake.schema.class_names import ClassNames

__all__ = ["YoloSplit", "load_yolo"]

_YAML = (".yaml", ".yml")
_USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


@dataclass(frozen=True)
class YoloSplit:
    """One split of a YOLO data set; images and labels are looked for when asked for.

    Attributes:
        split: Its name; None where there are no splits.
        class_names: Of the lake: the position is the label.
        label_of: The label of each class number; `LEFT_OUT` for classes that are not wanted.
        keypoints: How many numbers of keypoints follow a box; 0 for none.
        folders: Folders of images; all below them belong to the split.
        lists: Text files that name one image a line.
        root: The folder that names of images are relative to.
        notes: What the user should know about how it was read, in sentences.
    """

    split: str | None
    class_names: tuple[str, ...]
    label_of: Mapping[int, int]
    keypoints: int
    folders: tuple[Path, ...]
    lists: tuple[Path, ...]
    root: Path
    notes: tuple[str, ...] = ()

    def listed(self) -> Iterator[tuple[Path, str]]:
        """Each list of images and each name on it, in order.

        Raises:
            SourceNotFoundError, SourceFormatError: A list cannot be read or is no text.
        """
        for path in self.lists:
            for line in read_text(path, "The list of images").splitlines():
                if line.strip():
                    yield path, line.strip()


def load_yolo(
    data: str | Path,
    split: str | None = None,
    classes: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> YoloSplit:
    """Find the images of a split and the class names.

    Args:
        data: The absolute path of a ``data.yaml``, or of a folder: with one such file, with ``images`` and
            ``labels``, with folders called ``train`` and so on, or with images and labels side by side.
        split: The name of the split; may be left out where there is one or none, or all are the same images.
        classes: The class names in label order, as they are after renaming; None for all. Where the data set
            names no classes, the names of the class numbers from 0 on.
        renamed: New names of classes by old ones.

    Raises:
        SourceNotFoundError: The file, the folder or the split is not there.
        SourceFormatError: The file is no ``data.yaml`` or does not say what the classes are.
        ConfigError: There are several splits and none was named, or ``classes`` or ``renamed`` is not sound.
    """
    path = Path(data)
    if is_folder(path):
        path = _innermost(path)
        file = _yaml_in(path)
        found = _of_file(file, split) if file else _of_folder(path, split)
    elif is_file(path):
        found = _of_file(path, split)
    else:
        raise SourceNotFoundError(
            "There is no such YOLO data file or folder",
            where=str(path),
            advice="Give a data.yaml or a folder",
        )
    names = _names(found.names, found.count, classes, path)
    if found.names is None:
        classes = None
    chosen, labels = choose_classes(names.names, check_map(renamed), classes, str(path))
    numbers = names.numbers or range(len(labels))
    return YoloSplit(
        found.split,
        chosen,
        dict(zip(numbers, labels, strict=True)),
        found.keypoints,
        tuple(place for place in found.places if is_folder(place)),
        tuple(place for place in found.places if not is_folder(place)),
        found.root,
        tuple(found.notes),
    )


@dataclass(frozen=True)
class _Found:
    split: str | None
    names: ClassNames | None
    count: int | None
    places: tuple[Path, ...]
    root: Path
    notes: list[str]
    keypoints: int = 0


def _yaml_in(folder: Path) -> Path | None:
    for name in _USUAL:
        if is_file(folder / name):
            return folder / name
    others = [name for name in names_in(folder) if name.lower().endswith(_YAML)]
    if len(others) > 1:
        raise ConfigError(
            "The folder has several YAML files; say which describes the data",
            where=str(folder),
            advice=f"Give one of them instead of the folder: {', '.join(others[:20])}",
        )
    return folder / others[0] if others else None


def _of_file(path: Path, split: str | None) -> _Found:
    file = read_yolo_file(path)
    if not file.splits:
        raise SourceFormatError("The YOLO data file names no images", where=str(path), advice="Add 'train'")
    if split is None and len(set(file.splits.values())) == 1:  # export writes one folder as both
        split = next(iter(file.splits))
    name = _chosen(split, file.splits, str(path))
    bases = _bases(file)
    places = [_place(entry, bases, name or "", file) for entry in file.splits[name or ""]]
    notes = []
    base = places[0][1]
    if file.base and base not in _bases(file, stated_only=True):
        notes.append(f"'path' of {path.name}, {file.base!r}, does not lead to the images: {base} does")
    paths = tuple(dict.fromkeys(place for place, _ in places))
    folders = [place for place in paths if is_folder(place)]
    root = _common(folders) if len(folders) == len(paths) else base
    return _Found(name, file.names, file.count, paths, root, notes, file.keypoints)


def _bases(file: YoloFile, *, stated_only: bool = False) -> list[Path]:
    """Folders that the splits may be relative to: that which the file states, and its own."""
    beside = file.path.parent
    stated = file.base.replace("\\", "/")
    found = [beside / stated, Path.cwd() / stated] if stated else []
    if not stated_only:
        found.append(beside)
    return list(dict.fromkeys(Path(os.path.normpath(folder)) for folder in found))


def _place(entry: str, bases: Sequence[Path], split: str, file: YoloFile) -> tuple[Path, Path]:
    """Where a split is, and the folder by which it was found."""
    plain = entry.replace("\\", "/")
    for base in bases:
        # Roboflow writes ../train/images for the folder beside the file, and Ultralytics takes it so.
        for text in dict.fromkeys((entry, plain, plain.removeprefix("../"))):
            place = Path(os.path.normpath(base / text))
            if is_folder(place) or is_file(place):
                return place, base
    advice = "Correct the entry, or 'path'; both may be relative to the file"
    if file.is_fetched:
        advice += "; its 'download' is never run here: fetch the data first"
    raise SourceNotFoundError(
        f"'{split}' of the YOLO data file, {entry!r}, is not there",
        where=f"{file.path}, looked for in {', '.join(map(str, bases))}",
        advice=advice,
    )


def _of_folder(folder: Path, split: str | None) -> _Found:
    """A folder without YAML; its splits are the folders that are called so."""
    inner = folder / "images" if is_folder(folder / "images") else folder
    splits = {name: inner / name for name in names_in(inner) if _is_split(name) and is_folder(inner / name)}
    place, name = inner, None
    if splits:
        name = _chosen(split, splits, str(inner))
        place = splits[name]
        if is_folder(place / "images"):
            place = place / "images"
    elif split is not None:
        raise SourceNotFoundError(
            f"There is no split '{split}'",
            where=str(folder),
            advice="The folder has no splits; leave it out to import all images",
        )
    labels = [folder / "labels", place / "labels", place.parent / "labels"]
    found = read_name_file([folder, *labels, folder / "data", inner, place])
    notes = [] if found is None else [f"Class names are those of {found[0]}"]
    return _Found(name, None if found is None else found[1], None, (place,), place, notes)


def _is_split(name: str) -> bool:
    return name.lower().rstrip("0123456789-_") in SPLITS


def _chosen(split: str | None, splits: Iterable[str], where: str) -> str:
    known = list(splits)
    listed = ", ".join(known[:20])
    if split is None:
        if len(known) > 1:
            raise ConfigError(
                "There are several splits; say which to import",
                where=where,
                advice=f"Splits here (split, --split): {listed}",
            )
        return known[0]
    meant = [name for name in known if name == split] or [
        name for name in known if _plain(name) == _plain(split)
    ]
    if len(meant) != 1:
        raise SourceNotFoundError(
            f"There is no split '{split}'", where=where, advice=f"Splits here: {listed}"
        )
    return meant[0]


def _plain(split: str) -> str:
    name = split.casefold()
    return "val" if name in ("valid", "validation") else name


def _names(
    names: ClassNames | None, count: int | None, classes: Sequence[str] | None, path: Path
) -> ClassNames:
    if names is not None:
        return names
    if classes is None:
        raise SourceFormatError(
            "The data set does not say what its classes are called",
            where=str(path),
            advice="Name them, that of number 0 first: classes=[...] (--classes NAME ...), 'names' in a "
            "data.yaml, or one a line in classes.txt",
        )
    given = class_list(classes, "argument 'classes'", error=ConfigError)
    if not given or (count is not None and len(given) != count):
        raise ConfigError(
            f"'classes' has {len(given)} names" + (f" for {count} classes ('nc')" if count else ""),
            where=f"classes, {path}",
        )
    return ClassNames(given)


def _common(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(folders))


def _innermost(folder: Path) -> Path:
    """A folder, or the only one that is in it, as in zip files."""
    inner = names_in(folder)
    own = ("images", *SPLITS)
    while len(inner) == 1 and inner[0].lower() not in own and is_folder(folder / inner[0]):
        folder /= inner[0]
        inner = names_in(folder)
    return folder
