"""Reading of Pascal VOC folders, one XML file at a time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from deeplake_mmdet.errors import AnnotationError, ConfigError, SourceFormatError, SourceNotFoundError
from deeplake_mmdet.lake import class_list

__all__ = ["VocImage", "VocObject", "VocSplit", "load_voc", "read_voc_xml"]

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_EXTENSIONS = (".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_READ = {"filename", "size", "object", "width", "height", "name", "difficult", "bndbox", "depth"}


@dataclass(frozen=True, slots=True)
class VocObject:
    """One object of an XML file.

    Attributes:
        name: Class name, as it stands in the file.
        box: ``(xmin, ymin, xmax, ymax)`` in pixels, each ``int(float(text)) - 1`` as in MMDetection's
            ``XMLDataset``.
        difficult: 1 or 0; 0 where the file says nothing.
        fault: Why this object cannot be used, or ``None``.
    """

    name: str
    box: tuple[int, int, int, int]
    difficult: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class VocImage:
    """One image of a split.

    Attributes:
        image_id: The line of the split file.
        xml_path: Its annotation file.
        image_path: Its image file; the first place looked at when there is none.
        size: ``(width, height)`` in pixels, or ``None`` where the file states none (or zero).
        objects: In file order.
        unread: Names of elements that the file has and this class has not, such as ``object/pose``.
        fault: Why the annotation file cannot be used, or ``None``.
    """

    image_id: str
    xml_path: Path
    image_path: Path
    size: tuple[int, int] | None = None
    objects: tuple[VocObject, ...] = ()
    unread: frozenset[str] = frozenset()
    fault: str | None = None


@dataclass(frozen=True)
class VocSplit:
    """One split of a VOC folder: ids and class names; the XML files are read when asked for.

    Attributes:
        root: The folder with ``Annotations``, ``ImageSets`` and ``JPEGImages``.
        split: Name of the split.
        ids: Image ids in the order of the split file.
        class_names: The position is the label.
        unreadable: How many files of ``Annotations`` could not be read for their class names.
    """

    root: Path
    split: str
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    unreadable: int

    def images(self) -> Iterator[VocImage]:
        """Read the XML files one by one, in the order of the split; a bad file yields its ``fault``."""
        for image_id in self.ids:
            yield read_voc_xml(self.root, image_id)

    def image_paths(self) -> Iterator[Path]:
        """The image files, in the order of the split; XML is read only where ``<id>.jpg`` is absent."""
        for image_id in self.ids:
            path = self.root / "JPEGImages" / f"{image_id}.jpg"
            yield path if path.is_file() else read_voc_xml(self.root, image_id).image_path


def load_voc(root: str | Path, split: str, classes: Sequence[str] | None = None) -> VocSplit:
    """Load the ids and class names of a split.

    Without ``classes`` the class list is every name found in the whole ``Annotations`` folder, sorted, so
    that the splits of one folder agree on it.

    Raises:
        SourceNotFoundError: The folder or the split file is missing.
        SourceFormatError: The split file is empty or not text, or no class name was found.
        AnnotationError: The split names an image twice.
        ConfigError: ``classes`` is empty, names a class twice or is no list of texts (see
            `read_class_names`).
    """
    root = Path(root)
    if not (root / "Annotations").is_dir():
        raise SourceNotFoundError(
            "The folder has no 'Annotations'",
            where=str(root),
            advice="Give the folder that holds Annotations, ImageSets and JPEGImages (VOC2007, say)",
        )
    ids = _read_split(root, split)
    if classes is not None:
        names, unreadable = class_list(classes, "argument 'classes'", error=ConfigError), 0
        if not names:
            raise ConfigError("'classes' must name each class once", where=f"classes={list(names)}")
    else:
        names, unreadable = _collect_names(root / "Annotations")
        if not names:
            raise SourceFormatError("No annotation file names a class", where=str(root / "Annotations"))
    return VocSplit(root, split, ids, names, unreadable)


def _read_split(root: Path, split: str) -> tuple[str, ...]:
    places = [root / "ImageSets" / "Main" / f"{split}.txt", root / "ImageSets" / f"{split}.txt"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        found = sorted(p.stem for folder in {p.parent for p in places} for p in folder.glob("*.txt"))
        raise SourceNotFoundError(
            f"There is no split '{split}'",
            where=str(places[0]),
            advice=f"Splits here: {', '.join(found[:20]) or 'none'}",
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise SourceFormatError("The split file is not UTF-8 text", where=str(path)) from None
    ids = tuple(line.strip() for line in lines if line.strip())
    if not ids:
        raise SourceFormatError("The split file names no image", where=str(path))
    seen: set[str] = set()
    for image_id in ids:
        if image_id in seen:
            raise AnnotationError(f"The split file names '{image_id}' twice", where=str(path))
        seen.add(image_id)
    return ids


def _collect_names(folder: Path) -> tuple[tuple[str, ...], int]:
    names: set[str] = set()
    unreadable = 0
    for path in folder.glob("*.xml"):
        try:
            names.update(obj.findtext("name") or "" for obj in ET.parse(path).getroot().findall("object"))
        except (OSError, ET.ParseError, ValueError):
            unreadable += 1
    return tuple(sorted(names - {""})), unreadable


def read_voc_xml(root: Path, image_id: str) -> VocImage:
    """Read one annotation file and find its image; what is wrong with the file stands in ``fault``.

    The image is ``JPEGImages/<id>.jpg``, else the XML's ``<filename>``, else ``<id>`` with another usual
    extension.
    """
    xml_path = root / "Annotations" / f"{image_id}.xml"
    fault = None
    tree = ET.Element("annotation")
    try:
        tree = ET.parse(xml_path).getroot()
    except FileNotFoundError:
        fault = "annotation file is missing"
    except OSError as error:
        fault = f"annotation file cannot be read ({error.strerror})"
    except (ET.ParseError, ValueError) as error:
        fault = f"annotation file is not XML ({error})"
    image_path = _find_image(root / "JPEGImages", image_id, tree.findtext("filename"))
    if fault is not None:
        return VocImage(image_id, xml_path, image_path, fault=fault)
    try:
        size = _size(tree)
    except ValueError as error:
        return VocImage(image_id, xml_path, image_path, fault=f"'size' cannot be read ({error})")
    nodes = tree.findall("object")
    unread = {child.tag for child in tree if child.tag not in _READ}
    unread.update(f"object/{child.tag}" for node in nodes for child in node if child.tag not in _READ)
    objects = tuple(_object(node) for node in nodes)
    return VocImage(image_id, xml_path, image_path, size, objects, frozenset(unread))


def _find_image(folder: Path, image_id: str, file_name: str | None) -> Path:
    first = folder / f"{image_id}.jpg"
    if first.is_file():
        return first
    others = [folder / f"{image_id}{extension}" for extension in _EXTENSIONS]
    if file_name and file_name.strip():
        # Annotation tools on Windows write whole paths here; only the last part can be trusted.
        others.insert(0, folder / PureWindowsPath(file_name.strip()).name)
    return next((path for path in others if path.is_file()), first)


def _size(tree: ET.Element) -> tuple[int, int] | None:
    node = tree.find("size")
    if node is None:
        return None
    width, height = (int(node.findtext(side) or 0) for side in ("width", "height"))
    return (width, height) if width or height else None


def _object(node: ET.Element) -> VocObject:
    name = node.findtext("name") or ""
    empty = (0, 0, 0, 0)
    if not name:
        return VocObject("", empty, 0, "object without a class name")
    bndbox = node.find("bndbox")
    texts = [None if bndbox is None else bndbox.findtext(corner) for corner in _CORNERS]
    if any(text is None for text in texts):
        return VocObject(name, empty, 0, "box is missing")
    try:
        xmin, ymin, xmax, ymax = (int(float(text or "")) - 1 for text in texts)
    except (ValueError, OverflowError):  # int() of a NaN, of an infinity
        return VocObject(name, empty, 0, "box is not four finite numbers")
    try:
        difficult = int(bool(int(node.findtext("difficult", "0"))))
    except ValueError:
        return VocObject(name, (xmin, ymin, xmax, ymax), 0, "'difficult' is not a whole number")
    return VocObject(name, (xmin, ymin, xmax, ymax), difficult)
