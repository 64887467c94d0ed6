"""Reading of COCO detection files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deeplake_mmdet.errors import AnnotationError, ConfigError, SourceFormatError
from deeplake_mmdet.formats.coco_file import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from deeplake_mmdet.formats.coco_grouping import Grouped, group_annotations
from deeplake_mmdet.formats.coco_remainder import Remainders
from deeplake_mmdet.formats.coco_values import Id, is_number, read_id, read_size, shown
from deeplake_mmdet.formats.json_files import load_json
from deeplake_mmdet.formats.voc_split import near_name
from deeplake_mmdet.lake import class_list

__all__ = ["load_coco", "select_classes"]

_SHOWN = 5
_LISTS = ("images", "annotations", "categories")


def load_coco(path: str | Path) -> CocoFile:
    """Load a COCO detection file; time and memory grow with images plus annotations.

    What can be taken is taken; what cannot is listed one by one, in `CocoFile.strays` and
    `CocoFile.refused_of`: entries that are no objects, images without an id, annotations that name an image
    or a category which the file does not have, flags that cannot be read. Ids are whole numbers, other
    numbers or texts. They are looked up as pycocotools does, ``1.0`` being 1; where none is equal, the one
    that states the same number is taken (``"3"`` for 3), and told. Of several images under one id the last
    is taken, in the place of the first, as pycocotools does. Images without a ``file_name`` but with a
    ``coco_url``, as in LVIS, are named by the last two parts of that. Without a list of annotations, as in
    files for test sets, images have none.

    Args:
        path: The JSON file, which may be compressed by gzip.

    Raises:
        SourceNotFoundError: The file is missing or cannot be read.
        SourceFormatError: It is not JSON, or not COCO: a results file, or images or categories are missing.
        AnnotationError: A category has no id or name, or two have the same one; or not one of the
            annotations can be taken, as when all of them name images that the file does not have.
    """
    path = Path(path)
    data, notes = _lists(load_json(path), path)
    rest, of_categories, of_images = Remainders(""), Remainders("categories."), Remainders("images.")
    others = (rest.of({key: data[key] for key in data if key not in _LISTS}, {}) or {}).get("has", {})
    categories = _categories(data["categories"], path, of_categories, notes)
    images, strays = _images(data["images"], of_images, notes)
    grouped = group_annotations(
        data["annotations"], [image.id for image in images], [category.id for category in categories]
    )
    strays += [("box", reason, detail) for reason, detail in grouped.strays]
    if images and categories and data["annotations"] and not grouped.annotations:
        raise _nothing_taken(grouped, images, categories, len(data["annotations"]), path)
    remainders = (rest, of_categories, of_images, grouped.remainders)
    kept = sorted({key for one in remainders for key in one.kept})
    lost = sorted({key for one in remainders for key in one.lost})
    return CocoFile(
        path, categories, images, grouped.annotations, tuple(kept), tuple(lost),
        grouped.repeated_ids, grouped.refused_of, tuple(strays), tuple(notes),
        others,
    )  # fmt: skip


def select_classes(coco: CocoFile, classes: Sequence[str]) -> CocoFile:
    """Keep these classes alone, in this order; annotations of others are refused one by one.

    Args:
        coco: From `load_coco`; not changed.
        classes: Names of its categories, each once.

    Raises:
        ConfigError: ``classes`` is empty, no list of texts, names one twice, or one that the file lacks.
    """
    names = class_list(classes, "argument 'classes'", error=ConfigError)
    by_name = {category.name: category for category in coco.categories}
    unknown = [name for name in names if name not in by_name]
    if unknown or not names:
        hints = [
            repr(name) + (f" (did you mean {n!r}?)" if (n := near_name(name, by_name)) else "")
            for name in unknown
        ]
        raise ConfigError(
            f"The file has no category {', '.join(hints)}" if unknown else "'classes' names none",
            where=f"classes, {coco.path}",
            advice=f"Categories of the file: {', '.join(map(repr, list(by_name)[:20]))}",
        )
    kept = {by_name[name].id for name in names}
    refused = {number: list(entries) for number, entries in coco.refused_of.items()}
    annotations: dict[Id, list[CocoAnnotation]] = {}
    for number, group in coco.annotations.items():
        if mine := [one for one in group if one.category_id in kept]:
            annotations[number] = mine
        others = [
            ("class is not in the class list", f"annotation {one.id!r}, category {one.category_id!r}")
            for one in group
            if one.category_id not in kept
        ]
        if others:
            refused.setdefault(number, []).extend(others)
    return replace(
        coco, categories=tuple(by_name[name] for name in names), annotations=annotations, refused_of=refused
    )


def _lists(data: Any, path: Path) -> tuple[dict[str, Any], list[str]]:
    if isinstance(data, list):
        results = data and all(isinstance(one, dict) and "score" in one for one in data[:_SHOWN])
        raise SourceFormatError(
            "This is a file of COCO results (predictions), not of annotations"
            if results
            else "A COCO file holds one JSON object; this one holds a list",
            where=str(path),
            advice="'deeplake-mmdet eval' scores it against a lake; import the instances file"
            if results
            else "Give the instances file of the data set, with images, annotations and categories",
        )
    if not isinstance(data, dict):
        raise SourceFormatError(
            f"A COCO file holds one JSON object; this one holds a {type(data).__name__}", where=str(path)
        )
    notes = []
    if data.get("annotations") is None:
        data["annotations"] = []
        notes.append("The file has no list of annotations; its images are taken without boxes")
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            found = f"{type(data[key]).__name__}" if key in data else f"keys {', '.join(map(repr, data))}"
            raise SourceFormatError(
                f"The COCO file has no list '{key}' but {found:.200}",
                where=str(path),
                advice="Give the instances file of the data set, with images, annotations and categories",
            )
    return data, notes


def _categories(
    entries: list[Any], path: Path, remainders: Remainders, notes: list[str]
) -> tuple[CocoCategory, ...]:
    found: list[CocoCategory] = []
    skipped = 0
    for entry in entries:
        if not isinstance(entry, dict):
            skipped += 1
            continue
        number, name = read_id(entry.get("id")), entry.get("name")
        if number is None:
            raise AnnotationError(
                f"The id of the category named {shown(name)} is {shown(entry.get('id'))}; "
                "it must be a number or a text",
                where=str(path),
            )
        if is_number(name):
            notes.append(f"The name of category {number!r} is a number; the class is named {str(name)!r}")
            name = str(name)
        if not isinstance(name, str) or not name or not _can_be_stored(name):
            raise AnnotationError(
                f"The name of category {number!r} is {shown(name)}; it must be a text that is not empty",
                where=str(path),
                advice="Name the category",
            )
        remainder = remainders.of(entry, {"id": number, "name": name})
        found.append(CocoCategory(number, name, remainder))
    if skipped and not found:
        raise AnnotationError(
            f"No entry of 'categories' is an object with an id and a name; the first is {shown(entries[0])}",
            where=str(path),
        )
    if skipped:
        notes.append(f"{skipped} entries of 'categories' are not objects and left out")
    once = list(dict.fromkeys(found))
    if len(once) < len(found):
        notes.append(f"{len(found) - len(once)} categories are listed twice, with the same id and name")
    _refuse_duplicates([category.id for category in once], "category ids", path)
    _refuse_duplicates([category.name for category in once], "category names", path)
    return tuple(once)


def _refuse_duplicates(values: Sequence[Id], what: str, path: Path) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        listed = ", ".join(map(repr, twice[:_SHOWN]))
        raise AnnotationError(
            f"The COCO file has {len(twice)} duplicate {what}: {listed}",
            where=str(path),
            advice="Two categories cannot be told apart by them: rename one, or make them one category",
        )


def _images(
    entries: list[Any], remainders: Remainders, notes: list[str]
) -> tuple[tuple[CocoImage, ...], list[tuple[str, str, str]]]:
    found: dict[Id, CocoImage] = {}
    strays: list[tuple[str, str, str]] = []
    by_url = repeated = 0
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            strays.append(("image", "entry of 'images' is not an object", f"number {place}: {shown(entry)}"))
            continue
        number = read_id(entry.get("id"))
        if number is None:
            reason = "image has no id" if entry.get("id") is None else "image id is neither number nor text"
            detail = f"id {shown(entry.get('id'))}, file_name {shown(entry.get('file_name'))}"
            strays.append(("image", reason, detail))
            continue
        image, is_by_url = _image(number, entry, remainders)
        by_url += is_by_url
        if (before := found.get(number)) is not None:
            if before == image:
                repeated += 1
            else:
                detail = f"id {number!r}, file_name {before.file_name!r}; taken: {image.file_name!r}"
                strays.append(("image", "image id is repeated, and its last image is taken", detail))
        found[number] = image  # in the place of the first, as in pycocotools
    if by_url:
        notes.append(f"{by_url} images have no file_name; they are named by their coco_url")
    if repeated:
        notes.append(f"{repeated} images are listed twice, with the same id, file and size")
    return tuple(found.values()), strays


def _image(number: Id, entry: dict[str, Any], remainders: Remainders) -> tuple[CocoImage, bool]:
    """The image, and whether its file is named by ``coco_url``."""
    name, url = entry.get("file_name"), entry.get("coco_url")
    by_url = False
    if name is None and isinstance(url, str):
        name, by_url = _name_in(url), True
    fault = None
    if not isinstance(name, str) or not name or not _can_be_stored(name):
        reason = "image has no file_name" if name is None else "file_name is no name of a file"
        fault = (reason, f"id {number!r}, file_name {shown(entry.get('file_name'))}")
        name = ""
    size, change = read_size(entry.get("width"), entry.get("height"))
    width, height = size or (None, None)
    read: dict[str, Any] = {"id": number, "file_name": name, "width": width, "height": height}
    if size is None:  # null is not what an export writes, which is the size that the image has
        read |= {"width": _UNKNOWN, "height": _UNKNOWN}
    remainder = None if fault else remainders.of(entry, read)
    return CocoImage(number, name, width, height, change, fault, remainder), by_url


_UNKNOWN = object()


def _name_in(url: str) -> str:
    """``val2017/000000000139.jpg`` of an address in COCO: the images of LVIS lie in several folders."""
    try:
        parts = urlsplit(url).path.split("/")
    except ValueError:
        parts = url.split("/")
    return "/".join([part for part in parts if part][-2:])


def _can_be_stored(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _nothing_taken(
    grouped: Grouped,
    images: Sequence[CocoImage],
    categories: Sequence[CocoCategory],
    count: int,
    path: Path,
) -> AnnotationError:
    refused = [*grouped.strays, *(one for several in grouped.refused_of.values() for one in several)]
    reasons = Counter(reason for reason, _ in refused)
    listed = "; ".join(f"{reason}: {number}" for reason, number in reasons.items())
    compared = []
    if grouped.unknown_images:
        names, others = _kind([image.id for image in images]), _kind(grouped.unknown_images)
        compared.append(f"the ids of images are {names}, the annotations name {others}")
    if grouped.unknown_categories:
        names = _kind([category.id for category in categories])
        compared.append(
            f"the ids of categories are {names}, the annotations name {_kind(grouped.unknown_categories)}"
        )
    advice = "; ".join(compared) or "Give the file of instances, with boxes and categories"
    return AnnotationError(
        f"None of the {count} annotations can be taken ({listed})",
        where=f"{path}, first: {refused[0][1]}",
        advice=f"Make them agree: {advice}" if compared else advice,
    )


def _kind(ids: Iterable[Id]) -> str:
    """Ids for people: the range of numbers, or some of the texts."""
    listed = list(ids)
    numbers = [name for name in listed if not isinstance(name, str)]
    texts = [name for name in listed if isinstance(name, str)]
    parts = []
    if numbers:
        least, most = min(numbers), max(numbers)
        parts.append(f"the number {least}" if least == most else f"the numbers {least} to {most}")
    if texts:
        parts.append(f"texts such as {', '.join(json.dumps(text) for text in texts[:3]):.100}")
    return " and ".join(parts) or "none"
