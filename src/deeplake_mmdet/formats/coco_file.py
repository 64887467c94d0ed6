"""A COCO detection file in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplake_mmdet.formats.coco_remainder import Remainder
from deeplake_mmdet.formats.coco_values import Id

__all__ = ["CocoAnnotation", "CocoCategory", "CocoFile", "CocoImage"]


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """One category: its id in the file, its name, and what else the file says of it (see `Remainders`)."""

    id: Id
    name: str
    remainder: Remainder | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image.

    Attributes:
        id: Its id in the file.
        file_name: Its file; empty where ``fault`` says that there is no usable name.
        width: In pixels; None where the file states none, or none that can be.
        height: In pixels; None exactly where ``width`` is None.
        change: What is taken otherwise than the file says, or None.
        fault: Reason and detail why the image cannot be taken, or None.
        remainder: What else the file says of it, see `Remainders`.
    """

    id: Id
    file_name: str
    width: int | None
    height: int | None
    change: str | None = None
    fault: tuple[str, str] | None = None
    remainder: Remainder | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """One object.

    ``bbox``, ``area`` and ``segmentation`` stand here as the JSON has them (``None`` if absent) and are not
    checked; a sound ``bbox`` is ``[x, y, width, height]`` in pixels, ``area`` is in square pixels.

    Attributes:
        category_id: The category's id, as the category itself has it.
        id: The annotation's own; None if it has none.
        bbox: See above.
        area: See above.
        iscrowd: 0 or 1.
        ignore: 0 or 1; None if the file says nothing.
        segmentation: See above.
        changes: What is taken otherwise than the file says, in the same words for all like it.
        remainder: What else the file says of it, see `Remainders`.
    """

    category_id: Id
    id: Id | None
    bbox: Any
    area: Any
    iscrowd: int
    ignore: int | None
    segmentation: Any
    changes: tuple[str, ...] = ()
    remainder: Remainder | None = None


@dataclass(frozen=True)
class CocoFile:
    """A COCO file in memory: what could be taken, and what could not.

    Attributes:
        path: The file.
        categories: In file order; the position is the label.
        images: In file order, each id once.
        annotations: Image id to its annotations in file order; images without any are absent.
        kept: Keys that nothing reads and that are kept to be exported, such as ``annotations.keypoints``.
        unread: Keys that cannot be kept.
        repeated_annotation_ids: How many annotations carry an id that another one had before.
        refused_of: Image id to ``(reason, detail)`` of its annotations that cannot be taken.
        strays: ``(kind, reason, detail)`` of what cannot be taken and belongs to no image: ``'box'`` for
            annotations, ``'image'`` for entries of ``images``.
        notes: What else the file has that is odd, in sentences.
        others: What stands beside the three lists: ``info``, ``licenses`` and whatever else.
    """

    path: Path
    categories: tuple[CocoCategory, ...]
    images: tuple[CocoImage, ...]
    annotations: dict[Id, list[CocoAnnotation]]
    kept: tuple[str, ...]
    unread: tuple[str, ...]
    repeated_annotation_ids: int
    refused_of: dict[Id, list[tuple[str, str]]]
    strays: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Category names in file order."""
        return tuple(category.name for category in self.categories)

    @property
    def category_ids(self) -> tuple[Id, ...]:
        """Category ids in file order."""
        return tuple(category.id for category in self.categories)

    def annotations_of(self, image_id: Id) -> Sequence[CocoAnnotation]:
        """The annotations of one image, in file order; empty if it has none.

        Args:
            image_id: The image's ``id``; an unknown one has no annotations.
        """
        return self.annotations.get(image_id, ())
