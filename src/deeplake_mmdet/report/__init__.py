"""Pictures and tables of a run, and `report`, its page: ``deeplake_mmdet.report(run)`` makes it.

The room and the function have one name, so the room can be called; see `deeplake_mmdet.report.page.report`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from deeplake_mmdet.report.annotate import Annotated, Objects, annotate
from deeplake_mmdet.report.curves import training_curve
from deeplake_mmdet.report.label_statistics import LabelStatistics, label_picture, label_statistics
from deeplake_mmdet.report.lake_items import Predicted, lake_item, lake_items
from deeplake_mmdet.report.legend import class_entries, with_footer
from deeplake_mmdet.report.mosaic import MosaicItem, fitting_tile, prediction_mosaic
from deeplake_mmdet.report.packed_samples import packed_item, packed_items
from deeplake_mmdet.report.results_csv import RESULTS_NAME, ResultsTable, read_results
from deeplake_mmdet.report.run_pictures import EVALUATION_PICTURES, draw_evaluation, drawn
from deeplake_mmdet.report.tables import class_table, difference_table, interval_table, score_tables

__all__ = [
    "EVALUATION_PICTURES",
    "RESULTS_NAME",
    "Annotated",
    "LabelStatistics",
    "MosaicItem",
    "Objects",
    "Predicted",
    "ResultsTable",
    "annotate",
    "class_entries",
    "class_table",
    "difference_table",
    "draw_evaluation",
    "drawn",
    "fitting_tile",
    "interval_table",
    "label_picture",
    "label_statistics",
    "lake_item",
    "lake_items",
    "packed_item",
    "packed_items",
    "prediction_mosaic",
    "read_results",
    "score_tables",
    "training_curve",
    "with_footer",
]


class _Room(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Make the report of a run: see `deeplake_mmdet.report.page.report`."""
        from deeplake_mmdet.report.page import report

        return report(*args, **options)


sys.modules[__name__].__class__ = _Room
