"""A whole MMDetection 2.x config -> a 3.x config."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from deeplake_mmdet.legacy.datasets.data import Data, convert_data
from deeplake_mmdet.legacy.datasets.evaluation import convert_evaluation
from deeplake_mmdet.legacy.datasets.lake_masks import keep_stored_masks
from deeplake_mmdet.legacy.detect import kind_of
from deeplake_mmdet.legacy.guard import converting
from deeplake_mmdet.legacy.keys import check_keys
from deeplake_mmdet.legacy.models.model import convert_model
from deeplake_mmdet.legacy.notes import Note, Notebook
from deeplake_mmdet.legacy.optimizer import convert_optimizer
from deeplake_mmdet.legacy.packages import modern_types
from deeplake_mmdet.legacy.runtime import convert_environment, convert_hooks, convert_loop, loop_of
from deeplake_mmdet.legacy.schedules.schedule import convert_schedule
from deeplake_mmdet.legacy.shapes import check_shapes

__all__ = ["convert_config_dict"]

_CONVERTED = (
    *("model", "data", "optimizer", "optimizer_config", "fp16", "lr_config", "momentum_config", "runner"),
    *(
        "total_epochs",
        "evaluation",
        "checkpoint_config",
        "log_config",
        "custom_hooks",
        "workflow",
        "dist_params",
    ),
    *(
        "mp_start_method",
        "opencv_num_threads",
        "omp_num_threads",
        "cudnn_benchmark",
        "log_level",
        "load_from",
    ),
    *("resume_from", "auto_resume", "seed", "deterministic", "diff_seed", "gpu_ids", "device", "work_dir"),
    *("find_unused_parameters", "auto_scale_lr", "custom_imports", "train_cfg", "test_cfg"),
    *("deeplake_dataloader_type", "deeplake_metrics_format", "fast_loader", "pictures", "resume_anyway"),
)


def convert_config_dict(cfg: Mapping[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """Convert a 2.x config, with or without ``deeplake_*`` keys.

    Args:
        cfg: The config's content as plain dicts and lists, with its bases merged in; not changed. Secrets
            must have been replaced by handles before.

    Returns:
        A 3.x config's content, and notes on everything that was changed, approximated or left out. A 3.x
        config comes back as it is, without notes.

    Raises:
        ConfigError: The config is half migrated, for MMDetection 1.x or for another toolbox; a part of it is
            no dict or lacks what 2.x demands; or a ``deeplake_*`` key or value is unknown.
    """
    content = deepcopy(dict(cfg))
    if kind_of(content) == "3.x":
        return content, []
    check_shapes(content)
    check_keys(content)
    notes = Notebook()
    content = modern_types(content, notes)
    with converting("runner"):
        loop = loop_of(content, notes)
    with converting("data"):
        data = convert_data(content, notes)
    apart = _leave_out_test(data, notes)
    with converting("evaluation"):
        evaluation = convert_evaluation(content, data, loop.by_epoch, notes)
    with converting("model"):
        model = convert_model(content, data.facts, notes)
    new: dict[str, Any] = {}
    if model is not None:
        new["model"] = model
    new |= {f"{split}_dataloader": loader for split, loader in data.loaders.items()}
    new |= {f"{split}_evaluator": evaluator for split, evaluator in evaluation.evaluators.items()}
    if data.tta is not None:
        new["tta_pipeline"] = data.tta
        with converting("model.test_cfg"):
            new["tta_model"] = {"type": "DetTTAModel", "tta_cfg": _tta(model)}
    validates = "val" in data.loaders
    if "train" in data.loaders and not validates and content.get("evaluation"):
        notes.dropped("evaluation", "training does not validate", "there is no data.val")
    if "train" in data.loaders:
        interval = evaluation.loop if validates else {}
        new["train_cfg"] = convert_loop(content, loop, interval, notes)
        with converting("optimizer"):
            new["optim_wrapper"] = convert_optimizer(content, notes)
        with converting("lr_config"):
            new["param_scheduler"] = convert_schedule(content, loop, notes)
    if validates:
        new["val_cfg"] = {"type": "ValLoop"}
    if "test" in data.loaders:
        new["test_cfg"] = {"type": "TestLoop"}
    if apart:
        new |= dict.fromkeys(("test_dataloader", "test_evaluator", "test_cfg"))
    with converting("custom_hooks"):
        new |= convert_hooks(content, loop, evaluation.checkpoint if validates else {}, notes)
    keep_stored_masks(new, notes)
    new |= convert_environment(content, data.seed, notes)
    new |= _loader_mode(content, notes)
    _note_variables(content, notes)
    return new, list(notes)


def _leave_out_test(data: Data, notes: Notebook) -> bool:
    """Leave data.test out, which training does not read, if it normalises images in another way."""
    norms = {
        split: [item.normalize for item in facts if item.normalize is not None]
        for split, facts in data.facts.items()
    }
    used = [norm for split in ("train", "val") for norm in norms.get(split, [])]
    if "train" not in norms or not used or all(norm == used[0] for norm in norms.get("test", [])):
        return False
    why = "it normalises images in another way than training, and 3.x normalises in the model"
    notes.dropped("data.test", "left out: test by a config of its own, without data.train", why)
    data.loaders.pop("test"), data.facts.pop("test")
    return True


def _tta(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the versions of an image are merged: as the model merges its own boxes."""
    test = (model or {}).get("test_cfg") or {}
    test = test.get("rcnn") or test
    usual = {"type": "nms", "iou_threshold": 0.5}
    return {"nms": test.get("nms") or usual, "max_per_img": test.get("max_per_img", 100)}


def _loader_mode(cfg: Mapping[str, Any], notes: Notebook) -> dict[str, Any]:
    kind = cfg.get("deeplake_dataloader_type")
    own = {name: cfg[name] for name in ("fast_loader", "pictures", "resume_anyway") if name in cfg}
    if kind and "fast_loader" in own:
        notes.info("deeplake_dataloader_type", "left out", "fast_loader says how to load", old=kind)
    if not kind or "fast_loader" in own:
        return own
    mode = {"python": "processes", "auto": "auto"}.get(str(kind).lower(), "threads")
    notes.info(
        "deeplake_dataloader_type",
        "became the key fast_loader",
        "the samples are the same in all modes",
        old=kind,
        new=mode,
    )
    return {**own, "fast_loader": mode}


def _note_variables(cfg: Mapping[str, Any], notes: Notebook) -> None:
    """Variables of the file, whose values stand where they are used; not shown, for they may be anything."""
    if names := sorted(str(name) for name in cfg if name not in _CONVERTED):
        notes.info(
            ", ".join(names), "left out", "variables of the file; their values stand where they are used"
        )
