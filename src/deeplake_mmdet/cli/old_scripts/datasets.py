"""``mmdet.datasets`` as scripts use it: datasets and loaders built of parts of a 2.x config."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from deeplake_mmdet.cli.old_scripts.results import instances_of
from deeplake_mmdet.config import convert_config, innermost, use_lake_metrics
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.training.building import plain
from deeplake_mmdet.training.parts_check import check_datasets

__all__ = ["OldDataset", "build_dataloader", "build_dataset", "replace_ImageToTensor"]

_NEW_KEYS = ("data_prefix", "metainfo", "filter_cfg", "path")
_VOC = ("mAP", "recall")
_OF_HOOK = (
    "interval",
    "tmpdir",
    "start",
    "gpu_collect",
    "save_best",
    "rule",
    "dynamic_intervals",
    "by_epoch",
)


class OldDataset(torch.utils.data.Dataset[Any]):
    """A dataset of a 2.x config, converted; its samples are those of MMDetection 3.x.

    Attributes that are not here are those of the 3.x dataset, ``built``.

    Args:
        cfg: ``data.train``, ``data.val`` or ``data.test``; not changed.
        test: Whether it is for testing.

    Attributes:
        cfg: The 2.x settings, as plain dicts.
        built: MMDetection 3.x's dataset.
        preprocessor: ``model.data_preprocessor`` as the pipeline implies it.

    Raises:
        DeepLakeMMDetError: It cannot be converted or built.
    """

    def __init__(self, cfg: Any, *, test: bool) -> None:
        self.cfg, self._test = plain(cfg), test
        converted = self._converted({})
        self.preprocessor = converted.model.data_preprocessor.to_dict()
        self.built = _built(converted[f"{self._split}_dataloader"].dataset)

    @property
    def CLASSES(self) -> Any:
        """Names of the classes, that of label 0 first."""
        return self.built.metainfo.get("classes")

    @property
    def PALETTE(self) -> Any:
        """Their colours, if the dataset has some."""
        return self.built.metainfo.get("palette")

    def evaluate(self, results: Sequence[Any], metric: Any = None, logger: Any = None, **kwargs: Any) -> Any:
        """Score the results of `single_gpu_test`, or lists like them.

        Args:
            results: One for each image, in the dataset's order.
            metric: ``'bbox'``, ``'segm'``, ``'proposal'``, ``'mAP'`` or ``'recall'``, or several.
            logger: Not used; the scores are logged by MMEngine's.
            kwargs: As in the config's ``evaluation``.

        Returns:
            The scores by 2.x's names, e.g. ``bbox_mAP``.

        Raises:
            ConfigError: There are not as many results as images.
            DeepLakeMMDetError: They cannot be scored.
        """
        del logger
        return self._evaluated(results, metric, kwargs)

    def format_results(
        self, results: Sequence[Any], jsonfile_prefix: str | None = None, **kwargs: Any
    ) -> Any:
        """Write the results to ``<prefix>.bbox.json`` and ``<prefix>.segm.json``.

        Args:
            results: One for each image, in the dataset's order.
            jsonfile_prefix: ``'results'`` otherwise.
            kwargs: Other settings of the config's ``evaluation``.
        """
        kwargs |= {"jsonfile_prefix": jsonfile_prefix or "results", "format_only": True}
        return self._evaluated(results, "bbox", kwargs)

    def _evaluated(self, results: Sequence[Any], metric: Any, options: dict[str, Any]) -> dict[str, Any]:
        if len(results) != len(self):
            raise ConfigError(
                f"There are {len(results)} results of {len(self)} images",
                where="dataset.evaluate",
                advice="give the results of all images, in the dataset's order",
            )
        names = [metric] if isinstance(metric, str) else list(metric or ["bbox"])
        write = bool(options.pop("format_only", False))
        old = {key: value for key, value in options.items() if key not in _OF_HOOK}
        kind = "PascalVOC" if set(names) <= set(_VOC) else "COCO"
        content: dict[str, Any] = {"evaluation": {"metric": names if len(names) > 1 else names[0], **old}}
        content |= {"deeplake_metrics_format": kind} if self._is_lake() else {}
        cfg = self._converted(content)
        use_lake_metrics(cfg)
        metrics = cfg[f"{self._split}_evaluator"]
        samples = [self._sample(number, result) for number, result in enumerate(results)]
        if not isinstance(metrics, Mapping) or "dataset_prefixes" not in metrics:
            return _scores(metrics, self.built.metainfo, samples, write)
        scores: dict[str, Any] = {}  # of each dataset of a list by itself
        for prefix, metric, part in zip(
            metrics["dataset_prefixes"], metrics["metrics"], self.built.datasets, strict=True
        ):
            own, samples = samples[: len(part)], samples[len(part) :]
            found = _scores(metric, part.metainfo, own, write)
            scores |= {f"{prefix}_{name}": value for name, value in found.items()}
        return scores

    def _sample(self, number: int, result: Any) -> Any:
        """3.x's data sample of an image, with what a result says was found."""
        sample = getattr(result, "sample", None)
        if sample is None:
            sample = copy.copy(self.built[number]["data_samples"])
            sample.pred_instances = instances_of(result)
        return sample

    @property
    def _split(self) -> str:
        return "test" if self._test else "train"

    def _is_lake(self) -> bool:
        from deeplake_mmdet.legacy.datasets.lakes import is_lake

        return bool(is_lake(self.cfg))

    def _converted(self, more: Mapping[str, Any]) -> Config:
        # A kind of model that no rule is for: only its preprocessor counts here.
        content = {"model": {"type": "Detector"}, "data": {self._split: copy.deepcopy(self.cfg)}, **more}
        return convert_config(Config(content))[0]

    def __len__(self) -> int:
        return len(self.built)

    def __getitem__(self, index: int) -> Any:
        return self.built[index]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "built" not in vars(self):
            raise AttributeError(name)
        return getattr(self.built, name)


def _scores(metrics: Any, metainfo: Any, samples: Sequence[Any], write: bool) -> dict[str, Any]:
    """Score data samples, or only write them to files."""
    if write:
        for one in metrics if isinstance(metrics, list) else [metrics]:
            one["format_only"] = True
    with DefaultScope.overwrite_default_scope("mmdet"):
        evaluator = Evaluator(metrics)
    evaluator.dataset_meta = metainfo
    for sample in samples:
        evaluator.process([sample])
    scores: dict[str, Any] = {}
    for one in evaluator.metrics:  # not by its evaluate(): scripts call this in the first process only
        scores |= one.compute_metrics(one.results)
    return scores


def build_dataset(cfg: Any, default_args: Mapping[str, Any] | None = None) -> Any:
    """Build a dataset of files or of a lake.

    Args:
        cfg: ``cfg.data.train`` or the like, or a list of them; or a dataset of a 3.x config.
        default_args: Settings that ``cfg`` may lack, such as ``test_mode``.

    Raises:
        DeepLakeMMDetError: It cannot be converted or built.
    """
    defaults = dict(default_args or {})
    if isinstance(cfg, (list, tuple)):
        cfg = [{**defaults, **plain(part)} for part in cfg]
    elif isinstance(cfg, Mapping):
        cfg = {**defaults, **plain(cfg)}
    else:
        raise ConfigError(
            f"A dataset is built from a dict, got {type(cfg).__name__}",
            where="build_dataset",
            advice="pass cfg.data.train",
        )
    first = cfg[0] if isinstance(cfg, list) else cfg
    if any(key in first for key in _NEW_KEYS):
        return _built(Config({"dataset": cfg}).dataset)
    return OldDataset(cfg, test=bool(first.get("test_mode")))


def build_dataloader(
    dataset: Any,
    samples_per_gpu: int = 1,
    workers_per_gpu: int = 0,
    num_gpus: int = 1,
    dist: bool = True,
    shuffle: bool = True,
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """Build a loader of a dataset; its batches are MMDetection 3.x's.

    Args:
        dataset: From `build_dataset`.
        samples_per_gpu: Batch size of each process.
        workers_per_gpu: Number of worker processes.
        num_gpus: Not used: one process has one GPU.
        dist: Not used: the sampler knows of the other processes.
        shuffle: Whether to shuffle.
        seed: Seed of the order.
        kwargs: ``persistent_workers``, ``drop_last``, ``pin_memory``; others are not used.
    """
    del num_gpus, dist
    taken = ("persistent_workers", "drop_last", "pin_memory")
    options: dict[str, Any] = {key: kwargs[key] for key in taken if key in kwargs}
    if not workers_per_gpu:
        options.pop("persistent_workers", None)
    loader: dict[str, Any] = {
        "dataset": dataset,
        "batch_size": samples_per_gpu,
        "num_workers": workers_per_gpu,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle, "seed": seed},
        "collate_fn": {"type": "pseudo_collate"},
        **options,
    }
    return Runner.build_dataloader(loader)


def replace_ImageToTensor(pipelines: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A copy of a test pipeline that makes batches of several images, as 2.x needed it.

    Args:
        pipelines: The steps.
    """
    steps: list[Any] = copy.deepcopy(list(pipelines))
    for step in steps:
        if step["type"] == "MultiScaleFlipAug":
            step.update(transforms=replace_ImageToTensor(step["transforms"]))
        elif step["type"] == "ImageToTensor":
            step.clear()
            step.update(type="DefaultFormatBundle")
    return steps


def _built(cfg: Any) -> Any:
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    check_datasets((place.key, place.node) for place in innermost(cfg, "data") if "type" in place.node)
    with DefaultScope.overwrite_default_scope("mmdet"):
        return DATASETS.build(cfg)
