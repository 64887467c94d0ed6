"""A lake that is exported: opened, and read in blocks of neighbouring rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.errors import AnnotationError, ConfigError, DeepLakeMMDetError
from deeplake_mmdet.formats.coco_values import Id
from deeplake_mmdet.lake.images.links import read_addresses
from deeplake_mmdet.lake.opening import open_view
from deeplake_mmdet.lake.schema.class_names import read_class_names
from deeplake_mmdet.lake.schema.columns import ColumnFacts
from deeplake_mmdet.lake.schema.labels import category_ids_of, source_category_ids
from deeplake_mmdet.lake.schema.roles import COCO_REMAINDERS, JSON_IDS, assign_roles
from deeplake_mmdet.lake.source.credentials import CredentialRef, put_away
from deeplake_mmdet.lake.source.pinning import resolve
from deeplake_mmdet.lake.source.source import Source
from deeplake_mmdet.lake.source_facts import facts_of_source, read_json
from deeplake_mmdet.lake.views import LakeView
from deeplake_mmdet.lake.writing.run_branch import RUNS
from deeplake_mmdet.lake.writing.run_opening import open_run

__all__ = ["Block", "ExportedLake", "open_lake"]

_ROWS, _BYTES = 256, 2**25  # of a block, at most
_UNKNOWN_ROWS = 32  # where images may be of any size
_PREDICTED = {"gt_bboxes": "pred/boxes", "gt_labels": "pred/labels"}
_NO_TRUTH = ("iscrowd", "area", "difficult", "ignore")


@dataclass(frozen=True)
class Block:
    """Neighbouring rows with what is read of them beside the annotation table; lists have one entry per row.

    Attributes:
        rows: Their numbers.
        names: Names of the image files, of linked ones without their folders; None where there is none.
        masks: COCO segmentations, one per box in the lake's order; None for a row without or unsound masks.
        faults: Why a row's masks cannot be used, by row number.
        scores: Of predictions, shape (k,); None for truth.
        extra: Cells of columns that `ExportedLake.extra` names, by column; JSON is read.
    """

    rows: range
    names: list[str | None]
    masks: list[list[Any] | None]
    faults: dict[int, str]
    scores: list[Any] | None
    extra: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportedLake:
    """A lake that is opened for export.

    Attributes:
        view: The lake, its truth or the predictions of a run in the annotation table.
        run: Id of the run; None for truth.
        category_ids: Of ``view.classes``.
        made_category_ids: Whether nothing in the lake said which they are.
        facts: What an import kept of its COCO file, see `facts_of`; empty without.
        extra: Columns of ids and remainders that the lake has.
    """

    view: LakeView
    run: str | None
    category_ids: tuple[Id, ...]
    made_category_ids: bool
    facts: Mapping[str, Any]
    extra: tuple[str, ...]

    def blocks(self) -> Iterator[Block]:
        """The rows in blocks of few megabytes of images."""
        view = self.view
        most = max(1, min(_ROWS, int(_BYTES / view.image_bytes))) if view.image_bytes else _UNKNOWN_ROWS
        for start in range(0, len(view.table), most):
            yield self._block(range(start, min(start + most, len(view.table))))

    def has_masks(self) -> bool:
        """Whether any object has a mask; reads masks until one is found."""
        if self.view.roles.gt_masks is None:
            return False
        return any(
            mask for block in self.blocks() for masks in block.masks if masks is not None for mask in masks
        )

    def _block(self, rows: range) -> Block:
        view, listed = self.view, list(rows)
        handle = view.handle
        names: list[str | None] = [None] * len(rows)
        if view.roles.file_name is not None:
            names = [str(name) if name else None for name in handle[view.roles.file_name][listed]]
        elif view.columns[view.roles.img].is_link:
            addresses = read_addresses(handle, view.roles.img, listed)
            names = [re.split(r"[?#]", text)[0].rpartition("/")[2] or None for text in addresses]
        faults: dict[int, str] = {}
        masks: list[list[Any] | None] = [None] * len(rows)
        if view.roles.gt_masks is not None:
            for place, cell in enumerate(view.mask_cells(listed)):
                try:
                    masks[place] = view.segmentations(rows[place], cell)
                except AnnotationError as error:
                    faults[rows[place]] = error.what
        scores = None if self.run is None else list(handle["pred/scores"][listed])
        extra: dict[str, list[Any]] = {}
        for name in self.extra:
            cells = list(handle[name][listed])
            extra[name] = cells if name == "annotation_ids" else [read_json(cell) for cell in cells]
        return Block(rows, names, masks, faults, scores, extra)


def open_lake(
    lake: str,
    *,
    commit: str | None,
    branch: str | None,
    tag: str | None,
    view: str | None,
    query: str | None,
    predictions: str | None,
    tensors: Mapping[str, Any] | None,
    box_format: str | None,
    classes: Sequence[str] | None,
    creds: Mapping[str, str] | None,
) -> ExportedLake:
    """Open a lake, or the predictions of a run in it.

    Args:
        lake: Folder or address.
        commit, branch, tag, view, query: See `Source`. Of these only ``query`` goes with ``predictions``.
        predictions: Id of a run.
        tensors, box_format, classes: See `open_view`. Only ``classes`` goes with ``predictions``.
        creds: Keys of the storage, by Deep Lake's names; None for those of the environment.

    Raises:
        ConfigError: Arguments contradict each other.
        DeepLakeMMDetError: As `open_run` and `open_view`.
    """
    ref = CredentialRef(put_away(creds) if creds else None)
    if predictions is None:
        source = Source(lake, commit=commit, branch=branch, tag=tag, query=query, view=view)
        opened = open_view(
            source,
            credentials=ref,
            tensors=tensors,
            box_format=box_format,
            classes=classes,
            allow_bad_images=True,
        )
        known = _category_ids(opened.columns.get(opened.roles.gt_labels or ""), opened.lake_classes)
        extra = tuple(name for name in _EXTRA if _is_ours(opened.columns.get(name)))
        return ExportedLake(opened, None, *_of_classes(opened, known), facts_of_source(opened), extra)
    given = {"commit": commit, "branch": branch, "tag": tag, "view": view}
    for name, value in (given | {"tensors": tensors, "box_format": box_format}).items():
        if value:
            raise ConfigError(
                f"'predictions' and {name!r} cannot be given together: a run's predictions belong to the "
                "version that it predicted on",
                where=name,
                advice="leave it out; 'query' chooses rows of a run",
            )
    found = open_run(lake, predictions, ref)
    pinned = found.source
    if query:
        pinned = resolve(Source(lake, branch=f"{RUNS}{found.run_id}", query=query), ref)
    roles: dict[str, Any] = {**_PREDICTED, **dict.fromkeys(_NO_TRUTH, False)}
    roles["gt_masks"] = "pred/masks" if "pred/masks" in found.columns else False
    opened = open_view(
        pinned,
        credentials=ref,
        tensors=roles,
        box_format="ltrb",
        classes=classes,
        allow_bad_images=True,
    )
    return ExportedLake(opened, found.run_id, *_of_classes(opened, _ids_of_truth(opened)), {}, ())


_EXTRA = ("annotation_ids", "annotation_source_ids", "image_remainder", "annotation_remainders")


def _is_ours(column: ColumnFacts | None) -> bool:
    """Whether a column is one of those that imports write, and not another of the same name."""
    if column is None:
        return False
    if column.name == "annotation_ids":
        return (
            column.kind == "generic" and column.dtype.startswith(("int", "uint")) and column.dimensions == 1
        )
    return column.metadata.get("format") in (JSON_IDS, COCO_REMAINDERS)


def _category_ids(column: ColumnFacts | None, names: Sequence[str]) -> dict[str, Id]:
    """Ids by class name; empty if none are recorded."""
    if column is None:
        return {}
    own = source_category_ids(column, len(names)) or category_ids_of(column, len(names))
    return dict(zip(names, own, strict=True)) if own else {}


def _ids_of_truth(view: LakeView) -> dict[str, Id]:
    """Ids by class name as the lake's truth has them, if it has any; else numbers from 1, in its order."""
    columns = {name: column for name, column in view.columns.items() if not name.startswith("pred/")}
    try:
        labels = columns[assign_roles(columns).gt_labels or ""]
        names = read_class_names(labels.metadata.get("class_names"), labels.name).names
    except (DeepLakeMMDetError, KeyError):
        return {}
    return _category_ids(labels, names) or {name: number for number, name in enumerate(names, 1)}


def _of_classes(view: LakeView, known: Mapping[str, Id]) -> tuple[tuple[Id, ...], bool]:
    if known and all(name in known for name in view.classes):
        return tuple(known[name] for name in view.classes), False
    places = {name: number for number, name in enumerate(view.lake_classes, 1)}
    return tuple(places[name] for name in view.classes), True
