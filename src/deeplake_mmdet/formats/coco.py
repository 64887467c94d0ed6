"""Reading of COCO detection files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import AnnotationError, SourceFormatError, SourceNotFoundError

__all__ = ["CocoAnnotation", "CocoCategory", "CocoFile", "CocoImage", "load_coco"]

_SHOWN = 5
_KEPT = {
    "categories": {"id", "name"},
    "images": {"id", "file_name", "width", "height"},
    "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "segmentation"},
}


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """One category: its id in the file and its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image: id, file name, and size in pixels (``None`` where the file states none)."""

    id: int
    file_name: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """One object.

    ``bbox`` and ``segmentation`` stand here as the JSON has them (``None`` if absent) and are not checked;
    a sound ``bbox`` is ``[x, y, width, height]`` in pixels. ``area`` is in square pixels.
    """

    category_id: int
    id: int | None
    bbox: Any
    area: Any
    iscrowd: int
    ignore: int | None
    segmentation: Any


@dataclass(frozen=True)
class CocoFile:
    """A COCO file in memory.

    Attributes:
        path: The file.
        categories: In file order; the position is the label.
        images: In file order.
        annotations: Image id to its annotations in file order; images without any are absent.
        unread: Keys that the file has and this class has not, such as ``annotations.keypoints``.
        repeated_annotation_ids: How many annotations carry an id that another one had before.
    """

    path: Path
    categories: tuple[CocoCategory, ...]
    images: tuple[CocoImage, ...]
    annotations: dict[int, list[CocoAnnotation]]
    unread: tuple[str, ...]
    repeated_annotation_ids: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """Category names in file order."""
        return tuple(category.name for category in self.categories)

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Category ids in file order."""
        return tuple(category.id for category in self.categories)

    def annotations_of(self, image_id: int) -> Sequence[CocoAnnotation]:
        """The annotations of one image, in file order."""
        return self.annotations.get(image_id, ())


def load_coco(path: str | Path) -> CocoFile:
    """Load a COCO detection file; time and memory grow with images plus annotations.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceFormatError: It is not JSON, or not COCO: a list or a required key is missing.
        AnnotationError: Ids or category names are duplicate or not of the right type, or an annotation
            names an image or category that the file does not have.
    """
    path = Path(path)
    data = _load_json(path)
    unread = {key for key in data if key not in _KEPT}
    for key in _KEPT:
        if not isinstance(data.get(key), list):
            raise SourceFormatError(
                f"The COCO file has no list '{key}'",
                where=str(path),
                advice="Give the instances file of the data set, with images, annotations and categories",
            )
    categories = tuple(_category(entry, path, unread) for entry in data["categories"])
    _refuse_duplicates([c.id for c in categories], "category ids", path)
    _refuse_duplicates([c.name for c in categories], "category names", path)
    images = tuple(_image(entry, path, unread) for entry in data["images"])
    _refuse_duplicates([i.id for i in images], "image ids", path)
    grouped, repeated = _group(data["annotations"], categories, images, path, unread)
    return CocoFile(path, categories, images, grouped, tuple(sorted(unread)), repeated)


def _load_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise SourceNotFoundError("There is no such annotation file", where=str(path)) from None
    except OSError as error:
        raise SourceNotFoundError(
            f"The annotation file cannot be read ({error.strerror})", where=str(path)
        ) from error
    try:
        data = json.loads(text)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError alike
        raise SourceFormatError(f"The annotation file is not JSON ({error})", where=str(path)) from None
    if not isinstance(data, dict):
        raise SourceFormatError(
            f"A COCO file holds one JSON object; this one holds a {type(data).__name__}", where=str(path)
        )
    return data


def _entry(entry: Any, kind: str, required: tuple[str, ...], path: Path, unread: set[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise SourceFormatError(f"An entry of '{kind}' is not an object: {entry!r:.80}", where=str(path))
    for key in required:
        if key not in entry:
            raise SourceFormatError(
                f"An entry of '{kind}' lacks '{key}' (id {entry.get('id')!r})", where=str(path)
            )
    if not entry.keys() <= _KEPT[kind]:
        unread.update(f"{kind}.{key}" for key in entry.keys() - _KEPT[kind])
    return entry


def _integer(value: Any, what: str, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise AnnotationError(
            f"{what} is {value!r:.80}; it must be a 64-bit integer",
            where=str(path),
            advice="Renumber the file with integer ids",
        )
    return value


def _text(value: Any, what: str, path: Path) -> str:
    if not isinstance(value, str) or not value:
        raise AnnotationError(f"{what} is {value!r:.80}; it must be a non-empty text", where=str(path))
    return value


def _category(entry: Any, path: Path, unread: set[str]) -> CocoCategory:
    entry = _entry(entry, "categories", ("id", "name"), path, unread)
    number = _integer(entry["id"], "A category id", path)
    return CocoCategory(number, _text(entry["name"], f"The name of category {number}", path))


def _image(entry: Any, path: Path, unread: set[str]) -> CocoImage:
    entry = _entry(entry, "images", ("id", "file_name"), path, unread)
    number = _integer(entry["id"], "An image id", path)
    width, height = (
        None if entry.get(side) is None else _integer(entry[side], f"The {side} of image {number}", path)
        for side in ("width", "height")
    )
    return CocoImage(
        number, _text(entry["file_name"], f"The file_name of image {number}", path), width, height
    )


def _flag(entry: dict[str, Any], key: str, path: Path) -> int:
    value = entry[key]
    if value not in (0, 1):  # true and false pass: they equal 1 and 0
        raise AnnotationError(
            f"'{key}' of annotation {entry.get('id')} is {value!r:.80}; it must be 0 or 1", where=str(path)
        )
    return int(value)


def _group(
    entries: list[Any],
    categories: tuple[CocoCategory, ...],
    images: tuple[CocoImage, ...],
    path: Path,
    unread: set[str],
) -> tuple[dict[int, list[CocoAnnotation]], int]:
    known_images = {image.id for image in images}
    known_categories = {category.id for category in categories}
    grouped: dict[int, list[CocoAnnotation]] = {}
    seen: set[int] = set()
    repeated = 0
    strays: dict[str, list[tuple[Any, Any]]] = {"image": [], "category": []}
    for raw in entries:
        entry = _entry(raw, "annotations", ("image_id", "category_id"), path, unread)
        number = entry.get("id")
        image_id = _integer(entry["image_id"], f"The image_id of annotation {number!r:.80}", path)
        category_id = _integer(entry["category_id"], f"The category_id of annotation {number!r:.80}", path)
        if number is not None:
            number = _integer(number, "An annotation id", path)
            repeated += number in seen
            seen.add(number)
        if image_id not in known_images:
            strays["image"].append((number, image_id))
        elif category_id not in known_categories:
            strays["category"].append((number, category_id))
        else:
            annotation = CocoAnnotation(
                category_id=category_id,
                id=number,
                bbox=entry.get("bbox"),
                area=entry.get("area"),
                iscrowd=_flag(entry, "iscrowd", path) if entry.get("iscrowd") is not None else 0,
                ignore=_flag(entry, "ignore", path) if entry.get("ignore") is not None else None,
                segmentation=entry.get("segmentation"),
            )
            grouped.setdefault(image_id, []).append(annotation)
    for kind, found in strays.items():
        if found:
            shown = ", ".join(f"annotation {a} names {kind} {b}" for a, b in found[:_SHOWN])
            raise AnnotationError(
                f"{len(found)} annotations name a {kind} that the file does not have: {shown}",
                where=str(path),
                advice=f"Add the {kind} to the file or remove these annotations",
            )
    return grouped, repeated


def _refuse_duplicates(values: Sequence[int | str], what: str, path: Path) -> None:
    seen: set[int | str] = set()
    twice = [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
    if twice:
        shown = ", ".join(repr(value) for value in twice[:_SHOWN])
        raise AnnotationError(
            f"The COCO file has {len(twice)} duplicate {what}: {shown}",
            where=str(path),
            advice="Ids and category names must be unique within the file",
        )
