"""All kinds of findings: how grave they are, what they say and what to do. docs/checking.md lists them."""

from __future__ import annotations

from typing import NamedTuple

from deeplake_mmdet.lake.table import cleaning, faults

__all__ = ["BOX_FAULTS", "KINDS", "ROW_FAULTS", "SEVERITIES", "Kind"]

SEVERITIES = ("error", "warning", "note")


class Kind(NamedTuple):
    """A kind of finding.

    Attributes:
        severity: ``'error'``, ``'warning'`` or ``'note'``.
        what: What it is, in words.
        advice: What to do about it.
        drops: Whether the fix plan leaves out its rows by a query.
    """

    severity: str
    what: str
    advice: str
    drops: bool = False


_LEAVE = "repair these rows, or leave them out with the query of --fix-plan"
_BOXES = "correct the boxes; training leaves them out by itself"

KINDS = {
    "no-rows": Kind("error", "the lake has no rows", "import data, or choose another version, view or query"),
    "unusable": Kind("error", "training cannot use this lake as it is", "see the details"),
    "box-unreadable": Kind("error", "boxes that are not (k, 4) finite numbers", _LEAVE, True),
    "label-unreadable": Kind("error", "labels that are no whole numbers or names", _LEAVE, True),
    "label-unknown": Kind(
        "error",
        "labels that are none of the classes",
        "correct the labels or the class names; or leave these rows out with the query of --fix-plan",
        True,
    ),
    "counts-differ": Kind("error", "boxes and labels differ in number", _LEAVE, True),
    "size-unusable": Kind("error", "recorded image sizes that are not positive", _LEAVE, True),
    "image-missing": Kind("error", "rows without an image", _LEAVE, True),
    "image-undecodable": Kind("error", "images that cannot be decoded", _LEAVE, True),
    "image-size": Kind(
        "error", "images of another size than recorded", "correct the sizes, or leave these rows out", True
    ),
    "box-outside": Kind("error", "boxes wholly outside their images", _BOXES, True),
    "box-degenerate": Kind("error", "boxes without width or height", _BOXES, True),
    "mask-unreadable": Kind("error", "masks that cannot be read or do not fit the boxes", _LEAVE, True),
    "leak-same": Kind(
        "error", "images that are in the first lake, too (same bytes)", "leave them out of one lake", True
    ),
    "nothing-left": Kind("error", "training would refuse to start", "see the details"),
    "box-tiny": Kind("warning", "boxes narrower or lower than a pixel", _BOXES, True),
    "box-beyond": Kind(
        "warning", "boxes that reach more than a pixel beyond their images", "training cuts them off", True
    ),
    "box-area": Kind(
        "warning",
        "boxes with an area of 0 or less by the area column",
        "correct the column, or do without it: tensors=dict(area=False)",
        True,
    ),
    "box-duplicate": Kind(
        "warning", "boxes that are there twice, with the same class", "remove one of them", True
    ),
    "box-two-classes": Kind(
        "warning", "boxes of two classes at the same place", "decide for one class", True
    ),
    "boxes-doubtful": Kind("warning", "the boxes may be read wrongly", "see the details"),
    "image-duplicate": Kind(
        "warning", "images that are there already, with the same boxes", "keep one row of each", True
    ),
    "image-contradiction": Kind(
        "warning", "images that are there already, with other boxes", "find out which boxes hold", True
    ),
    "image-exif": Kind(
        "warning",
        "images with an EXIF orientation that is not applied",
        "look whether the boxes fit the turned images; if they do, set apply_exif=True, or import again",
    ),
    "mask-none": Kind("warning", "objects without a usable mask", "training with masks ignores them", True),
    "mask-misfit": Kind(
        "warning",
        "masks that lie elsewhere than their boxes",
        "look at these rows: masks and boxes may be swapped",
        True,
    ),
    "leak-near": Kind(
        "warning",
        "images that look like one of the first lake",
        "look at the pairs in the details; leave them out of one lake",
        True,
    ),
    "classes-differ": Kind(
        "warning",
        "the second lake has other classes",
        "name the classes of both datasets in one order: metainfo=dict(classes=(...))",
    ),
    "column-misfit": Kind(
        "warning",
        "columns of flags, areas or ids that do not fit the rows, and are not used",
        "correct them; or leave them out: tensors=dict(<role>=False)",
    ),
    "column-unused": Kind("note", "columns that look useful but are not used", "see the details"),
    "no-annotations": Kind("note", "the lake has no boxes", "it serves for prediction, not for training"),
    "class-unused": Kind(
        "note",
        "classes without a box",
        "if they are not meant, select the others: metainfo=dict(classes=...)",
    ),
    "image-turned": Kind("note", "images that training turns by their EXIF orientation", "nothing"),
    "image-plain": Kind("note", "images too plain to be compared by their look", "nothing"),
    "look-unfinished": Kind(
        "note", "the search for images that look alike was ended early", "compare smaller parts, by --query"
    ),
    "look-skipped": Kind(
        "note", "images that look alike were not looked for, as none was decoded", "use --verify decode"
    ),
    "left-out": Kind("note", "images that training with the config leaves out", "see the reasons"),
}

ROW_FAULTS = {
    faults.BOXES: "box-unreadable",
    faults.LABELS: "label-unreadable",
    faults.UNKNOWN: "label-unknown",
    faults.COUNTS: "counts-differ",
    faults.SIZES: "size-unusable",
}
BOX_FAULTS = {cleaning.OUTSIDE: "box-outside", cleaning.AREA: "box-area"}
