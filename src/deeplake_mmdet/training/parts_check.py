"""Parts of a config that cannot be built: told before training, all with their keys."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from inspect import signature
from typing import Any

from mmdet import registry as detection
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope, Registry, root
from torch.utils.data import DataLoader

from deeplake_mmdet.config import innermost_of, is_lake, keys_of, nearest
from deeplake_mmdet.errors import ConfigError, InstallError
from deeplake_mmdet.training.processes.launch import on_cpu

__all__ = ["check_amp", "check_datasets", "check_parts", "without_amp_on_cpu"]

_log = logging.getLogger("deeplake_mmdet")

_TRAINING = (
    *("train_dataloader", "val_dataloader", "val_evaluator", "optim_wrapper", "param_scheduler"),
    *("train_cfg", "val_cfg", "default_hooks", "custom_hooks", "visualizer", "log_processor"),
)
_TESTING = (
    *("test_dataloader", "test_evaluator", "test_cfg", "default_hooks", "custom_hooks", "visualizer"),
    "log_processor",
)
# Keys of stock parts under which a 'type' is no registry's: a function of mmcv's ops or a kind of connection.
_OTHER = ("adapt_cfg", "nms", "nms_cfg", "dqs_cfg", "roi_layer", "metainfo", "backend_args")
_OTHER_ENDS = ("_nms", "_trans")
_STOCK = ("mmdet", "mmengine", "mmcv", "torch", "deeplake_mmdet")
# What a part needs: the packages that have it, one of which must be there, and how to install it.
_PACKAGES = {
    "Albu": (("albumentations",), "albumentations"),
    "InstaBoost": (("instaboostfast",), "instaboostfast"),
    "Corrupt": (("imagecorruptions",), "imagecorruptions"),
    "TensorboardVisBackend": (("tensorboard", "tensorboardX"), "tensorboard"),
    "WandbVisBackend": (("wandb",), "wandb"),
    "MLflowVisBackend": (("mlflow",), "mlflow"),
    "ClearMLVisBackend": (("clearml",), "clearml"),
    "NeptuneVisBackend": (("neptune",), "neptune"),
    "DVCLiveVisBackend": (("dvclive",), "dvclive"),
    "AimVisBackend": (("aim",), "aim"),
    "LVISDataset": (("lvis",), "lvis"),
    "LVISV05Dataset": (("lvis",), "lvis"),
    "LVISV1Dataset": (("lvis",), "lvis"),
    "LVISMetric": (("lvis",), "lvis"),
    "LVISFixedAPMetric": (("lvis",), "lvis"),
    "CityScapesMetric": (("cityscapesscripts",), "cityscapesscripts"),
    "CocoPanopticMetric": (("panopticapi",), "git+https://github.com/cocodataset/panopticapi.git"),
    "LoadPanopticAnnotations": (("panopticapi",), "git+https://github.com/cocodataset/panopticapi.git"),
    "TIMMBackbone": (("timm",), "timm"),
    "PAAHead": (("sklearn",), "scikit-learn"),
    "LADHead": (("sklearn",), "scikit-learn"),
}
# What whoever builds a stock part takes for itself.
_TAKEN = (
    *("type", "_scope_", "priority", "paramwise_cfg", "constructor", "convert_to_iter_based"),
    *("requires_grad", "bg_cls_weight"),
)
_BUILT_AS_WRITTEN = ("mmdet.", "mmengine.", "mmcv.transforms.", "deeplake_mmdet.", "torch.optim.")
_NEEDED: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    (
        lambda name: name.startswith("Load") and "Image" in name,
        "loads no image",
        "begin it with dict(type='LoadImageFromFile')",
    ),
    (
        lambda name: name.startswith("Load") and name.endswith("Annotations"),
        "loads no boxes, so that there would be nothing to learn",
        "write dict(type='LoadAnnotations', with_bbox=True) behind the step that loads the image",
    ),
    (lambda name: name.startswith("Pack"), "packs no sample", "end it with dict(type='PackDetInputs')"),
)
_SCOPES = ("mmpretrain",)
# Of a 2.x dataset, and what a 3.x one has instead.
_OLD_METHODS = ("load_annotations", "_parse_ann_info", "get_ann_info", "_filter_imgs", "prepare_train_img")
_NEW_METHODS = {"load_data_list", "parse_data_info", "filter_data", "prepare_data", "get_data_info"}


def check_parts(cfg: Config, *, training: bool, model: bool = True) -> None:
    """Refuse what no run could build.

    Args:
        cfg: From `prepare_config`; its ``custom_imports`` have been imported.
        training: Whether it is to train; else only what a test builds is looked at.
        model: Whether its ``model`` is to be built.

    Raises:
        InstallError: A part needs a package that is not installed; all such parts are named.
        ConfigError: A ``type`` is registered by nobody, a hook has none, a part has a key that it does not
            take, a pipeline lacks a step that it cannot do without, there is no optimizer, or the
            preprocessor's channels cannot be normalised.
    """
    register_all_modules(init_default_scope=False)
    keys = (*(("model",) if model else ()), *(_TRAINING if training else _TESTING))
    parts = [part for key in keys for part in _parts(cfg.get(key), key)]
    _check_packages(parts)
    _check_hooks(cfg)
    _check_types(parts)
    check_datasets(parts)
    _check_keys(parts)
    splits = ("train", "val") if training else ("test",)
    _check_loaders(cfg, splits)
    _check_pipelines(cfg, splits)
    if training:
        _check_optimizer(cfg)
    if model:
        _check_channels(cfg)


def check_amp() -> None:
    """Refuse mixed precision that was asked for where there is no GPU.

    Raises:
        ConfigError: There is none.
    """
    if on_cpu():
        raise ConfigError("Mixed precision needs a GPU", where="argument amp", advice="leave it out")


def without_amp_on_cpu(cfg: Config) -> None:
    """Train with full precision where there is no GPU, as MMDetection 2.x did, and warn of it.

    Args:
        cfg: A 3.x config; an ``AmpOptimWrapper`` becomes an ``OptimWrapper`` in place.
    """
    wrapper = cfg.get("optim_wrapper")
    if isinstance(wrapper, Mapping) and _name(wrapper) == "AmpOptimWrapper" and on_cpu():
        cfg.optim_wrapper.type = "OptimWrapper"
        for key in ("loss_scale", "dtype", "use_fsdp"):
            cfg.optim_wrapper.pop(key, None)
        _log.warning(
            "optim_wrapper (2.x: fp16): mixed precision needs a GPU; this run trains with full precision"
        )


def _parts(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All dicts with a ``type`` that a registry is to know, with their keys.

    What the user's own classes and Albumentations do with the dicts that they are given is their business.
    """
    if isinstance(node, Mapping):
        if isinstance(kind := node.get("type"), str):
            yield key, node
            found = _registered(kind)
            if _name(node) == "Albu" or (found is not None and not _is_stock(found)):
                return
        for name, value in node.items():
            if name not in _OTHER and not str(name).endswith(_OTHER_ENDS):
                yield from _parts(value, f"{key}.{name}")
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _parts(value, f"{key}[{number}]")


def _name(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    return str(kind if isinstance(kind, str) else getattr(kind, "__name__", "")).rpartition(".")[2]


def _check_packages(parts: list[tuple[str, Mapping[str, Any]]]) -> None:
    lacking: dict[str, list[str]] = {}
    for key, part in parts:
        scope, dot, _ = str(part["type"]).partition(".")
        packages, install = ((), "") if scope == "deeplake_mmdet" else _PACKAGES.get(_name(part), ((), ""))
        if dot and scope in _SCOPES:
            packages, install = (scope,), f"onedl-{scope}"
        if packages and not any(map(find_spec, packages)):
            lacking.setdefault(install, []).append(f"{key} ({_name(part)})")
    if lacking:
        raise InstallError(
            f"The config uses what is not installed: {', '.join(lacking)}",
            where=f"config key {', '.join(where for keys in lacking.values() for where in keys)}",
            advice=f"pip install {' '.join(lacking)}; or take these parts out of the config",
        )


def _check_hooks(cfg: Config) -> None:
    hooks = [(f"custom_hooks[{number}]", hook) for number, hook in enumerate(cfg.get("custom_hooks") or ())]
    hooks += [(f"default_hooks.{name}", hook) for name, hook in (cfg.get("default_hooks") or {}).items()]
    if without := [key for key, hook in hooks if isinstance(hook, Mapping) and not hook.get("type")]:
        raise ConfigError(
            "A hook has no type",
            where=f"config key {', '.join(without)}",
            advice="add type='NameOfTheHook', or take the hook out",
        )


def _check_types(parts: list[tuple[str, Mapping[str, Any]]]) -> None:
    unknown = [(key, part["type"]) for key, part in parts if _registered(part["type"]) is None]
    if not unknown:
        return
    near = {name: _similar(name) for _, name in unknown}
    hints = [f"{name!r} is perhaps {' or '.join(map(repr, found))}" for name, found in near.items() if found]
    raise ConfigError(
        f"Nobody has registered {', '.join(map(repr, near))}, which the config names as a type",
        where=f"config key {', '.join(f'{key}.type' for key, _ in unknown)}",
        advice="".join(f"{hint}; " for hint in hints)
        + "name the module that registers it in custom_imports=dict(imports=['my_package.my_module']), "
        "or take it out",
    )


def _check_keys(parts: list[tuple[str, Mapping[str, Any]]]) -> None:
    """Refuse keys that no argument has; what cannot be told is left to whoever builds the part."""
    unknown: dict[str, str] = {}
    for key, part in parts:
        found = _registered(part["type"])
        if found is None or not str(getattr(found, "__module__", "")).startswith(_BUILT_AS_WRITTEN):
            continue
        known = keys_of(found)
        for name in part if known is not None else ():
            if name not in (*(known or ()), *_TAKEN):
                near = nearest(name, known or ())
                hint = f"perhaps {near!r} is meant" if near else f"known: {', '.join(sorted(known or ()))}"
                unknown[f"{key}.{name}"] = f"{_name(part)} has no {name!r}: {hint}"
    if unknown:
        raise ConfigError(
            f"The config has keys that their parts do not take: {'; '.join(dict.fromkeys(unknown.values()))}",
            where=f"config key {', '.join(unknown)}",
            advice="correct these keys, or take them out; _delete_=True keeps those of a base away",
        )


def _check_pipelines(cfg: Config, splits: Sequence[str]) -> None:
    """Refuse pipelines of lakes that lack a step without which there is no sample, or an empty one."""
    for split in splits:
        for place in innermost_of(cfg, split):
            pipelines = place.pipelines
            where = f"config key '{split}_dataloader.dataset.pipeline'"
            for pipeline in filter(None, pipelines):
                _check_steps(pipeline, where)
            steps = [part for pipeline in pipelines for _, part in _parts(pipeline, "")]
            kinds = [_registered(step["type"]) for step in steps]
            if not is_lake(place.node) or not steps or not all(kind and _is_stock(kind) for kind in kinds):
                continue  # steps of one's own may do anything
            names = [_name(step) for step in steps]
            for lacks, told, advice in _NEEDED:
                if (split == "train" or "Annotations" not in advice) and not any(map(lacks, names)):
                    raise ConfigError(
                        f"The {split} pipeline {told}",
                        where=f"{where} ({', '.join(names)})",
                        advice=advice,
                    )


def _check_steps(pipeline: Any, where: str) -> None:
    if not isinstance(pipeline, (list, tuple)):
        raise ConfigError(
            f"The pipeline is a {type(pipeline).__name__}, no list of steps",
            where=where,
            advice="write pipeline=[dict(type='LoadImageFromFile'), ...]",
        )
    for number, step in enumerate(pipeline):
        if not callable(step) and not (isinstance(step, Mapping) and step.get("type")):
            raise ConfigError(
                f"Step {number} of the pipeline, {step!r}, has no type",
                where=where,
                advice="write dict(type='Resize', ...), with the name of a step",
            )


def _check_loaders(cfg: Config, splits: Sequence[str]) -> None:
    known = {*signature(DataLoader).parameters, "num_batch_per_epoch"}
    for key in (f"{split}_dataloader" for split in splits):
        unknown = [str(name) for name in cfg.get(key) or () if name not in known]
        if unknown:
            near = nearest(unknown[0], known)
            raise ConfigError(
                f"A loader has no {', '.join(map(repr, unknown))}",
                where=f"config key {', '.join(f'{key}.{name}' for name in unknown)}",
                advice=f"perhaps {near!r} is meant" if near else f"known: {', '.join(sorted(known))}",
            )


def check_datasets(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Refuse dataset classes of the user's that are written for MMDetection 2.x: 3.x ignores their methods.

    Args:
        parts: Config key and content of each dataset, with its ``type``.

    Raises:
        ConfigError: A dataset is written for 2.x; the first one is named.
    """
    for key, part in parts:
        found = _registered(part["type"])
        if not isinstance(found, type) or not issubclass(found, BaseDataset) or _is_stock(found):
            continue
        own = {name for each in found.__mro__ if not _is_stock(each) for name in vars(each)}
        old = sorted(own.intersection(_OLD_METHODS))
        if "CLASSES" in own and not own & {"METAINFO", "load_data_list"}:
            old.append("CLASSES")
        if old and not own & _NEW_METHODS:
            raise ConfigError(
                f"{found.__name__} is written for MMDetection 2.x: 3.x does not use its {', '.join(old)}",
                where=f"config key {key}.type, class {found.__module__}.{found.__qualname__}",
                advice="METAINFO = dict(classes=...) takes the place of CLASSES, load_data_list() and "
                "parse_data_info() that of load_annotations() and _parse_ann_info(), filter_data() that of "
                "_filter_imgs(); or import the data into a lake: deeplake-mmdet import",
            )


def _registered(name: str) -> Any:
    """What a type stands for; None if nobody has registered it."""
    for registry in _registries():  # at once; `get` also tries to import what this registry does not have
        if (found := registry.module_dict.get(name)) is not None:
            return found
    with DefaultScope.overwrite_default_scope("mmdet"):
        for registry in _registries():
            try:
                if (found := registry.get(name)) is not None:
                    return found
            except Exception:  # a scope that does not exist, or a module that fails while it is imported
                continue
    return None


def _is_stock(found: Any) -> bool:
    return str(getattr(found, "__module__", "")).partition(".")[0] in _STOCK


def _similar(name: str) -> list[str]:
    known = {
        entry
        for registry in _registries()
        for part in (registry, *registry.children.values())
        for entry in part.module_dict
    }
    return difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.8)


@cache
def _registries() -> list[Registry]:
    """MMDetection's, which ask MMEngine's too, then those that only MMEngine has."""
    found = [
        entry
        for module in (detection, root)
        for name in dir(module)
        if isinstance(entry := getattr(module, name), Registry)
    ]
    return sorted(found, key=lambda registry: registry.scope != "mmdet")


def _check_optimizer(cfg: Config) -> None:
    wrapper = cfg.get("optim_wrapper")
    if isinstance(wrapper, Mapping) and (wrapper.get("optimizer") or wrapper.get("constructor")):
        if not wrapper.get("optimizer") or wrapper["optimizer"].get("type"):
            return
        what, where = "The optimizer has no type", "config key 'optim_wrapper.optimizer.type'"
    else:
        what, where = "The config names no optimizer", "config key 'optim_wrapper.optimizer'"
    raise ConfigError(
        what,
        where=f"{where}, in a 2.x config 'optimizer'",
        advice="write e.g. optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001)",
    )


def _check_channels(cfg: Config) -> None:
    model = cfg.get("model") or {}
    found = model.get("data_preprocessor") or cfg.get("data_preprocessor") or {}
    if _name(found) not in ("DetDataPreprocessor", "ImgDataPreprocessor", ""):
        return
    mean, std = found.get("mean"), found.get("std")
    if mean is None and std is None:
        return
    counts = [len(values) if isinstance(values, (list, tuple)) else 0 for values in (mean, std)]
    if counts[0] == counts[1] and counts[0] in (1, 3):
        return
    raise ConfigError(
        f"Images of these channels cannot be normalised: mean has {counts[0]} values, std {counts[1]}",
        where="config keys 'model.data_preprocessor.mean' and 'std', in a 2.x config the Normalize step",
        advice="DetDataPreprocessor of MMDetection 3.x takes 1 or 3 of each; for other channels register a "
        "preprocessor of your own and name it in model.data_preprocessor",
    )
