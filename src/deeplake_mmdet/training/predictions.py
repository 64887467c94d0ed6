"""Keeping and drawing the predictions of a test run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from deeplake_mmdet.errors import ImportRefusedError
from deeplake_mmdet.evaluation import check_target

__all__ = ["check_show_dir", "draw_predictions", "keep_predictions"]

_STOCK = "DetVisualizationHook"


def keep_predictions(cfg: Config, file: str | Path, *, overwrite: bool = False) -> None:
    """Have the test run of a config write its predictions to a file, beside its scores.

    Args:
        cfg: Changed in place.
        file: ``.json`` (COCO results) or ``.parquet``.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        ImportRefusedError: It is there already.
        ConfigError: The file has another ending.
        InstallError: It is Parquet and pyarrow is not installed.
    """
    target = check_target(file, overwrite=overwrite)
    dump = {"type": "deeplake_mmdet.DumpPredictions", "file": str(target.absolute())}
    found = cfg.get("test_evaluator") or []
    if isinstance(found, Mapping) and "dataset_prefixes" in found:  # one metric for each dataset
        cfg.test_evaluator = {**found, "also": [*found.get("also", ()), dump]}
        return
    cfg.test_evaluator = [*([found] if isinstance(found, Mapping) else found), dump]


def draw_predictions(cfg: Config, folder: str | Path, *, overwrite: bool = False) -> None:
    """Have every tested image drawn, truth (if loaded) beside predictions.

    MMDetection's hook does it in its `LakeVisualizationHook` form; another one that the config has stays.

    Args:
        cfg: Changed in place.
        folder: Where the drawings go.
        overwrite: Whether there may be files in it, which drawings of the same names then replace.

    Raises:
        ImportRefusedError: There are files in it and ``overwrite`` is False, or it is a file.
    """
    place = check_show_dir(folder, overwrite=overwrite)
    hooks = cfg.setdefault("default_hooks", {})
    hook = dict(hooks.get("visualization") or {"type": _STOCK})
    if str(hook.get("type")).removeprefix("mmdet.") == _STOCK:
        hook["type"] = "deeplake_mmdet.LakeVisualizationHook"
    hook.update(draw=True, test_out_dir=str(place))
    hooks["visualization"] = hook
    drawing = {"type": "mmdet.DetLocalVisualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
    cfg.setdefault("visualizer", drawing)


def check_show_dir(folder: str | Path, *, overwrite: bool = False) -> Path:
    """The folder for drawings, absolute, if they can go there; it is not made.

    Args:
        folder: The folder.
        overwrite: Whether there may be files in it.

    Raises:
        ImportRefusedError: There are files in it and ``overwrite`` is False, or it is a file.
    """
    place = Path(folder).expanduser().absolute()
    if place.is_dir() and not overwrite and any(place.iterdir()):
        raise ImportRefusedError(
            "There are files in the folder for drawings already",
            where=str(place),
            advice="choose another folder, or add --overwrite (overwrite=True)",
        )
    if place.exists() and not place.is_dir():
        raise ImportRefusedError("The folder for drawings is a file", where=str(place))
    return place
