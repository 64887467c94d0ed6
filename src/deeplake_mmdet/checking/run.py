"""`check`: everything about a lake in one go."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deeplake_mmdet.checking.annotations import SIZE_EDGES, AnnotationFacts, class_table, read_annotations
from deeplake_mmdet.checking.findings import findings_of, mask_findings
from deeplake_mmdet.checking.images import VERIFY, ImageFacts, read_images
from deeplake_mmdet.checking.kinds import SEVERITIES
from deeplake_mmdet.checking.leakage import leakage
from deeplake_mmdet.checking.left_out import read_config_dataset, what_is_left_out
from deeplake_mmdet.checking.result import CheckResult, Finding, LakeFacts, LeftOut
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import (
    Cleaning,
    CredentialRef,
    ExaminedLake,
    Source,
    clean_boxes,
    open_leniently,
)
from deeplake_mmdet.terminal import Progress

__all__ = ["check"]

_NAMED = 5  # rows of a finding whose files are named
_OF_SOURCE = ("commit", "branch", "tag", "view", "query")
_OF_READING = ("tensors", "box_format", "classes", "apply_exif")


@dataclass(frozen=True, eq=False)
class _Opened:
    asked: Source
    lake: ExaminedLake


@dataclass(frozen=True, eq=False)
class _Read:
    opened: _Opened
    annotations: AnnotationFacts
    images: ImageFacts
    facts: LakeFacts


def check(
    lake: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    *,
    commit: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    view: str | None = None,
    query: str | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Any = None,
    credentials: str | Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
    config: str | os.PathLike[str] | None = None,
    split: str = "train",
    cfg_options: Mapping[str, Any] | None = None,
    verify: str = "decode",
    workers: int | None = None,
    progress: bool = True,
) -> CheckResult:
    """Look for faults in a lake, and for images that two lakes share. Changes nothing.

    Boxes are judged in pixels of the image as training serves it, by the rules by which training leaves boxes
    out. Memory grows by about 60 bytes for each row.

    Args:
        lake: Folder or address.
        other: A second lake, such as that of the validation: checked as well, and compared with the first.
        commit, branch, tag, view, query: What to read of the first lake, see `Source`.
        tensors, box_format, classes: How to read it, see `open_view`; of both lakes, unless ``second`` says
            otherwise.
        credentials: Of both lakes: None, a handle, or public options, see `CredentialRef`.
        second: The arguments of the two lines above for the second lake, as in ``dict(view='val')``.
        config: A config file: tells what training with it would leave out of the first lake, and which rows
            of the lake to read, and how, where nothing else says so.
        split: Which of the config's datasets: ``'train'``, ``'val'`` or ``'test'``. Of several the one that
            reads the lake.
        cfg_options: Changes to the config, by dotted key.
        verify: ``'decode'``: decode every image; ``'header'``: read every file, but decode none;
            ``'none'``: read annotations only.
        workers: Threads that read and decode; by default one for each core.
        progress: Whether to draw a progress bar on stderr.

    Returns:
        Figures and findings. ``ok`` is False if there are errors.

    Raises:
        ConfigError: An argument asks for what there is not, or both lakes are the same.
        DeepLakeMMDetError: A lake or the config cannot be opened.
    """
    start = time.monotonic()
    if verify not in VERIFY:
        raise ConfigError(
            f"verify is {verify!r}", where="argument 'verify'", advice=f"one of {', '.join(VERIFY)}"
        )
    if other is not None and verify == "none":
        raise ConfigError(
            "Two lakes are compared by their images, which verify='none' does not read",
            where="argument 'verify'",
            advice="use 'decode', or 'header' to compare the files' bytes only",
        )
    chosen: dict[str, Any] = dict(zip(_OF_SOURCE, (commit, branch, tag, view, query), strict=True))
    reading: dict[str, Any] = {"tensors": tensors, "box_format": box_format, "classes": classes}
    dataset = None if config is None else read_config_dataset(config, str(lake), split, cfg_options)
    ref = CredentialRef(credentials)
    settings = reading
    if dataset is not None:
        if dataset.is_own and not any(chosen.values()):
            chosen = dataset.source_options()
        if dataset.is_own and credentials is None:
            ref = CredentialRef(dataset.place.node.get("credentials"))
        settings = {**dataset.open_options(), **{name: value for name, value in reading.items() if value}}
    opened = [_open(lake, chosen, settings, ref)]
    if other is not None:
        own = _options_of_second(second)
        source = {name: own.pop(name, None) for name in _OF_SOURCE}
        opened.append(_open(other, source, {**reading, **own}, CredentialRef(credentials)))
        _refuse_same(opened)
    read = [_read(one, verify, workers, progress) for one in opened]
    findings: list[Finding] = []
    left_out, cleaning, trained = None, None, True
    if dataset is not None and (lake_view := opened[0].lake.view) is not None:
        left_out, cleaning = what_is_left_out(opened[0].lake, lake_view, read[0].images, dataset)
        trained = not dataset.place.node.get("test_mode")
        findings += _of_left_out(left_out)
    for number, one in enumerate(read):
        cleaned = cleaning if number == 0 else None
        findings += _findings(number, one, cleaned, trained=trained or number > 0)
    if len(read) == 2:
        lakes = [one.opened.lake for one in read]
        findings += leakage(lakes[0], lakes[1], read[0].images, read[1].images, decoded=verify == "decode")
    findings = _with_file_names(findings, read)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return CheckResult(tuple(one.facts for one in read), tuple(findings), left_out, time.monotonic() - start)


def _with_file_names(findings: list[Finding], read: list[_Read]) -> list[Finding]:
    """The findings with the names of the files of their first rows, read in one call for each lake."""
    names: dict[tuple[int, int], str] = {}
    for number, one in enumerate(read):
        view = one.opened.lake.view
        rows = {row for found in findings if found.lake == number for row in found.rows[:_NAMED].tolist()}
        if view is not None and rows:
            order = sorted(rows)
            names |= {
                (number, row): name for row, name in zip(order, view.file_names(order) or (), strict=False)
            }
    return [
        replace(one, files=tuple(names[one.lake, row] for row in one.rows[:_NAMED].tolist()))
        if len(one.rows) and (one.lake, int(one.rows[0])) in names
        else one
        for one in findings
    ]


def _options_of_second(second: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(second, Mapping | None):
        raise ConfigError(f"second is {second!r}", where="argument 'second'", advice="write dict(view='val')")
    own = dict(second or {})
    known = (*_OF_SOURCE, *_OF_READING)
    if unknown := [name for name in own if name not in known]:
        raise ConfigError(
            f"There is no option {', '.join(map(repr, unknown))} of the second lake",
            where="argument 'second'",
            advice=f"its options are {', '.join(known)}",
        )
    return own


def _open(
    lake: str | os.PathLike[str],
    chosen: Mapping[str, Any],
    settings: Mapping[str, Any],
    credentials: CredentialRef,
) -> _Opened:
    asked = Source(str(lake) if isinstance(lake, os.PathLike) else lake, **chosen)
    return _Opened(asked, open_leniently(asked, credentials=credentials, **settings))


def _refuse_same(opened: list[_Opened]) -> None:
    first, second = (one.lake.source for one in opened)
    if first.facts() == second.facts():
        raise ConfigError(
            "Both lakes are the same rows of the same lake",
            where=str(first),
            advice="name another lake, or another view, branch or query of it: --second view=val",
        )


def _read(opened: _Opened, verify: str, workers: int | None, progress: bool) -> _Read:
    lake, view = opened.lake, opened.lake.view
    if view is None:
        empty = LakeFacts(opened.asked, lake.source, 0, verify=verify)
        return _Read(opened, AnnotationFacts(0, 0), ImageFacts.unread(0), empty)
    annotations = read_annotations(view.table, len(view.lake_classes))
    shown = progress and verify != "none"
    with Progress("Reading images", len(view.table), shown=shown, transient=True) as bar:
        images = read_images(view, verify, workers=workers, tell=bar.advance)
    table = view.table
    areas = table.widths.astype("int64") * table.heights
    known = (areas > 0).nonzero()[0]
    ends = (known[areas[known].argmin()], known[areas[known].argmax()]) if len(known) else ()
    sizes = [(int(table.widths[at]), int(table.heights[at])) for at in ends] or [(0, 0)] * 2
    facts = LakeFacts(
        asked=opened.asked,
        source=lake.source,
        rows=len(table),
        boxes=len(table.boxes),
        empty=int((table.offsets[1:] == table.offsets[:-1]).sum()),
        images=images.read,
        verify=verify,
        classes=class_table(view.lake_classes, annotations),
        size_edges=SIZE_EDGES,
        size_counts=annotations.size_counts,
        coco_sizes=annotations.coco_sizes,
        smallest=sizes[0],
        largest=sizes[1],
        view=view,
    )
    return _Read(opened, annotations, images, facts)


def _findings(number: int, read: _Read, cleaning: Cleaning | None, *, trained: bool) -> list[Finding]:
    """All findings of one lake; ``cleaning`` is that of a config's settings, if there are any."""
    lake = read.opened.lake
    found = findings_of(number, lake, read.annotations, read.images, read.facts.classes)
    view = lake.view
    if view is not None and lake.has_annotations:
        if view.roles.gt_masks is not None and read.facts.verify != "none":
            found += mask_findings(number, view)
        cleaning = cleaning or clean_boxes(view)
        if (error := cleaning.doubt()) is not None:
            kind = "nothing-left" if cleaning.is_hopeless and trained else "boxes-doubtful"
            found.append(Finding(kind, 1, "lakes", number, details=(str(error),)))
    return found


def _of_left_out(left_out: LeftOut) -> list[Finding]:
    found = []
    if lost := left_out.rows - left_out.kept:
        details = tuple(f"{len(rows)} {reason}" for reason, rows in left_out.images.items())
        found.append(Finding("left-out", lost, "images", 0, details=details))
    if not left_out.kept:
        details = ("No image is left after filtering: check metainfo.classes and filter_cfg",)
        found.append(Finding("nothing-left", 1, "lakes", 0, details=details))
    return found
