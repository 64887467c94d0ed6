"""Rows of a lake by filters, from the flat arrays of its annotation table."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplake_mmdet.browsing.filters import KINDS, ORDERS, SIZES, Filters
from deeplake_mmdet.browsing.runs import RunInView
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import LakeView, select_rows

__all__ = ["Chooser"]

_KEPT = 4  # results, of up to four or eight bytes for each row of the lake


class Chooser:
    """Finds the rows that filters leave, and remembers the last results. Safe to use from several threads.

    Args:
        view: The lake.
    """

    def __init__(self, view: LakeView) -> None:
        self._view = view
        self._kept: OrderedDict[Filters, NDArray[np.integer]] = OrderedDict()
        self._queried: OrderedDict[str, NDArray[np.int64]] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, filters: Filters, run: RunInView | None) -> NDArray[np.integer] | None:
        """The rows that filters leave, in their order; None for all rows in the lake's order.

        Args:
            filters: The filters.
            run: The run that they name.

        Raises:
            ConfigError: A class is not there, or the run lacks a number.
            SourceFormatError: The query cannot be used.
            DeepLakeMMDetError: The lake cannot be read.
        """
        if filters.choose_nothing:
            return None
        with self._lock:
            found = self._kept.get(filters)
            if found is None:
                found = self._found(filters, run)
                self._kept[filters] = found
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(filters)
        return found

    def counts(self) -> NDArray[np.int64]:
        """How many objects of each class there are, shape (classes,)."""
        return self._class_counts

    @cached_property
    def _class_counts(self) -> NDArray[np.int64]:
        labels = self._view.labels
        return np.bincount(labels[labels >= 0], minlength=len(self._view.classes))

    @cached_property
    def _areas(self) -> NDArray[np.float32]:
        """Square pixels of each box, shape (boxes,)."""
        table = self._view.table
        found = np.empty(len(table.boxes), np.float32)
        for block in table.blocks():
            with np.errstate(over="ignore", invalid="ignore"):
                found[block.boxes] = block.xywh[:, 2] * block.xywh[:, 3]
        return found

    @cached_property
    def _objects_per_row(self) -> NDArray[np.int64]:
        table, labels = self._view.table, self._view.labels
        return np.diff(table.offsets) if (labels >= 0).all() else table.count_per_row(labels >= 0)

    def _found(self, filters: Filters, run: RunInView | None) -> NDArray[np.integer]:
        keep = self._keep(filters, run)
        if filters.query:
            rows = self._of_query(filters.query)
            rows = rows if keep is None else rows[keep[rows]]
        else:
            rows = np.arange(len(self._view.table)) if keep is None else np.flatnonzero(keep)
        value = self._values(filters, run)
        if value is not None:
            rows = rows[np.argsort(-value[rows].astype(np.float64), kind="stable")]
        return rows.astype(np.int32) if len(self._view.table) < 2**31 else rows

    def _of_query(self, query: str) -> NDArray[np.int64]:
        found = self._queried.get(query)
        if found is None:
            found = self._queried[query] = select_rows(self._view, query)
            while len(self._queried) > _KEPT:
                self._queried.popitem(last=False)
        return found

    def _keep(self, filters: Filters, run: RunInView | None) -> NDArray[np.bool_] | None:
        """Whether each row fits all filters but the query; None where that is so for all."""
        kept: list[NDArray[np.bool_]] = []
        if filters.classes or filters.sizes:
            kept.append(self._view.table.count_per_row(self._boxes(filters)) > 0)
        if filters.objects:
            kept.append((self._objects_per_row > 0) == (filters.objects == "with"))
        if filters.kinds and run is not None:
            kept.append(np.any([run.number(KINDS[kind]) > 0 for kind in filters.kinds], axis=0))
        return np.all(kept, axis=0) if kept else None

    def _boxes(self, filters: Filters) -> NDArray[np.bool_]:
        """Whether each box is of the classes and sizes."""
        labels, count = self._view.labels, len(self._view.classes)
        if filters.classes and filters.classes[-1] >= count:
            raise ConfigError(f"There are {count} classes", where=f"filter class {filters.classes[-1]}")
        chosen = np.zeros(count + 1, bool)  # the last entry is that of label -1
        chosen[list(filters.classes) or slice(count)] = True
        boxes: NDArray[np.bool_] = chosen[labels]
        if filters.sizes and set(filters.sizes) != set(SIZES):
            areas = self._areas
            bounds = [SIZES[size] for size in filters.sizes]
            boxes &= np.any([(areas >= low) & (areas < high) for low, high in bounds], axis=0)
        return boxes

    def _values(self, filters: Filters, run: RunInView | None) -> NDArray[Any] | None:
        if filters.order == "most objects":
            if not (filters.classes or filters.sizes):
                return self._objects_per_row
            return self._view.table.count_per_row(self._boxes(replace(filters, order="lake")))
        if ORDERS[filters.order] and run is not None:
            return run.number(ORDERS[filters.order])
        return None
