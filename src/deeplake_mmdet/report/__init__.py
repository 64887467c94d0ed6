"""Pictures and tables of a run: training curves, prediction mosaics, per-class results."""

from deeplake_mmdet.report.curves import training_curve
from deeplake_mmdet.report.mosaic import MosaicItem, prediction_mosaic
from deeplake_mmdet.report.tables import class_table, difference_table, interval_table, score_tables

__all__ = [
    "MosaicItem",
    "class_table",
    "difference_table",
    "interval_table",
    "prediction_mosaic",
    "score_tables",
    "training_curve",
]
