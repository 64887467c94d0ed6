"""Train, evaluate and run MMDetection detectors on Deep Lake datasets.

The names below are loaded when first used, so that importing this package stays cheap. Importing it checks
that the installed packages can work together, sets ``GOMP_SPINCOUNT`` if nothing has, and offers a stand-in
for ``mmcv._ext`` if mmcv has none.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplake_mmdet.environment import check_environment, quieten_imports, set_openmp_waiting
from deeplake_mmdet.errors import InstallError
from deeplake_mmdet.ops import install as _install_ops

__version__ = "0.1.0"

_HOMES = {
    "CocoMetric": "evaluation",
    "Config": "config",
    "DeepLakeDataset": "dataset",
    "Feed": "loading",
    "LVISMetric": "evaluation",
    "LakeBatchSampler": "loading",
    "LakeSampler": "loading",
    "Run": "training",
    "VOCMetric": "evaluation",
    "bench": "training",
    "browse": "browsing.browse",
    "check": "checking",
    "build_detector": "training",
    "compare_predictions": "evaluation",
    "convert": "config",
    "convert_config": "config",
    "deterministic": "pipeline.determinism",
    "evaluate_predictions": "evaluation",
    "export_coco": "transfer",
    "export_voc": "transfer",
    "export_yolo": "transfer",
    "fast_loader": "config",
    "import_coco": "transfer",
    "import_voc": "transfer",
    "import_yolo": "transfer",
    "inspect": "lake",
    "lineage": "loop.tracing",
    "load_config": "config",
    "merge": "lake",
    "mine": "loop",
    "packed_collate": "loading",
    "predict": "loop.predict",
    "prepare": "training",
    "mkdir_or_exist": "config",
    "report": "report",
    "run_script": "cli.run",
    "set_verbosity": "terminal",
    "test": "training",
    "test_detector": "training",
    "train": "training",
    "train_detector": "training",
}

__all__ = [  # as in _HOMES: a test compares them
    "CocoMetric",
    "Config",
    "DeepLakeDataset",
    "Feed",
    "LVISMetric",
    "LakeBatchSampler",
    "LakeSampler",
    "Run",
    "VOCMetric",
    "__version__",
    "bench",
    "browse",
    "build_detector",
    "check",
    "compare_predictions",
    "convert",
    "convert_config",
    "deterministic",
    "evaluate_predictions",
    "export_coco",
    "export_voc",
    "export_yolo",
    "fast_loader",
    "import_coco",
    "import_voc",
    "import_yolo",
    "inspect",
    "lineage",
    "load_config",
    "merge",
    "mine",
    "mkdir_or_exist",
    "packed_collate",
    "predict",
    "prepare",
    "report",
    "run_script",
    "set_verbosity",
    "test",
    "test_detector",
    "train",
    "train_detector",
]

if TYPE_CHECKING:
    from deeplake_mmdet.browsing.browse import browse
    from deeplake_mmdet.checking import check
    from deeplake_mmdet.cli.run import run_script
    from deeplake_mmdet.config import (
        Config,
        convert,
        convert_config,
        fast_loader,
        load_config,
        mkdir_or_exist,
    )
    from deeplake_mmdet.dataset import DeepLakeDataset
    from deeplake_mmdet.evaluation import (
        CocoMetric,
        LVISMetric,
        VOCMetric,
        compare_predictions,
        evaluate_predictions,
    )
    from deeplake_mmdet.lake import inspect, merge
    from deeplake_mmdet.loading import Feed, LakeBatchSampler, LakeSampler, packed_collate
    from deeplake_mmdet.loop import mine
    from deeplake_mmdet.loop.predict import predict
    from deeplake_mmdet.loop.tracing import lineage
    from deeplake_mmdet.pipeline.determinism import deterministic
    from deeplake_mmdet.terminal import set_verbosity
    from deeplake_mmdet.training import (
        Run,
        bench,
        build_detector,
        prepare,
        test,
        test_detector,
        train,
        train_detector,
    )
    from deeplake_mmdet.transfer import (
        export_coco,
        export_voc,
        export_yolo,
        import_coco,
        import_voc,
        import_yolo,
    )

try:
    check_environment()
except InstallError as error:
    # The command imports this before it can catch anything.
    if Path(sys.argv[0]).stem != "deeplake-mmdet" and "deeplake_mmdet.cli" not in sys.orig_argv:
        raise
    sys.exit(f"deeplake-mmdet: error: {error}")
set_openmp_waiting()
quieten_imports()
if os.environ.get("DEEPLAKE_MMDET_CHILD"):
    from deeplake_mmdet.terminal.run_log import begin_child

    begin_child()
_install_ops()


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == home:  # the room itself can be called
        return importlib.import_module(f"{__name__}.{home}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
