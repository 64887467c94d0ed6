"""Trackers of trainings that need no account: MMEngine's backends, put into a config by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config

from deeplake_mmdet.errors import ConfigError, InstallError

__all__ = ["TRACKERS", "use_trackers"]

_log = logging.getLogger("deeplake_mmdet")

#: Names for `train`: the package that must be there, and MMEngine's backend.
TRACKERS = {
    "tensorboard": ("tensorboard", "TensorboardVisBackend"),
    "mlflow": ("mlflow", "MLflowVisBackend"),
}


def use_trackers(cfg: Config, names: str | Sequence[str] | None) -> None:
    """Have a training write its scalars and pictures for trackers, too, beside MMEngine's own files.

    Args:
        cfg: From `prepare_config`, so without secrets; changed in place.
        names: One or several of `TRACKERS`; None for none.

    Raises:
        ConfigError: There is no such tracker.
        InstallError: Its package is not installed.
    """
    for name in dict.fromkeys([names] if isinstance(names, str) else names or ()):
        if name not in TRACKERS:
            raise ConfigError(
                f"There is no tracker {name!r}",
                where="--tracker, or argument tracker",
                advice=f"use one of {', '.join(TRACKERS)}; docs/trackers.md has the config's line for others",
            )
        package, kind = TRACKERS[name]
        if find_spec(package) is None:
            raise InstallError(
                f"The tracker {name!r} is not installed",
                where=f"package {package}",
                advice=f"pip install 'deeplake-mmdet[{name}]'",
            )
        if not cfg.get("visualizer"):
            cfg.visualizer = {"type": "DetLocalVisualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
        backends = cfg.visualizer.get("vis_backends") or [{"type": "LocalVisBackend"}]
        if all(str(backend.get("type")).rpartition(".")[2] != kind for backend in backends):
            cfg.visualizer["vis_backends"] = [*backends, _backend(kind, cfg)]


def _backend(kind: str, cfg: Config) -> dict[str, object]:
    if kind != "MLflowVisBackend":
        return {"type": kind}
    if "MLFLOW_TRACKING_URI" in os.environ:
        _log.warning(
            "MLFLOW_TRACKING_URI is not used: --tracker mlflow writes into the run's folder. For a server, "
            "write its address into the config: docs/trackers.md"
        )
    folder = Path(cfg.work_dir).absolute()
    # A database, as MLflow refuses folders of files from version 3 on.
    return {
        "type": kind,
        "exp_name": Path(cfg.filename or cfg.work_dir).stem,
        "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifact_location": str(folder / "mlartifacts"),
    }
