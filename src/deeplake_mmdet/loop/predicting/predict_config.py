"""A config as `predict` runs it: its model, on other data."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from deeplake_mmdet.config import innermost_of, is_lake, kind_of_part
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import CredentialRef, Source, why_no_truth
from deeplake_mmdet.training.prepare import prepare_config
from deeplake_mmdet.training.tta import augment_tests, augmented

__all__ = ["DATA", "predict_config"]

_log = logging.getLogger("deeplake_mmdet")

DATA = "test_dataloader"
_SOURCE = ("commit", "branch", "tag", "view", "query")
_OF_LAKE = ("type", "credentials", "tensors", "box_format", "apply_exif", "cache", "metainfo", "_scope_")
_META = ("img_path", "ori_shape")
_DROPPED = ("val_dataloader", "val_cfg", "val_evaluator", "visualizer", "custom_hooks", "resume")
_HOOKS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")


def predict_config(
    config: str | Path | Config,
    *,
    work_dir: Path,
    cfg_options: Mapping[str, Any] | None,
    launcher: str | None,
    lake: str,
    chosen: Mapping[str, Any],
    listing: Path,
    known: tuple[str, ...] | None,
    batch_size: int | None,
    limit: int | None,
    tta: bool,
) -> Config:
    """Give a config the inputs in place of its test data.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x.
        work_dir: Folder for what MMEngine writes.
        cfg_options, launcher: See `prepare_config`.
        lake: Path or address of the lake to predict on; empty for files.
        chosen: ``branch``, ``view``, ``query`` and the like of the lake.
        listing: Folder of the listing of files.
        known: The classes that the checkpoint names.
        batch_size: Images a step; None for the config's.
        limit: Number of images; None for all.
        tta: Whether images come in several versions.

    Returns:
        A 3.x config whose ``test_dataloader`` gives the inputs, without truth.

    Raises:
        DeepLakeMMDetError: The config cannot be used, has no test pipeline, or names no classes.
    """

    def given(content: dict[str, Any]) -> None:
        loader, place = _tested(content)
        own = place.node
        others = {key: own[key] for key in ("return_classes", "caption_prompt") if own.get(key) is not None}
        pipeline = next(part for part in reversed(place.pipelines) if part)
        if lake:
            dataset = {**_lake_of(content, lake), **{k: v for k, v in chosen.items() if v is not None}}
            dataset.update(others, test_mode=True, on_error="skip")
        else:
            dataset = {"type": "deeplake_mmdet.ImageFiles", "listing": str(listing), "extra": {}}
            dataset["metainfo"] = {"classes": known or _classes_in(content)}
            if others.get("return_classes"):
                dataset["extra"] = {
                    "text": dataset["metainfo"]["classes"],
                    "caption_prompt": others.get("caption_prompt"),
                    "custom_entities": True,
                }
        dataset.update(pipeline=copy.deepcopy(list(pipeline)), indices=limit)
        fp16 = (content.get("test_cfg") or {}).get("fp16")
        for key in _DROPPED:
            content.pop(key, None)
        workers = int(loader.get("num_workers", 0))
        content.update(
            test_dataloader={
                "batch_size": batch_size or int(loader.get("batch_size", 1)),
                "num_workers": workers,
                **({"persistent_workers": False} if workers else {}),
                "sampler": {"type": "DefaultSampler", "shuffle": False, "round_up": False},
                "dataset": dataset,
                **({} if lake else {"collate_fn": {"type": "deeplake_mmdet.collate_files"}}),
            },
            test_cfg={"type": "TestLoop", **({"fp16": True} if fp16 else {})},
            test_evaluator=[],
            default_hooks=dict.fromkeys(_HOOKS),
            visualizer={"type": "mmengine.Visualizer", "vis_backends": []},
            log_level="WARNING",
        )

    cfg = prepare_config(config, work_dir=work_dir, cfg_options=cfg_options, launcher=launcher, given=given)
    if tta:
        augment_tests(cfg)
        cfg.model = augmented(cfg.model, cfg)
    dataset = cfg[DATA].dataset
    dataset.pipeline = _for_images(dataset.pipeline, files=not lake)
    if lake:
        _settle_truth(cfg, known)
    return cfg


def _tested(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """The loader of the test data, else of validation, and the dataset whose pipeline is taken."""
    for split in ("test", "val"):
        for place in innermost_of(content, split):
            if any(place.pipelines):
                return content[f"{split}_dataloader"], place
    raise ConfigError(
        "The config has no test pipeline",
        where="config key 'test_dataloader.dataset.pipeline', in a 2.x config 'data.test.pipeline'",
        advice="give it test or validation data with a pipeline; they need not be there",
    )


def _lake_of(content: Mapping[str, Any], lake: str) -> dict[str, Any]:
    """What the config says of this very lake, if it names it; else a plain dataset."""
    for split in ("test", "val", "train"):
        for place in innermost_of(content, split):
            if is_lake(place.node) and _same_place(place.node.get("path"), lake):
                kept = {key: place.node[key] for key in _OF_LAKE if place.node.get(key) is not None}
                return {**copy.deepcopy(kept), "path": lake}
    return {"type": "deeplake_mmdet.DeepLakeDataset", "path": lake}


def _same_place(path: Any, lake: str) -> bool:
    if not path or "://" in f"{path}{lake}":
        return str(path).rstrip("/") == lake.rstrip("/")
    return Path(path).expanduser().absolute() == Path(lake).expanduser().absolute()


def _classes_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a config states, or that the types of its datasets stand for."""
    for split in ("train", "test", "val"):
        for place in innermost_of(content, split):
            names = (place.node.get("metainfo") or {}).get("classes")
            if isinstance(names, (list, tuple)) and names:
                return tuple(map(str, names))
    register_all_modules(init_default_scope=False)
    for split in ("train", "test", "val"):
        for place in innermost_of(content, split):
            kind = place.node.get("type")
            kind = DATASETS.get(kind) if isinstance(kind, str) else kind
            names = (getattr(kind, "METAINFO", None) or {}).get("classes")
            if names:
                return tuple(names)
    raise ConfigError(
        "Neither the checkpoint nor the config names the classes",
        where="config key 'test_dataloader.dataset.metainfo.classes'",
        advice="write metainfo=dict(classes=('first', 'second')) into the config's test dataset",
    )


def _settle_truth(cfg: Config, known: tuple[str, ...] | None) -> None:
    """Open a lake whose boxes or labels cannot be read for its images alone."""
    node = cfg[DATA].dataset
    named = {key: node[key] for key in ("path", *_SOURCE) if node.get(key) is not None}
    options = {"tensors": node.get("tensors"), "box_format": node.get("box_format")}
    ref = CredentialRef(node.get("credentials"))
    why = why_no_truth(
        Source(**named), credentials=ref, chosen=(node.get("metainfo") or {}).get("classes"), **options
    )
    if not why:
        return
    _log.info(f"The lake is opened for its images alone: {why}")
    node.tensors = {**(node.get("tensors") or {}), "gt_bboxes": False, "gt_labels": False}
    node.metainfo = {**(node.get("metainfo") or {}), "classes": known or _classes_in(cfg)}


def _for_images(pipeline: Sequence[Any], *, files: bool) -> list[Any]:
    """A test pipeline without annotations, whose samples say which image they are of."""
    steps = list(_without_annotations(pipeline))
    if files:
        first = kind_of_part(steps[0]) if steps else ""
        if not (first.startswith("Load") and "Image" in first):
            raise ConfigError(
                "The test pipeline does not begin with a step that loads an image",
                where="config key 'test_dataloader.dataset.pipeline'",
                advice="begin it with dict(type='LoadImageFromFile')",
            )
        steps[0] = {**steps[0], **({"backend_args": None} if "backend_args" in steps[0] else {})}
    _each_step(steps, _keep_meta)
    return steps


def _without_annotations(steps: Sequence[Any]) -> Any:
    for step in steps:
        kind = kind_of_part(step)
        if kind.startswith("Load") and kind.endswith("Annotations"):
            continue
        if kind == "TestTimeAug":
            groups = [list(_without_annotations(group)) for group in step["transforms"]]
            step = {**step, "transforms": [group for group in groups if group]}
        yield step


def _each_step(steps: Sequence[Any], change: Callable[[Any], None]) -> None:
    for step in steps:
        if isinstance(step, (list, tuple)):
            _each_step(step, change)
        else:
            change(step)
            if kind_of_part(step) == "TestTimeAug":
                _each_step(step["transforms"], change)


def _keep_meta(step: Any) -> None:
    if kind_of_part(step) == "PackDetInputs" and "meta_keys" in step:
        step["meta_keys"] = (*step["meta_keys"], *(key for key in _META if key not in step["meta_keys"]))
