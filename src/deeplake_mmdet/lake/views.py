"""Lake views: a pinned lake with a class mapping, found by its key from anywhere in this process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.errors import AnnotationError, BoxFormatError, ConfigError, SourceNotFoundError
from deeplake_mmdet.lake.boxes import BoxFormat
from deeplake_mmdet.lake.columns import ColumnFacts, describe_columns
from deeplake_mmdet.lake.credentials import CredentialRef
from deeplake_mmdet.lake.handles import handle_of, resolve
from deeplake_mmdet.lake.images import (
    check_image_column,
    image_extension,
    neutralise_orientation,
    read_encoded,
)
from deeplake_mmdet.lake.masks import read_segmentations
from deeplake_mmdet.lake.roles import Roles, assign_roles
from deeplake_mmdet.lake.source import ResolvedSource, Source, short_hash
from deeplake_mmdet.lake.table import AnnotationTable, build_table

__all__ = ["LakeView", "find_view", "open_view", "parse_uri"]

_URI = re.compile(r"deeplake://(?P<key>[0-9a-f]+)/(?P<column>.+)/(?P<row>\d+)\.\w+")

_views: dict[str, LakeView] = {}


@dataclass(frozen=True, eq=False)
class LakeView:
    """A resolved source seen through roles and classes. Picklable: it holds no handle and no secret.

    Attributes:
        source: The resolved source.
        credentials: What is known of the credentials.
        columns: Facts of all columns.
        roles: Column names by role.
        table: The annotation table, labels as the lake stores them.
        lake_classes: Class names in the lake's order.
        classes: Selected class names, in the order of the model's outputs.
    """

    source: ResolvedSource
    credentials: CredentialRef
    columns: dict[str, ColumnFacts]
    roles: Roles
    table: AnnotationTable
    lake_classes: tuple[str, ...]
    classes: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        """The view key: a hash of resolved source, roles, box format and class mapping."""
        facts = [self.source.key, asdict(self.roles), str(self.table.box_format), list(self.classes)]
        return short_hash(facts)

    @cached_property
    def label_map(self) -> NDArray[np.int64]:
        """Lake label to index in ``classes``, shape (number of lake classes,); -1 where not selected."""
        position = {name: index for index, name in enumerate(self.classes)}
        return np.array([position.get(name, -1) for name in self.lake_classes], np.int64)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Index in ``classes`` of every box in the table, shape (m,); -1 where not selected."""
        return self.label_map[self.table.labels]

    @property
    def handle(self) -> Any:
        """This process's open Deep Lake handle."""
        return handle_of(self.source, self.credentials)

    def uri(self, row: int) -> str:
        """The address under which the file backend serves the image of a row."""
        extension = image_extension(self.columns[self.roles.img])
        return f"deeplake://{self.key}/{self.roles.img}/{row:08d}.{extension}"

    def images(self, rows: Sequence[int]) -> list[bytes]:
        """Encoded images of some rows, upright as stored, fetched in one call.

        Raises:
            ImageError: A cell is empty.
        """
        return [neutralise_orientation(data) for data in read_encoded(self.handle, self.roles.img, rows)]

    def segmentations(self, row: int) -> list[Any]:
        """COCO segmentations of a row, one per box in the lake's order (see `read_segmentations`)."""
        if self.roles.gt_masks is None:
            raise ConfigError(
                "The pipeline asks for masks (with_mask=True), but this lake has no mask column",
                where=f"lake {self.source.url}, columns {', '.join(self.columns)}",
                advice="import with segmentations, name the column in tensors=dict(gt_masks=...), "
                "or use LoadAnnotations(with_mask=False)",
            )
        span = self.table.span(row)
        return read_segmentations(self.handle, self.roles.gt_masks, row, span.stop - span.start)

    def __deepcopy__(self, memo: dict[int, Any]) -> LakeView:
        return self  # immutable, and its arrays may be large

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _views[self.key] = self  # a process that unpickles a dataset must find its images


def open_view(
    source: Source,
    *,
    credentials: CredentialRef | None = None,
    tensors: Mapping[str, Any] | None = None,
    box_format: str | None = None,
    classes: Sequence[str] | None = None,
) -> LakeView:
    """Open and pin a lake, read its annotation table and register the view in this process.

    Args:
        source: What the user named.
        credentials: See `CredentialRef`.
        tensors: Role to column name, may be partial.
        box_format: Overrides the lake's own declaration, e.g. ``'ltwh'`` or ``'ccwh_fractional'``.
        classes: Class names to select, in this order; all of the lake's otherwise.

    Raises:
        DeepLakeMMDetError: Of the kind that fits: see `resolve`, `assign_roles` and `build_table`.
    """
    ref = credentials or CredentialRef()
    resolved = resolve(source, ref)
    handle = handle_of(resolved, ref)
    columns = describe_columns(handle)
    roles = assign_roles(columns, tensors)
    check_image_column(columns[roles.img])
    stored = _stored_format(columns[roles.gt_bboxes], box_format)
    names = columns[roles.gt_labels].metadata.get("class_names")
    lake_classes = _lake_classes(names, classes, roles.gt_labels)
    table = build_table(handle, roles, stored, len(lake_classes))
    selected = _selected(classes, lake_classes, roles.gt_labels)
    view = LakeView(resolved, ref, columns, roles, table, lake_classes, selected)
    return _views.setdefault(view.key, view)


def find_view(key: str) -> LakeView:
    """The view with this key.

    Raises:
        SourceNotFoundError: No dataset of this process uses such a view.
    """
    view = _views.get(key)
    if view is None:
        raise SourceNotFoundError(
            f"No lake is open under the view key {key!r} in this process",
            where="an address that starts with deeplake://",
            advice="build the DeepLakeDataset it belongs to first; these addresses are not kept between runs",
        )
    return view


def parse_uri(uri: str) -> tuple[str, str, int]:
    """Split an image address into view key, column and row.

    Raises:
        ConfigError: It is no such address.
    """
    match = _URI.fullmatch(str(uri))
    if match is None:
        raise ConfigError(
            f"Not an image address: {uri!r}", advice="it reads deeplake://<view key>/<column>/<row>.<ext>"
        )
    return match["key"], match["column"], int(match["row"])


def _stored_format(column: ColumnFacts, given: str | None) -> BoxFormat:
    if given:
        return BoxFormat.parse(given)
    if column.box_format is None:
        raise BoxFormatError(
            f"Column {column.name!r} does not say how its boxes are stored",
            where=f"column {column.name!r} of type {column}",
            advice="give box_format='ltwh' (left, top, width, height), 'ltrb' (corners) or 'ccwh' (centre, "
            "size), with '_fractional' appended if they are fractions of the image size",
        )
    return column.box_format


def _lake_classes(names: Any, classes: Sequence[str] | None, column: str) -> tuple[str, ...]:
    if names:
        if len(set(names)) != len(names):
            raise AnnotationError(
                "Class names occur twice", where=f"metadata 'class_names' of column {column!r}"
            )
        return tuple(map(str, names))
    if classes:
        return tuple(classes)
    raise AnnotationError(
        "The lake does not name its classes",
        where=f"column {column!r}, metadata key 'class_names'",
        advice="give metainfo=dict(classes=(...)) in the order of the stored labels",
    )


def _selected(classes: Sequence[str] | None, lake_classes: tuple[str, ...], column: str) -> tuple[str, ...]:
    if classes is None:
        return lake_classes
    if not classes:
        raise ConfigError(
            "metainfo.classes selects no class",
            where="dataset key 'metainfo'",
            advice=f"name some of the lake's, or leave it out: {', '.join(lake_classes)}",
        )
    unknown = [name for name in classes if name not in lake_classes]
    if unknown or len(set(classes)) != len(classes):
        what = f"the lake has no class {', '.join(map(repr, unknown))}" if unknown else "a class occurs twice"
        raise ConfigError(
            f"metainfo.classes cannot be used: {what}",
            where=f"dataset key 'metainfo', classes={list(classes)}, column {column!r}",
            advice=f"the lake's classes: {', '.join(lake_classes)}",
        )
    return tuple(classes)
