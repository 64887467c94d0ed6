"""Pictures and tables of a run: training curves, prediction mosaics, per-class results."""

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
