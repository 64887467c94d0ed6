"""What YOLO's ``data.yaml`` says, and the lists of class names that stand in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deeplake_mmdet.errors import SourceFormatError, SourceNotFoundError
from deeplake_mmdet.formats.file_names import is_file
from deeplake_mmdet.formats.xml_text import decode_text
from deeplake_mmdet.lake.images.regular_files import read_regular
from deeplake_mmdet.lake.schema.class_names import ClassNames, read_class_names

__all__ = ["NAME_FILES", "SPLITS", "YoloFile", "read_name_file", "read_text", "read_yolo_file"]

SPLITS = ("train", "val", "test", "valid", "validation", "trainval", "minival", "dev")
NAME_FILES = ("classes.txt", "obj.names", "classes.names")
_LONGEST = 2**28
_FORM = "Give a data.yaml with 'names' and 'train', 'val' or 'test'"


@dataclass(frozen=True)
class YoloFile:
    """A ``data.yaml``.

    Attributes:
        path: The file.
        names: Its classes; None if it has none.
        count: ``nc``; None if it is not there.
        base: ``path``, the folder that the splits are relative to; empty if it is not there.
        splits: Folders and lists of images of each split, as they stand there.
        keypoints: How many numbers of keypoints an object has, by ``kpt_shape``; 0 for none.
        is_fetched: Whether it has a ``download``, which is never run.
    """

    path: Path
    names: ClassNames | None
    count: int | None
    base: str
    splits: Mapping[str, tuple[str, ...]]
    keypoints: int
    is_fetched: bool


def read_text(path: Path, what: str) -> str:
    """The text of a file.

    Args:
        path: The file.
        what: What it is, for errors.

    Raises:
        SourceNotFoundError: It cannot be read.
        SourceFormatError: It is no text.
    """
    try:
        return decode_text(read_regular(path, most=_LONGEST))
    except OSError as error:
        raise SourceNotFoundError(f"{what} cannot be read ({error.strerror})", where=str(path)) from None
    except ValueError:
        raise SourceFormatError(f"{what} is not UTF-8 text", where=str(path)) from None


def read_name_file(folders: list[Path]) -> tuple[Path, ClassNames] | None:
    """Class names out of a text file, one a line, as labelling tools leave them beside labels.

    Args:
        folders: Where to look for one of `NAME_FILES`.

    Returns:
        The file and its names; None if there is no such file.

    Raises:
        SourceFormatError: It cannot be understood: a line between others is empty, or a name occurs twice.
    """
    path = next((folder / name for folder in folders for name in NAME_FILES if is_file(folder / name)), None)
    if path is None:
        return None
    lines = [line.strip() for line in read_text(path, "The file of class names").strip().splitlines()]
    return path, read_class_names(lines, str(path), advice="one name a line", error=SourceFormatError)


def read_yolo_file(path: Path) -> YoloFile:
    """Read a ``data.yaml``. Nothing in it is run, ``download`` neither.

    Args:
        path: The file.

    Raises:
        SourceNotFoundError: It cannot be read.
        SourceFormatError: It is no YAML, or no ``data.yaml``; ``names``, ``nc``, ``path``, ``kpt_shape`` or a
            split cannot be understood.
    """
    data = _mapping(path)
    where = str(path)
    count = data.get("nc")
    if count is not None and (type(count) is not int or count < 1):
        raise SourceFormatError(f"'nc' is {_short(count)}", where=where, advice="Give the number of classes")
    names = None if data.get("names") is None else _names(data["names"], where)
    if names is not None and count is not None and len(names.names) != count:
        raise SourceFormatError(
            f"'nc' is {count}, but 'names' has {len(names.names)} classes",
            where=where,
            advice="Make them agree: labels would be taken for other classes",
        )
    base = data.get("path")
    if base is not None and not isinstance(base, str):
        raise SourceFormatError(f"'path' is {_short(base)}, which is no folder", where=where)
    splits = {name: _split(name, data[name], where) for name in SPLITS if data.get(name)}
    if names is None and not splits:
        raise SourceFormatError("The file has neither 'names' nor a split", where=where, advice=_FORM)
    shape = data.get("kpt_shape")
    keypoints = 0
    if shape is not None:
        sound = isinstance(shape, list) and len(shape) == 2
        if not sound or any(type(side) is not int or side < 1 for side in shape):
            raise SourceFormatError(
                f"'kpt_shape' is {_short(shape)}",
                where=where,
                advice="Give the number of keypoints and 2 or 3 numbers for each: [17, 3]",
            )
        keypoints = shape[0] * shape[1]
    return YoloFile(path, names, count, base or "", splits, keypoints, bool(data.get("download")))


def _mapping(path: Path) -> dict[Any, Any]:
    text = read_text(path, "The YOLO data file")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            # A few lines of them stand for more than any memory holds.
            raise SourceFormatError("The YOLO data file has aliases (*name)", where=str(path), advice=_FORM)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or "unknown characters"
        raise SourceFormatError(
            f"The YOLO data file is not YAML ({what})", where=f"{path}{at}", advice=_FORM
        ) from None
    except (ValueError, RecursionError) as error:  # dates that are none, say
        raise SourceFormatError(
            f"The YOLO data file cannot be read ({error})", where=str(path), advice=_FORM
        ) from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise SourceFormatError(
            f"A YOLO data file holds keys and values; this one holds {found}", where=str(path), advice=_FORM
        )
    return data


def _names(value: Any, where: str) -> ClassNames:
    """The class names; numbers among them are their texts."""
    given = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for name in given:
        if name is None or isinstance(name, bool):
            raise SourceFormatError(
                f"YAML takes a class name for {_short(name)}",
                where=f"{where}, names",
                advice="Put it in quotes: yes, no, on, off, true, false and null are no texts there",
            )
    if isinstance(value, list):
        value = [_as_text(name) for name in value]
    elif isinstance(value, dict) and any(isinstance(key, int) for key in value):
        value = {key: _as_text(name) for key, name in value.items()}
    if not value:
        raise SourceFormatError("'names' names no class", where=where, advice="Name the classes, 0 first")
    return read_class_names(value, f"{where}, names", error=SourceFormatError)


def _as_text(name: Any) -> Any:
    return str(name) if isinstance(name, int | float) else name


def _split(name: str, value: Any, where: str) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) and entry.strip() for entry in entries):
        raise SourceFormatError(
            f"'{name}' is {_short(value)}",
            where=where,
            advice="Give a folder, a text file that lists images, or a list of those",
        )
    return tuple(entry.strip() for entry in entries)


def _short(value: Any) -> str:
    return f"{value!r:.80}"
