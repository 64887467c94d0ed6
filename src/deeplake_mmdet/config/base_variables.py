"""The variables of a 2.x base whose place the installed MMDetection 3.x's takes.

A 2.x config may use what its base defined: ``ann_file={{_base_.data_root}} + 'x.json'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from deeplake_mmdet.config.old_pipelines import img_norm_cfg, old_pipeline
from deeplake_mmdet.config.versions import ONLY_NEW
from deeplake_mmdet.legacy import as_legacy

__all__ = ["old_variables", "preprocessor_of_data"]

Content = dict[str, Any]

# Not variables, or with another meaning in 2.x.
_OTHERWISE = ("train_cfg", "val_cfg", "test_cfg", "data", "optimizer_config", "metainfo", "train_dataset")
# MMDetection 2.x's own files of data said this where 3.x's leave it to the model.
_OF_DATASETS = {
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
    "pad_size_divisor": 32,
}
_OF_FACES = {"std": [1, 1, 1], "pad_size_divisor": 1}
_ENVIRONMENT = {
    "cudnn_benchmark": ("cudnn_benchmark",),
    "mp_start_method": ("mp_cfg", "mp_start_method"),
    "opencv_num_threads": ("mp_cfg", "opencv_num_threads"),
    "dist_params": ("dist_cfg",),
}


def old_variables(stock: Mapping[str, Any]) -> Content:
    """What a 2.x base said beyond the keys that `as_legacy` gives.

    Args:
        stock: The 3.x content of the bases that take the old ones' place.

    Returns:
        Variables by name: those that have the same meaning in 3.x, and those whose old value follows from
        the new content. Others are missing: nothing is guessed.
    """
    found = {
        name: deepcopy(value)
        for name, value in stock.items()
        if name not in (*ONLY_NEW, *_OTHERWISE) and not name.endswith("_pipeline")
    }
    found |= _image_variables(stock)
    loop, data = stock.get("train_cfg") or {}, as_legacy(stock).get("data") or {}
    if "max_epochs" in loop:
        found["total_epochs"] = loop["max_epochs"]
    if (classes := (data.get("train") or {}).get("classes")) is not None:
        found.setdefault("classes", classes)
    if "backend_args" in stock:
        found["file_client_args"] = stock["backend_args"] or {"backend": "disk"}
    return {**found, **_runtime_variables(stock)}


def _image_variables(stock: Mapping[str, Any]) -> Content:
    """How images are normalised, and the pipelines, which did that in 2.x."""
    new: Content = {}
    if isinstance(stock.get("img_scale"), (list, tuple)):
        new["img_scale"] = tuple(reversed(stock["img_scale"]))  # was (height, width)
    pipelines = _pipelines_of(stock)
    preprocessor = (stock.get("model") or {}).get("data_preprocessor") or preprocessor_of_data(stock)
    if preprocessor is None:
        return new
    norm = stock.get("img_norm_cfg", img_norm_cfg(preprocessor))
    if norm is not None:
        new["img_norm_cfg"] = norm
    # Without the model, nothing says to which size they padded, or by how much they scaled semantic maps.
    if "model" in stock or not ("image_size" in stock or any(_loads_maps(stock[name]) for name in pipelines)):
        new |= {name: old_pipeline(stock[name], preprocessor) for name in pipelines}
    if isinstance(stock.get("train_dataset"), Mapping):
        data = as_legacy({"train_dataloader": {"dataset": stock["train_dataset"]}})["data"]
        new["train_dataset"] = _old_pipelines_of(data["train"], preprocessor)
    return new


def preprocessor_of_data(stock: Mapping[str, Any]) -> Content | None:
    """What the pipelines of 2.x's files of data did to images, where 3.x's leave it to the model.

    Args:
        stock: The 3.x content of the bases that take the old ones' place.

    Returns:
        None if they have a model, or no pipelines.
    """
    if "model" in stock or not _pipelines_of(stock):
        return None
    face = stock.get("dataset_type") == "WIDERFaceDataset"
    return {**_OF_DATASETS, **(_OF_FACES if face else {})}


def _pipelines_of(stock: Mapping[str, Any]) -> list[str]:
    return [name for name in stock if name.endswith("_pipeline") and name not in ONLY_NEW]


def _loads_maps(steps: Sequence[Mapping[str, Any]]) -> bool:
    return any(step.get("with_seg") or step.get("type") == "LoadPanopticAnnotations" for step in steps)


def _old_pipelines_of(dataset: Content, preprocessor: Mapping[str, Any]) -> Content:
    new = dict(dataset)
    if "pipeline" in new:
        new["pipeline"] = old_pipeline(new["pipeline"], preprocessor)
    if isinstance(new.get("dataset"), Mapping):
        new["dataset"] = _old_pipelines_of(new["dataset"], preprocessor)
    return new


def _runtime_variables(stock: Mapping[str, Any]) -> Content:
    new: Content = {}
    for name, path in _ENVIRONMENT.items():
        value: Any = stock.get("env_cfg")
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and value is not False:  # 2.x's files left False out
            new[name] = deepcopy(value)
    if stock.get("resume") is False:
        new["resume_from"] = None
    if "env_cfg" in stock and "max_iters" not in (stock.get("train_cfg") or {}):
        new["workflow"] = [("train", 1)]  # 3.x knows no other
    return new
