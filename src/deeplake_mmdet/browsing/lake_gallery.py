"""The rows of a lake on a page: boxes, masks, and the predictions of a run beside them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deeplake_mmdet.browsing.choosing import Chooser
from deeplake_mmdet.browsing.filters import KINDS, ORDERS, SIZES, Filters, read_filters
from deeplake_mmdet.browsing.gallery import MOST_DRAWN, class_facts, objects_facts
from deeplake_mmdet.browsing.outlines import outline
from deeplake_mmdet.browsing.pictures import Picture, as_picture
from deeplake_mmdet.browsing.row_objects import RowObjects, objects_of_rows
from deeplake_mmdet.browsing.runs import RunInView, open_run_of
from deeplake_mmdet.browsing.saving import save_rows_as_view
from deeplake_mmdet.browsing.thumbnails import Kept, Thumbnails
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, readable, without_secrets
from deeplake_mmdet.lake import LakeView, run_ids

__all__ = ["LakeGallery"]

_SMALL, _LARGE = 320, 2400  # pixels on the longer side
_MOST_LISTED = 60  # classes
_ROOM_FOR_LARGE = 2**25  # bytes


class LakeGallery:
    """A lake for a page, see `Gallery`. Safe to use from several threads.

    Args:
        view: The lake.
        note: What the page is to say of it, e.g. why no boxes are shown; empty for nothing.
        run: Id of the run to begin with; empty for none.
    """

    def __init__(self, view: LakeView, *, note: str = "", run: str = "") -> None:
        self._view, self._note, self._first_run = view, note, run
        self._chooser = Chooser(view)
        self._thumbnails = Thumbnails(view.fetch, _SMALL)
        self._large = Kept(_ROOM_FOR_LARGE)
        self._runs: dict[str, RunInView] = {}
        self._opening = threading.Lock()

    def facts(self) -> dict[str, Any]:
        """See `Gallery.facts`."""
        view, source = self._view, self._view.source
        writable = source.format == "v4" and not source.held and not source.is_memory
        return {
            "kind": "lake",
            "title": readable(without_secrets(source.url)),
            "branch": readable(source.branch),
            "version": source.version,
            "view": readable(source.view or ""),
            "queries": [readable(query) for query in source.queries],
            "rows": len(view.table),
            "objects": len(view.table.boxes),
            "class_count": len(view.classes),
            "masks": view.roles.gt_masks is not None,
            "runs": self._run_ids() if source.format == "v4" else [],
            "run": self._first_run,
            "orders": list(ORDERS),
            "run_orders": [name for name, number in ORDERS.items() if number],
            "sizes": list(SIZES),
            "kinds": list(KINDS),
            "can_save": writable,
            "note": readable(self._note),
        }

    def classes(self, text: str) -> list[dict[str, Any]]:
        """See `Gallery.classes`."""
        names, counts = self._view.classes, self._chooser.counts()
        wanted = text.casefold().strip()
        there = np.array([n for n, name in enumerate(names) if wanted in name.casefold()], np.int64)
        order = there[np.argsort(-counts[there], kind="stable")][:_MOST_LISTED].tolist()
        facts = class_facts(names, order)
        return [{"label": label, "objects": int(counts[label]), **facts[label]} for label in order]

    def page(self, told: Mapping[str, Any], start: int, count: int) -> dict[str, Any]:
        """See `Gallery.page`."""
        filters = read_filters({"run": self._first_run, **told})
        run = self._run(filters.run)
        chosen = self._chooser.rows(filters, run)
        total = len(self._view.table) if chosen is None else len(chosen)
        start = max(0, min(start, total - 1))
        rows, after = (
            list(map(int, some if chosen is None else chosen[some.start : some.stop]))
            for some in (
                range(first, min(first + count, total)) for first in (start, min(start + count, total))
            )
        )
        self._thumbnails.begin(rows)
        score = None if run is None else _score(told, run)
        items = self._items(rows, run, score, masks=bool(told.get("masks"))) if rows else []
        self._thumbnails.begin(after)
        names = self._view.classes if run is None else run.names
        shown = {label for item in items for part in ("truth", "found") for label in _labels(item, part)}
        shown |= {label for label in filters.classes if label < len(names)}
        return {
            "count": total,
            "start": start,
            "items": items,
            "classes": class_facts(names, shown),
            "run": None if run is None else {**run.facts, "score": score, "counted_from": run.score},
        }

    def picture(self, name: str, large: bool) -> Picture:
        """See `Gallery.picture`; the name is a row number."""
        row = int(name) if name.isascii() and name.isdigit() and len(name) < 19 else -1
        if not 0 <= row < len(self._view.table):
            raise ConfigError("There is no such row", where=f"row {name[:40]!r}")
        if not large:
            return self._thumbnails.get(row)
        found = self._large.get(row)
        if found is None:
            found = as_picture(self._view.fetch([row])[0], _LARGE)
            self._large.put(row, found)
        return found

    def save(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """See `Gallery.save`."""
        rows: Any = told.get("rows")
        filters = read_filters(told.get("filters") or {})
        if rows is None:
            chosen = self._chooser.rows(filters, self._run(filters.run))
            rows = np.arange(len(self._view.table)) if chosen is None else chosen
        else:
            filters = Filters(run=filters.run)
        name = told.get("name")
        return save_rows_as_view(
            self._view, name if isinstance(name, str) else "", rows, filters,
            overwrite=told.get("overwrite") is True,
        )  # fmt: skip

    def close(self) -> None:
        """See `Gallery.close`."""
        self._thumbnails.close()

    def __len__(self) -> int:
        return len(self._view.table)

    @property
    def view(self) -> LakeView:
        """The lake."""
        return self._view

    @property
    def first_run(self) -> RunInView | None:
        """The run that is shown at first, opened."""
        return self._run(self._first_run)

    def _run_ids(self) -> list[str]:
        try:
            return run_ids(self._view.source, self._view.credentials)
        except DeepLakeMMDetError:  # told when one of them is asked for
            return []

    def _run(self, run_id: str) -> RunInView | None:
        if not run_id:
            return None
        with self._opening:
            if run_id not in self._runs:
                self._runs[run_id] = open_run_of(self._view, run_id)
            return self._runs[run_id]

    def _items(
        self, rows: list[int], run: RunInView | None, score: float | None, *, masks: bool
    ) -> list[dict[str, Any]]:
        return [_item(one) for one in objects_of_rows(self._view, rows, run, score or 0.0, masks=masks)]


def _item(told: RowObjects) -> dict[str, Any]:
    """A row as plain JSON values."""
    height, width = told.size

    def outlines(masks: Sequence[Any] | None) -> list[str] | None:
        return None if masks is None else [outline(mask, height, width) for mask in masks[:MOST_DRAWN]]

    item: dict[str, Any] = {
        "row": told.row,
        "image": str(told.row),
        "name": None if told.name is None else readable(told.name),
        "width": width,
        "height": height,
        "note": readable(told.note),
        "truth": objects_facts(
            told.boxes, told.labels, kinds=told.kinds, flags=told.flags if any(told.flags) else None,
            outlines=outlines(told.masks),
        ),
    }  # fmt: skip
    if (found := told.found) is not None:
        item["below"] = found.below
        item["found"] = objects_facts(
            found.boxes, found.labels, scores=found.scores, kinds=found.kinds, outlines=outlines(found.masks)
        )
    return item


def _labels(item: Mapping[str, Any], part: str) -> list[int]:
    return item[part]["labels"] if part in item else []


def _score(told: Mapping[str, Any], run: RunInView) -> float:
    text = told.get("score")
    if text in (None, ""):
        return run.score
    try:
        found = float(text)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found <= 1:
        raise ConfigError(f"{str(text)[:40]!r} is no score", where="filter 'score'", advice="from 0 to 1")
    return found
