"""Train, evaluate and run MMDetection detectors on Deep Lake datasets.

The names below are loaded when first used, so that importing this package stays cheap. Importing it checks
that the installed packages can work together, and offers a stand-in for ``mmcv._ext`` if mmcv has none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.environment import check_environment
from deeplake_mmdet.ops import install as _install_ops

__version__ = "0.1.0"

_HOMES = {
    "CocoMetric": "evaluation",
    "Config": "config",
    "DeepLakeDataset": "dataset",
    "Run": "training",
    "VOCMetric": "evaluation",
    "convert_config": "config",
    "evaluate_predictions": "evaluation",
    "import_coco": "transfer",
    "import_voc": "transfer",
    "inspect": "lake",
    "load_config": "config",
    "mkdir_or_exist": "config",
    "test": "training",
    "test_detector": "training",
    "train": "training",
}

__all__ = [  # as in _HOMES: a test compares them
    "CocoMetric",
    "Config",
    "DeepLakeDataset",
    "Run",
    "VOCMetric",
    "__version__",
    "convert_config",
    "evaluate_predictions",
    "import_coco",
    "import_voc",
    "inspect",
    "load_config",
    "mkdir_or_exist",
    "test",
    "test_detector",
    "train",
]

if TYPE_CHECKING:
    from deeplake_mmdet.config import Config, convert_config, load_config, mkdir_or_exist
    from deeplake_mmdet.dataset import DeepLakeDataset
    from deeplake_mmdet.evaluation import CocoMetric, VOCMetric, evaluate_predictions
    from deeplake_mmdet.lake import inspect
    from deeplake_mmdet.training import Run, test, test_detector, train
    from deeplake_mmdet.transfer import import_coco, import_voc

check_environment()
_install_ops()


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
