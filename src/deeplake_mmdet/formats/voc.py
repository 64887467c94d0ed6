"""Reading of Pascal VOC annotation files, one at a time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.formats.voc_object import VocObject, read_names, read_objects
from deeplake_mmdet.formats.voc_rest import rest_of
from deeplake_mmdet.formats.xml_text import read_xml

__all__ = ["VocImage", "read_class_names", "read_voc_file", "read_voc_xml"]

_READ = {"filename", "size", "object", "width", "height", "name", "difficult", "bndbox", "depth"}


@dataclass(frozen=True, slots=True)
class VocImage:
    """One image of a split.

    Attributes:
        image_id: The line of the split file.
        xml_path: Its annotation file.
        image_path: Where ``XMLDataset`` looks for its image: ``<id>.jpg``. The image may have another
            extension; finding it is up to the caller.
        size: ``(width, height)`` in pixels, or ``None`` where the file states none, zero or nonsense.
        objects: In file order.
        unread: Names of elements that nothing reads, such as ``object/pose``.
        rest: Those of them that are not in objects, see `rest_of`.
        fault: Why the annotation file cannot be used, or ``None``.
        file_name: The file's ``<filename>``, empty if it has none. It is often out of date.
        changes: ``(reason, detail)`` of what is read otherwise than the file says, but for the objects'.
    """

    image_id: str
    xml_path: Path
    image_path: Path
    size: tuple[int, int] | None = None
    objects: tuple[VocObject, ...] = ()
    unread: frozenset[str] = frozenset()
    fault: str | None = None
    file_name: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    rest: dict[str, Any] = field(default_factory=dict)


def read_voc_xml(root: Path, image_id: str) -> VocImage:
    """Read the annotation file of an image in a folder laid out as VOC2007 is.

    What is wrong with the file stands in ``fault``.

    Args:
        root: The folder that holds ``Annotations`` and ``JPEGImages``.
        image_id: The name of the XML file without its extension.
    """
    folder = root / "JPEGImages"
    return read_voc_file(root / "Annotations" / f"{image_id}.xml", image_id, folder / f"{image_id}.jpg")


def read_class_names(xml_path: Path) -> list[str] | None:
    """The class names of a file's objects as they stand there; None if the file cannot be used.

    Args:
        xml_path: The annotation file.
    """
    try:
        return read_names(_annotation(read_xml(xml_path))[0])
    except DeepLakeMMDetError:  # of a storage, and no word about the file
        raise
    except (OSError, ValueError):
        return None


def read_voc_file(xml_path: Path, image_id: str, image_path: Path) -> VocImage:
    """Read an annotation file; what is wrong with it stands in ``fault``.

    Read as ``XMLDataset`` reads it, and where that stops: namespaces are taken off, GBK and other
    multi-byte encodings are read, an ``<annotation>`` may stand in one wrapper, sizes may be fractions
    that are whole ("64.0"), ``<difficult>`` may be empty, a word or nonsense (then 0, with a note), and
    each object has its own fault.

    Args:
        xml_path: The annotation file.
        image_id: What `VocImage` is to be called.
        image_path: Where its image is expected; it is not looked at.
    """
    if "\0" in image_id:  # no file can be called so
        return VocImage(image_id, xml_path, image_path, fault="annotation file is missing")
    try:
        tree, wrapped = _annotation(read_xml(xml_path))
    except DeepLakeMMDetError:  # of a storage, and no word about the file
        raise
    except FileNotFoundError:
        return VocImage(image_id, xml_path, image_path, fault="annotation file is missing")
    except OSError as error:
        fault = f"annotation file cannot be read ({error.strerror})"
        return VocImage(image_id, xml_path, image_path, fault=fault)
    except _NotVoc as error:
        return VocImage(image_id, xml_path, image_path, fault=f"annotation file is not Pascal VOC ({error})")
    except ValueError as error:
        return VocImage(image_id, xml_path, image_path, fault=f"annotation file is not XML ({error})")
    changes = []
    if wrapped:
        changes.append(("<annotation> stands inside another element", wrapped))
    size, unread_size = _size(tree)
    if unread_size:
        changes.append(("size in the XML cannot be read; that of the image file stands for it", unread_size))
    nodes = tree.findall("object")
    unread = {child.tag for child in tree if child.tag not in _READ}
    unread.update(f"object/{child.tag}" for node in nodes for child in node if child.tag not in _READ)
    return VocImage(
        image_id,
        xml_path,
        image_path,
        size,
        read_objects(tree),
        frozenset(unread),
        file_name=(tree.findtext("filename") or "").strip(),
        changes=tuple(changes),
        rest=rest_of(tree, _READ),
    )


class _NotVoc(ValueError):
    """An XML file of another kind."""


def _annotation(root: ET.Element) -> tuple[ET.Element, str]:
    """The element that holds the objects, and the wrapper's name if it stands in one.

    ``XMLDataset`` does not look at the root's name. Of a wrapper it reads no objects and says nothing.
    """
    if root.tag.lower() == "annotation" or root.find("object") is not None:
        return root, ""
    inner = [node for node in root.iter() if node.tag.lower() == "annotation"]
    if len(inner) == 1:
        return inner[0], f"<{root.tag}>"
    if inner:
        raise _NotVoc(f"it holds {len(inner)} <annotation> elements, and one belongs to one image")
    if root.find("size") is None and root.find("filename") is None:
        raise _NotVoc(f"its root is <{root.tag}> and it has no <annotation>")
    return root, ""


def _size(tree: ET.Element) -> tuple[tuple[int, int] | None, str]:
    """The size, and its text where that is neither a size nor empty nor zero."""
    node = tree.find("size")
    if node is None:
        return None, ""
    texts = [(node.findtext(side) or "").strip() for side in ("width", "height")]
    try:
        width, height = (float(text or 0) for text in texts)
    except ValueError:
        return None, " x ".join(texts)
    if width == 0 or height == 0:
        return None, ""
    if width < 0 or height < 0 or not width.is_integer() or not height.is_integer():
        return None, " x ".join(texts)
    return (int(width), int(height)), ""
