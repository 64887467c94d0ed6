"""By which types and names columns are known for their roles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deeplake_mmdet.lake.schema.columns import ColumnFacts

__all__ = [
    "COCO_JSON",
    "COCO_REMAINDERS",
    "EXIF_TURNED",
    "JSON_IDS",
    "NUMBERS",
    "PER_BOX",
    "PREDICTED",
    "RULES",
    "SIZES",
    "STORED_PIXELS",
    "TURNED_PIXELS",
    "Rule",
    "cells_fit",
    "group_of",
    "is_named",
    "leaf",
    "looks_alike",
    "place_of",
]

# Marks in a column's metadata key 'format'. Sizes are trusted only where an import that decoded every image
# wrote them: a size column of other origin may mean the image before it was shrunk, or after it was turned.
STORED_PIXELS = "stored-pixels"
TURNED_PIXELS = "turned-pixels"  # of images that are turned as the column marked EXIF_TURNED says
SIZES = (STORED_PIXELS, TURNED_PIXELS)
EXIF_TURNED = "exif-turned"
COCO_JSON = "coco-json"
JSON_IDS = "json-ids"
COCO_REMAINDERS = "coco-remainders"  # JSON: what an export writes besides, see `Remainders`

NUMBERS = ("generic",)
_NO_NUMBERS = ("bytes", "object", "text")
PREDICTED = "pred"  # the group of columns that a run writes back
PER_BOX = ("iscrowd", "area", "difficult", "ignore")


@dataclass(frozen=True)
class Rule:
    """What qualifies a column for a role.

    Attributes:
        kinds: The better first.
        names: Conventions, the best first; case, hyphens and underscores do not matter.
        by_kind: Whether any column of the kind qualifies, whatever its name.
        marks: What metadata key 'format' must say, one of these.
        sequences: Kinds of which sequences serve too.
        means: What the column holds, for messages.
        words: A column with one of these words in its name may be meant for the role.
    """

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    by_kind: bool = False
    marks: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    means: str = ""
    words: tuple[str, ...] = ()


# Spellings of the extra roles: those of our imports first, then Deep Lake's (its COCO imports of today and
# of v3, its schema templates) and those of annotation files and other loaders.
RULES = {
    "img": Rule(("image",), ("images", "image", "img"), by_kind=True, means="images"),
    "gt_bboxes": Rule(
        ("boundingbox",),
        ("boxes", "bboxes", "bbox", "gt_bboxes", "gt_boxes", "gt_bbox", "bounding_boxes", "objects_bbox"),
        by_kind=True,
        sequences=("boundingbox", "generic"),
        means="boxes",
    ),
    "gt_labels": Rule(
        ("classlabel",),
        ("categories", "labels", "label", "classes", "gt_labels"),
        by_kind=True,
        sequences=("classlabel", "generic"),  # reading sequences of text crashes Deep Lake 4.7
        means="labels",
    ),
    "gt_masks": Rule(
        ("text", "polygon", "binarymask"),
        ("segmentations", "masks", "gt_masks", "mask", "polygons", "segmentation"),
        by_kind=True,
        sequences=("polygon", "binarymask"),
        means="masks",
    ),
    "iscrowd": Rule(
        NUMBERS,
        (
            *("iscrowds", "iscrowd", "is_crowd", "is_crowds", "crowds", "crowd"),
            *("gt_iscrowd", "gt_is_crowd", "crowd_flags", "crowd_flag", "iscrowd_flags", "iscrowd_flag"),
        ),
        sequences=NUMBERS,
        means="crowd flags",
        words=("crowd", "crowds", "iscrowd", "iscrowds"),
    ),
    "area": Rule(
        NUMBERS,
        ("areas", "area", "gt_areas", "gt_area", "object_areas", "object_area", "segment_areas"),
        sequences=NUMBERS,
        means="areas",
    ),
    "difficult": Rule(
        NUMBERS,
        ("difficults", "difficult", "is_difficult", "is_difficults", "gt_difficult", "difficult_flags"),
        sequences=NUMBERS,
        means="flags of difficult objects",
        words=("difficult", "difficults"),
    ),
    "ignore": Rule(
        NUMBERS,
        (
            "ignores",
            "ignore",
            "is_ignore",
            "is_ignored",
            "ignored",
            "gt_ignore",
            "ignore_flags",
            "ignore_flag",
        ),
        sequences=NUMBERS,
        means="flags of objects to ignore",
        words=("ignore", "ignores", "ignored"),
    ),
    "img_id": Rule(
        NUMBERS,
        ("image_id", "img_id", "image_ids", "img_ids", "coco_image_id"),
        means="image ids",
    ),
    "source_id": Rule(("text",), ("image_source_id",), marks=(JSON_IDS,), means="image ids"),
    "file_name": Rule(
        ("text",),
        ("file_name", "file_names", "filename", "filenames", "image_name", "img_name", "image_file_name"),
        means="file names",
    ),
    "width": Rule(NUMBERS, ("width", "widths"), marks=SIZES, means="image widths"),
    "height": Rule(NUMBERS, ("height", "heights"), marks=SIZES, means="image heights"),
    "exif_turned": Rule(
        NUMBERS, ("exif_turned",), marks=(EXIF_TURNED,), means="which images are turned by EXIF"
    ),
}


def leaf(name: str) -> str:
    """A column's name without its group, in lower case.

    Args:
        name: The name; the group stands before the last ``/``.
    """
    return name.rpartition("/")[2].lower()


def group_of(name: str) -> str:
    """The group that a column stands in; empty at the top level.

    Args:
        name: The column's name; the group stands before the last ``/``.
    """
    return name.rpartition("/")[0]


def place_of(rule: Rule, name: str) -> int:
    """How well a column's name fits a role, by the role's list of conventional names.

    Args:
        rule: The role's rule.
        name: The column's name; group, case, hyphens and underscores do not matter.

    Returns:
        The name's place in ``rule.names``, 0 for the best; ``len(rule.names)`` if it is not among them.
    """
    plain = leaf(name)
    if plain in rule.names:
        return rule.names.index(plain)
    plain = _squeezed(plain)
    found = [place for place, other in enumerate(rule.names) if _squeezed(other) == plain]
    return found[0] if found else len(rule.names)


def is_named(rule: Rule, name: str) -> bool:
    """Whether a column's name is one of a role's conventional names.

    Args:
        rule: The role's rule.
        name: The column's name, as for `place_of`.
    """
    return place_of(rule, name) < len(rule.names)


def cells_fit(rule: Rule, column: ColumnFacts) -> bool:
    """Whether a role can be read from a column's cells: numbers, or sequences that the role takes.

    Args:
        rule: The role's rule; it lists the kinds of columns whose sequences serve.
        column: Facts of the column. Generic columns must hold numbers; other kinds are not judged here.
    """
    if column.kind == "generic" and column.dtype in _NO_NUMBERS:
        return False
    return not column.is_sequence or column.kind in rule.sequences


def looks_alike(role: str, columns: Mapping[str, ColumnFacts]) -> list[str]:
    """Find the columns whose names suggest that they may be meant for a role.

    Args:
        role: Name of the role, a key of `RULES`.
        columns: Facts by column name.

    Returns:
        Their names, in the lake's order.
    """
    rule = RULES[role]
    return [name for name in columns if is_named(rule, name) or set(_words(name)) & set(rule.words)]


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).removesuffix("s")


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.rpartition("/")[2])
    return re.split(r"[\W_]+", spaced.lower())
