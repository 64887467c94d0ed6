"""Where a Pascal VOC folder keeps its annotation files and images: people lay them out in several ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.formats.file_names import is_folder
from deeplake_mmdet.lake.archives.mounts import listed

__all__ = ["VocLayout", "find_layout", "names_in"]

_SHOWN = 5
_DEEPEST = 5  # folders within folders that hold nothing else
_XML = ".xml"
_ANNOTATIONS = ("annotations", "annotation", "xmls", "xml")
_LABELS = ("labels", "label")  # which may as well be those of YOLO
_IMAGES = ("jpegimages", "pngimages", "images", "image", "imgs", "img")
_SAME = {"valid": "val", "validation": "val"}


@dataclass(frozen=True)
class VocLayout:
    """The folders of a data set.

    Attributes:
        root: Where lists of images are looked for (``ImageSets``).
        annotations: Of the XML files.
        images: Of the images.
        every: The folder whose XML files tell the classes: those of all splits.
        is_split: Whether the split that was asked for is a folder, all of which was asked for.
    """

    root: Path
    annotations: Path
    images: Path
    every: Path
    is_split: bool = False


def names_in(folder: Path) -> list[str]:
    """The names of what lies in a folder, sorted; none if it cannot be listed.

    Args:
        folder: The folder.
    """
    try:
        return listed(folder)
    except OSError:
        return []


def find_layout(root: Path, split: str | None) -> VocLayout:
    """Find the folders of annotation files and images.

    Taken is the first of: a folder ``Annotations``, or one of another usual name, beside a folder of images;
    XML files that lie in the folder itself, beside the images; a folder in it that is laid out in such a way,
    if it is the only one, or is called like the split (as ``train``, ``valid`` and ``test`` of Roboflow).

    Args:
        root: The folder that was given.
        split: The split that was asked for.

    Raises:
        SourceNotFoundError: No such folder is there.
        ConfigError: Several are, and no split says which.
    """
    base = root
    for _ in range(_DEEPEST):
        if (found := _at(base)) is not None:
            return VocLayout(base, *found, found[0])
        inner = [name for name in names_in(base) if is_folder(base / name)]
        homes = [name for name in inner if _at(base / name) is not None]
        if split is not None and (named := [name for name in homes if _plain(name) == _plain(split)]):
            annotations, images = _at(base / named[0]) or (base, base)
            return VocLayout(base / named[0], annotations, images, base, is_split=True)
        if len(homes) > 1:
            raise _several(base, homes, split)
        if len(homes or inner) != 1:
            break
        base /= (homes or inner)[0]
    raise SourceNotFoundError(
        "The folder has no 'Annotations'",
        where=str(root),
        advice="Give the folder that holds Annotations, ImageSets and JPEGImages (VOC2007, say), or XML "
        "files beside their images",
    )


def _at(base: Path) -> tuple[Path, Path] | None:
    """The folders of annotation files and images of a folder that is laid out in a usual way."""
    names = names_in(base)
    annotations = _folder(base, names, "Annotations", _ANNOTATIONS)
    if annotations is None and any(name.lower().endswith(_XML) for name in names):
        annotations = base
    if annotations is None:
        annotations = _folder(base, names, "Labels", _LABELS)
        if annotations is None or not any(name.lower().endswith(_XML) for name in names_in(annotations)):
            return None
    return annotations, _folder(base, names, "JPEGImages", _IMAGES) or base


def _folder(base: Path, names: list[str], usual: str, others: tuple[str, ...]) -> Path | None:
    if is_folder(base / usual):
        return base / usual
    found = {name.lower(): base / name for name in names}
    return next((found[name] for name in others if name in found and is_folder(found[name])), None)


def _plain(split: str) -> str:
    name = split.removesuffix(".txt").casefold()
    return _SAME.get(name, name)


def _several(base: Path, homes: list[str], split: str | None) -> ConfigError | SourceNotFoundError:
    shown = ", ".join(homes[:_SHOWN]) + f" and {len(homes) - _SHOWN} more" * (len(homes) > _SHOWN)
    if any(is_folder(base / name / "ImageSets") for name in homes):
        return SourceNotFoundError(
            "The folder has no 'Annotations'",
            where=str(base),
            advice=f"Give one of the folders that have: there is one in {shown}",
        )
    if split is not None:
        return SourceNotFoundError(
            f"There is no split '{split}'", where=str(base), advice=f"Splits here: {shown}"
        )
    return ConfigError(
        "The folder has several parts; say which split to import",
        where=str(base),
        advice=f"Splits here: {shown}",
    )
