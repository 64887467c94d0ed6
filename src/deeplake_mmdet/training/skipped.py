"""The list of rows that a run could not use, in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.runner import Runner

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.loading import lakes_under

__all__ = ["write_skipped_rows"]


def write_skipped_rows(runner: Runner) -> Path | None:
    """Write ``skipped_rows.json`` (``skipped_rows.<rank>.json`` on other ranks than 0) if rows were skipped.

    Per lake: what ``DeepLakeDataset.skipped_rows`` tells, and the rows of which objects had no usable mask.

    Args:
        runner: It has trained or tested; the file goes into its ``work_dir``.

    Returns:
        The file, or None if nothing was skipped.
    """
    found: list[dict[str, Any]] = []
    for dataset in _datasets(runner):
        rows: dict[str, Any] = dict(dataset.skipped_rows)
        rows["without_usable_masks"] = dataset.rows_without_usable_masks
        entry = {"lake": str(dataset.view.source), **rows}
        if any(rows.values()) and entry not in found:
            found.append(entry)
    if not found:
        return None
    rank = get_rank()
    path = Path(runner.work_dir) / (f"skipped_rows.{rank}.json" if rank else "skipped_rows.json")
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def _datasets(runner: Runner) -> Iterator[DeepLakeDataset]:
    # The loops are plain dicts until they are built.
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        if hasattr(loop, "dataloader"):
            yield from lakes_under(loop.dataloader.dataset)
