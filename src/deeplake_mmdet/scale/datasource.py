"""A lake as Ray's data source: each task opens the pinned lake itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from deeplake_mmdet.lake import CredentialRef, LakeView, ResolvedSource, Shard, open_view

__all__ = ["LakeDatasource"]

_ROWS = 256  # fetched and handed over at once
_SCHEMA = {
    "row": pyarrow.int64(),
    "image": pyarrow.binary(),
    "file_name": pyarrow.string(),
    "image_id": pyarrow.string(),
    "width": pyarrow.int32(),
    "height": pyarrow.int32(),
    "boxes": pyarrow.list_(pyarrow.list_(pyarrow.float64())),
    "labels": pyarrow.list_(pyarrow.int64()),
    "class_names": pyarrow.list_(pyarrow.string()),
    "ignored": pyarrow.list_(pyarrow.bool_()),
}


class LakeDatasource(Datasource):
    """The rows of a pinned lake. It holds no handle of Deep Lake and no secret.

    Args:
        source: The pinned lake.
        credentials: Without secrets.
        classes: Which classes; None for all.
        rows: How many rows there are.
        masks: Whether to read masks.
    """

    def __init__(
        self,
        source: ResolvedSource,
        credentials: CredentialRef,
        classes: Sequence[str] | None,
        rows: int,
        masks: bool,
    ) -> None:
        super().__init__()
        self._what = (source, credentials, classes, masks)
        self._rows = rows

    def get_name(self) -> str:
        """What Ray calls it in its messages."""
        return "Lake"

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known before images are read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """Divide the rows among tasks.

        Args:
            parallelism: How many tasks, at most.
            per_task_row_limit: How many rows each may give.
            data_context: Not used.
        """
        count = max(1, min(parallelism, self._rows))
        tasks = []
        for number in range(count):
            span = Shard(number, count).span(self._rows)
            if per_task_row_limit is not None:
                span = span[:per_task_row_limit]
            tasks.append(
                ReadTask(
                    _Read(*self._what, span),
                    BlockMetadata(num_rows=len(span), size_bytes=None, exec_stats=None, input_files=None),
                    schema=_schema(self._what[-1]),
                )
            )
        return tasks


class _Read:
    def __init__(
        self,
        source: ResolvedSource,
        credentials: CredentialRef,
        classes: Sequence[str] | None,
        masks: bool,
        rows: range,
    ) -> None:
        self._source, self._credentials, self._classes = source, credentials, classes
        self._masks, self._rows = masks, rows

    def __call__(self) -> Iterator[pyarrow.Table]:
        view = open_view(self._source, credentials=self._credentials, classes=self._classes)
        for start in range(self._rows.start, self._rows.stop, _ROWS):
            yield _table(view, range(start, min(start + _ROWS, self._rows.stop)), self._masks)


def _schema(masks: bool) -> pyarrow.Schema:
    return pyarrow.schema({**_SCHEMA, **({"segmentations": pyarrow.string()} if masks else {})})


def _table(view: LakeView, rows: range, masks: bool) -> pyarrow.Table:
    table = view.table
    values: dict[str, list[Any]] = {name: [] for name in _schema(masks).names}
    cells = view.mask_cells(rows) if masks else [None] * len(rows)
    names: Sequence[str | None] = view.file_names(rows) or [None] * len(rows)
    for row, image, name, cell in zip(rows, view.images(rows), names, cells, strict=True):
        span = table.span(row)
        labels = view.labels[span]
        kept = np.flatnonzero(labels >= 0)
        ignored = np.zeros(len(labels), bool)
        for flags in (table.iscrowd, table.ignore):
            if flags is not None:
                ignored |= flags[span]
        values["row"].append(row)
        values["image"].append(image)
        values["file_name"].append(name)
        values["image_id"].append(str(table.image_id(row)))
        values["width"].append(int(table.widths[row]))
        values["height"].append(int(table.heights[row]))
        values["boxes"].append(table.xyxy(row)[kept].tolist())
        values["labels"].append(labels[kept].tolist())
        values["class_names"].append([view.classes[label] for label in labels[kept].tolist()])
        values["ignored"].append(ignored[kept].tolist())
        if masks:
            shapes = view.segmentations(row, cell)
            values["segmentations"].append(
                json.dumps([shapes[place] for place in kept.tolist()], default=_plain)
            )
    return pyarrow.table(values, schema=_schema(masks))


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else np.asarray(value).tolist()
