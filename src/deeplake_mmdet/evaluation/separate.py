"""Scoring each of several concatenated datasets by itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import parse_uri
from deeplake_mmdet.registry import EVALUATORS
from deeplake_mmdet.terminal import DETAIL

__all__ = ["Part", "SeparateEvaluator"]

_log = logging.getLogger("deeplake_mmdet")

Part = Sequence[tuple[str, NDArray[np.int64]]]


@EVALUATORS.register_module()
class SeparateEvaluator(Evaluator):
    """MMDetection's ``MultiDatasetsEvaluator`` for lakes: each one's scores under a prefix of its own.

    That one cuts the results up by their places, and so needs them in the order of the datasets, which
    several processes do not give. Here each image goes to the metric of the dataset that has its row.
    Our commands put it in that one's place.

    Args:
        metrics: One for each dataset, configs or instances; all of this package.
        dataset_prefixes: Their prefixes; scores are named e.g. ``<prefix>/coco/bbox_mAP``.
        also: Metrics that see the images of all datasets.

    Raises:
        ConfigError: There are not as many metrics as prefixes, or a prefix occurs twice.
    """

    def __init__(
        self,
        metrics: Any,
        dataset_prefixes: Sequence[str],
        also: Sequence[Any] = (),
    ) -> None:
        super().__init__(metrics)
        self.dataset_prefixes = [str(prefix) for prefix in dataset_prefixes]
        if not len(self.metrics) == len(self.dataset_prefixes) == len(set(self.dataset_prefixes)):
            raise ConfigError(
                f"{len(self.metrics)} metrics are to score the datasets {', '.join(self.dataset_prefixes)}",
                where="evaluator key 'dataset_prefixes'",
                advice="give one metric, and one prefix of its own, for each dataset",
            )
        self.also = [METRICS.build(metric) if isinstance(metric, dict) else metric for metric in also]
        self._parts: list[Part] = []
        self._rows: dict[tuple[int, str], NDArray[np.int64]] = {}

    def bind(self, parts: Sequence[Part]) -> None:
        """Tell which rows of which lakes each dataset has.

        Args:
            parts: For each dataset its lakes, as view key and row numbers of shape (n,).

        Raises:
            ConfigError: There are more or fewer of them than metrics.
        """
        if len(parts) != len(self.metrics):
            raise ConfigError(
                f"{len(self.metrics)} metrics are to score {len(parts)} datasets",
                where="evaluator keys 'metrics' and 'dataset_prefixes'",
                advice="give one of each for each dataset of the ConcatDataset",
            )
        self._parts = list(parts)
        keys = [{key for key, _ in part} for part in parts]
        # Which rows there are matters only to a lake that several datasets read.
        self._rows = {
            (number, key): np.sort(rows)
            for number, part in enumerate(parts)
            for key, rows in part
            if sum(key in others for others in keys) > 1
        }

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Give each image to the metric of its dataset, or of all that have it.

        Args:
            data_samples: See `deeplake_mmdet.evaluation.samples.read_sample`.
            data_batch: Handed on.
        """
        samples = [
            sample.to_dict() if isinstance(sample, BaseDataElement) else sample for sample in data_samples
        ]
        for metric in self.also:
            metric.process(data_batch, samples)
        for sample in samples:
            for number in self._owners(sample):
                self.metrics[number].process(data_batch, [sample])

    def evaluate(self, size: int) -> dict[str, float]:
        """Score every dataset.

        Args:
            size: Not needed: images know who they are.
        """
        found: dict[str, float] = {}
        for prefix, metric in zip(self.dataset_prefixes, self.metrics, strict=True):
            _log.info(f"Scores of {prefix}:", extra=DETAIL)
            found |= {f"{prefix}/{name}": value for name, value in metric.evaluate(size).items()}
        for metric in self.also:
            found |= metric.evaluate(size)
        return found

    def _owners(self, sample: Mapping[str, Any]) -> list[int]:
        path = str(sample.get("img_path", ""))
        if path.startswith("deeplake://"):
            key, _, row = parse_uri(path)
            if found := [number for number in range(len(self._parts)) if self._has(number, key, row)]:
                return found
        raise ConfigError(
            f"It is not known which dataset an image is of: {path!r}",
            where="evaluator type 'deeplake_mmdet.SeparateEvaluator'",
            advice="keep 'img_path' among PackDetInputs' meta_keys, and run deeplake-mmdet train or test; "
            "with MMDetection's own tools use type='MultiDatasetsEvaluator'",
        )

    def _has(self, number: int, key: str, row: int) -> bool:
        if all(key != other for other, _ in self._parts[number]):
            return False
        rows = self._rows.get((number, key))
        if rows is None:
            return True
        place = int(np.searchsorted(rows, row))
        return place < len(rows) and int(rows[place]) == row
