"""Keeping predictions instead of scoring them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deeplake_mmdet.evaluation.export import check_target, write_predictions
from deeplake_mmdet.evaluation.gather import LakeMetric
from deeplake_mmdet.evaluation.samples import Found, read_sample
from deeplake_mmdet.evaluation.truth import scope_of
from deeplake_mmdet.registry import METRICS

__all__ = ["DumpPredictions"]

_log = logging.getLogger("deeplake_mmdet")


@METRICS.register_module()
class DumpPredictions(LakeMetric):
    """An evaluator that writes all predictions to one file, with masks if the model predicts them.

    Args:
        file: ``.json`` (COCO results with the lake's image and category ids; several lakes get a file each)
            or ``.parquet`` (needs pyarrow).
        collect_device: As in mmengine.
        collect_dir: As in mmengine.

    Raises:
        ConfigError: The file has another ending.
        InstallError: It is Parquet and pyarrow is not installed.
    """

    def __init__(self, file: str | Path, collect_device: str = "cpu", collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        self.file = check_target(file)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions of one batch.

        Args:
            data_batch: Not used.
            data_samples: See `deeplake_mmdet.evaluation.samples.read_sample`.
        """
        self.results.extend(read_sample(sample, type(self).__name__, masks="any") for sample in data_samples)

    def compute_metrics(self, results: list[Found]) -> dict[str, float]:
        """Write the file; there are no scores.

        Args:
            results: What `process` kept, from all ranks.
        """
        files = write_predictions(scope_of(results), self.file)
        _log.info("Predictions are written to %s", ", ".join(map(str, files)))
        return {}
