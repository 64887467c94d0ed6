"""Where a COCO data set keeps its annotation file and images, if the user names only the data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from deeplake_mmdet.errors import ConfigError, SourceNotFoundError
from deeplake_mmdet.formats.file_names import FileNames, is_file, is_folder
from deeplake_mmdet.formats.voc_layout import names_in
from deeplake_mmdet.lake.archives.mounts import archive_at
from deeplake_mmdet.lake.archives.sources import Sources, is_address
from deeplake_mmdet.transfer.image_files import ImageFolder

__all__ = ["find_images", "innermost", "open_annotations"]

_SHOWN = 10
_LOOKED_FOR = 20  # names of images that show where they lie
_BESIDE = ("annotations", "annotation", "labels", "json")  # folders of annotation files beside the images'


def open_annotations(given: str | Path, sources: Sources, *, alone: bool) -> Path:
    """The annotation file that is meant: what is given itself, or the only JSON file of a folder or archive.

    Args:
        given: A file, a folder, a zip file or an address.
        sources: Opens it.
        alone: Whether the images lie elsewhere: what is around an address need not be opened then.

    Raises:
        SourceNotFoundError: The folder has no JSON file.
        ConfigError: It has several.
        DeepLakeMMDetError: As `Sources.path`.
    """
    path = sources.path(given)
    if not alone and is_address(given) and not is_folder(path):
        around = str(given).rpartition("/")[0]
        if around.rpartition("/")[2].lower() in _BESIDE:
            around = around.rpartition("/")[0]
        sources.path(around)
    if not is_folder(path):
        return path
    found = sorted(FileNames(path, (".json",)))
    if not found:
        raise SourceNotFoundError("There is no JSON file in it", where=str(path), advice="Name the file")
    if len(found) > 1:
        more = f" and {len(found) - _SHOWN} more" * (len(found) > _SHOWN)
        raise ConfigError(
            f"There are {len(found)} JSON files; say which to import",
            where=str(path),
            advice=f"Give {path / found[0]} or another of {', '.join(found[:_SHOWN])}{more}",
        )
    return path / found[0]


def innermost(folder: Path, names: Iterable[str]) -> Path:
    """An image folder, or the only folder in it, if it is a zip file with all images in there.

    Args:
        folder: The folder that was given.
        names: Names of the images, of which the first are looked for.
    """
    inner = names_in(folder) if archive_at(folder) is not None else []
    places = [folder / inner[0]] if len(inner) == 1 else []
    return _first_with(names, [folder, *places]) or folder


def find_images(annotations: Path, names: Iterable[str]) -> Path:
    """The folder that the names of images are relative to: the annotation file's own, or one around it.

    Args:
        annotations: The annotation file.
        names: Names of its images, of which the first are looked for.

    Raises:
        ConfigError: None of them is there.
    """
    base = annotations.parent
    folders = [base, base / "images"]
    if base.name.lower() in _BESIDE:
        folders += [base.parent / "images", base.parent]
    # COCO's own: instances_val2017.json is for the folder val2017
    within = [folder / name for folder in folders for name in names_in(folder) if name in annotations.stem]
    places = [place for place in (*within, *folders) if is_folder(place)]
    if (found := _first_with(names, places)) is not None:
        return found
    raise ConfigError(
        "The images are not beside the annotation file",
        where=str(annotations),
        advice="Say where they are by --images (images=)",
    )


def _first_with(names: Iterable[str], places: Sequence[Path]) -> Path | None:
    """The first of some folders that has the first of the names which any of them has."""
    some = list(islice((name for name in names if name and "\0" not in name), _LOOKED_FOR))
    for name in some:
        for place in places:
            if is_file(place / name):
                return place
    for folder in map(ImageFolder, places):  # written otherwise
        if any(folder.by_name(name).fault is None for name in some):
            return folder.folder
    return None
