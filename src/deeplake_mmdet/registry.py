"""Scope ``deeplake_mmdet``: child registries of mmengine's roots.

A config that says ``type='deeplake_mmdet.DeepLakeDataset'`` needs no ``custom_imports``: mmengine imports
``<scope>.registry`` when it meets a scope it does not know, and then the registry's ``locations``.
"""

from __future__ import annotations

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import EVALUATOR as ROOT_EVALUATOR
from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import PARAM_SCHEDULERS as ROOT_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

from deeplake_mmdet.terminal.run_log import join_run_log

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "EVALUATORS",
    "FUNCTIONS",
    "HOOKS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "PARAM_SCHEDULERS",
    "TRANSFORMS",
]

join_run_log()  # whatever is registered here logs as MMEngine does

DATASETS = Registry(
    "dataset",
    parent=ROOT_DATASETS,
    scope="deeplake_mmdet",
    locations=["deeplake_mmdet.dataset", "deeplake_mmdet.loading"],
)
DATA_SAMPLERS = Registry(
    "data sampler",
    parent=ROOT_DATA_SAMPLERS,
    scope="deeplake_mmdet",
    locations=["deeplake_mmdet.loading"],
)
EVALUATORS = Registry(
    "evaluator", parent=ROOT_EVALUATOR, scope="deeplake_mmdet", locations=["deeplake_mmdet.evaluation"]
)
FUNCTIONS = Registry(
    "function", parent=ROOT_FUNCTIONS, scope="deeplake_mmdet", locations=["deeplake_mmdet.loading"]
)
LOOPS = Registry("loop", parent=ROOT_LOOPS, scope="deeplake_mmdet", locations=["deeplake_mmdet.training"])
HOOKS = Registry("hook", parent=ROOT_HOOKS, scope="deeplake_mmdet", locations=["deeplake_mmdet.training"])
METRICS = Registry(
    "metric", parent=ROOT_METRICS, scope="deeplake_mmdet", locations=["deeplake_mmdet.evaluation"]
)
MODELS = Registry("model", parent=ROOT_MODELS, scope="deeplake_mmdet", locations=["deeplake_mmdet.models"])
PARAM_SCHEDULERS = Registry(
    "parameter scheduler",
    parent=ROOT_PARAM_SCHEDULERS,
    scope="deeplake_mmdet",
    locations=["deeplake_mmdet.training"],
)
TRANSFORMS = Registry(
    "transform", parent=ROOT_TRANSFORMS, scope="deeplake_mmdet", locations=["deeplake_mmdet.pipeline.levels"]
)
