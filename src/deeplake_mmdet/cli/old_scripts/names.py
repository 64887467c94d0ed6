"""The one table of old names: what each of them stands for while ``run`` runs a script."""

from __future__ import annotations

import logging

__all__ = ["GONE", "GONE_MODULES", "OLD_NAMES", "OTHERS_MEANING", "target_of"]

_log = logging.getLogger("deeplake_mmdet")

_OURS = "deeplake_mmdet"
_HERE = "deeplake_mmdet.cli.old_scripts"
_APIS, _DATASETS, _MODELS = f"{_HERE}.apis", f"{_HERE}.datasets", f"{_HERE}.models"
_SETTINGS = f"{_HERE}.settings"
_REGISTRY = "mmdet.registry"


def _all(module: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, module)


_CONFIG = {
    "Config": _OURS,
    "ConfigDict": "mmengine.config",
    "DictAction": "mmengine.config",
    "mkdir_or_exist": _OURS,
}
_UTILS = _all(
    "mmengine.utils",
    *("check_file_exist", "check_prerequisites", "concat_list", "deprecated_api_warning", "digit_version"),
    *("get_git_hash", "has_method", "import_modules_from_strings", "is_filepath", "is_list_of", "is_seq_of"),
    *("is_str", "is_tuple_of", "iter_cast", "list_cast", "scandir", "slice_list", "symlink", "tuple_cast"),
    *("ProgressBar", "Timer", "check_time", "track_iter_progress", "track_parallel_progress"),
    *("track_progress",),
)
_FILES = _all("mmengine.fileio", "FileClient", "dict_from_file", "dump", "list_from_file", "load")
_MMCV = _CONFIG | _UTILS | _FILES
_PARALLEL = {
    "MMDataParallel": _MODELS,
    "MMDistributedDataParallel": "mmengine.model",
    "is_module_wrapper": "mmengine.model:is_model_wrapper",
}
_STARTS = _all(
    "mmengine.model",
    *("bias_init_with_prob", "caffe2_xavier_init", "constant_init", "initialize", "kaiming_init"),
    *("normal_init", "trunc_normal_init", "uniform_init", "xavier_init"),
)
_HOOKS = {"HOOKS": "mmengine.registry", "Hook": "mmengine.hooks"}
_BOXES = _all("mmdet.structures.bbox", "bbox2roi", "bbox_overlaps")
_MASKS = _all("mmdet.structures.mask", "BitmapMasks", "PolygonMasks", "encode_mask_results")
_SCORES = _all("mmdet.evaluation", "eval_map", "eval_recalls", "get_classes")
_BUILDERS = _all(_DATASETS, "build_dataloader", "build_dataset", "replace_ImageToTensor")
_MODEL_KINDS = (*("BACKBONES", "DETECTORS", "HEADS", "LOSSES", "NECKS", "ROI_EXTRACTORS", "SHARED_HEADS"),)
_MODEL_BUILDERS = {
    "build_detector": _OURS,
    **_all(_MODELS, *(f"build_{part}" for part in ("backbone", "head", "loss", "neck"))),
    **_all(_MODELS, "build_roi_extractor", "build_shared_head"),
    **dict.fromkeys(_MODEL_KINDS, f"{_REGISTRY}:MODELS"),
}
_TESTS = _all(_APIS, "multi_gpu_test", "single_gpu_test")
_TRAINS = {"set_random_seed": "mmengine.runner", **_all(_APIS, "init_random_seed", "train_detector")}
_INFERENCE = _all(_APIS, "inference_detector", "init_detector", "show_result_pyplot")

#: Old module -> its old names -> the module that has them now, ``module:name`` where the name is another.
OLD_NAMES: dict[str, dict[str, str]] = {
    "mmcv": _MMCV,
    "mmcv.utils": _MMCV
    | _all("mmengine.registry", "Registry", "build_from_cfg")
    | {"print_log": "mmengine.logging", "get_logger": _SETTINGS},
    "mmcv.runner": {
        "load_checkpoint": _APIS,
        **_all("mmengine.runner", "load_state_dict", "save_checkpoint"),
        **_all("mmengine.runner", "CheckpointLoader", "get_priority", "set_random_seed"),
        **_all("mmengine.dist", "get_dist_info", "master_only"),
        "init_dist": _SETTINGS,
        **_all("mmengine.model", "BaseModule", "ModuleDict", "ModuleList", "Sequential"),
        **_HOOKS,
        "wrap_fp16_model": _MODELS,
    },
    "mmcv.runner.hooks": _HOOKS,
    "mmcv.parallel": _PARALLEL,
    "mmcv.cnn": _STARTS,
    "mmdet.models": _MODEL_BUILDERS,
    "mmdet.models.builder": _MODEL_BUILDERS,
    "mmdet.apis": {**_TRAINS, **_TESTS, **_INFERENCE, "get_root_logger": _SETTINGS},
    "mmdet.apis.train": {**_TRAINS, "get_root_logger": _SETTINGS},
    "mmdet.apis.test": _TESTS,
    "mmdet.datasets": {**_BUILDERS, "DATASETS": _REGISTRY, "PIPELINES": f"{_REGISTRY}:TRANSFORMS"},
    "mmdet.datasets.builder": {**_BUILDERS, "DATASETS": _REGISTRY, "PIPELINES": f"{_REGISTRY}:TRANSFORMS"},
    "mmdet.utils": {
        **_all(_SETTINGS, "compat_cfg", "get_device", "get_root_logger", "replace_cfg_vals"),
        **_all(_SETTINGS, "update_data_root"),
        **_all(_MODELS, "build_ddp", "build_dp", "rfnext_init_model"),
    },
    "mmdet.core": {
        **_BOXES,
        **_MASKS,
        **_SCORES,
        "multi_apply": "mmdet.models.utils",
        "multiclass_nms": "mmdet.models.layers",
    },
    "mmdet.core.bbox": _BOXES,
    "mmdet.core.mask": _MASKS,
    "mmdet.core.evaluation": _SCORES,
    "deeplake": {"load": f"{_OURS}.lake:load_old"},
    "deeplake.integrations.mmdet": {"build_detector": _OURS, "train_detector": _OURS},
}

#: Names that the installed packages have too, with a meaning that is of no use to an old script:
#: ``deeplake.load`` only raises, the others know no 2.x config, or forget what keeps secrets out of files.
OTHERS_MEANING = frozenset(
    {
        ("deeplake", "load"),
        ("mmdet.apis", "inference_detector"),
        ("mmdet.apis", "init_detector"),
        ("mmdet.utils", "compat_cfg"),
        ("mmdet.utils", "replace_cfg_vals"),
        ("mmdet.utils", "update_data_root"),
    }
)

_RUNNER = "3.x has another runner: train by train_detector(model, cfg), which converts runner and hooks"
_BATCHES = "3.x has no such containers: a batch is dict(inputs=[...], data_samples=[...])"
_PIPELINE = "register transforms in mmdet.registry.TRANSFORMS; they take and give 3.x's dict of results"
#: Old names without an equal -> how to go on.
GONE = {
    **dict.fromkeys(
        ("EpochBasedRunner", "IterBasedRunner", "RUNNERS", "build_runner", "obj_from_dict"), _RUNNER
    ),
    **dict.fromkeys(
        ("OptimizerHook", "Fp16OptimizerHook", "DistSamplerSeedHook", "build_optimizer"), _RUNNER
    ),
    **dict.fromkeys(("EvalHook", "DistEvalHook"), "train_detector(..., validate=True) evaluates"),
    **dict.fromkeys(("DataContainer", "collate", "scatter"), _BATCHES),
    **dict.fromkeys(("Compose", "LoadImage", "to_tensor", "DefaultFormatBundle", "Collect"), _PIPELINE),
    "dataset": "open a lake by deeplake.load(path)",
    **dict.fromkeys(("ingest_coco", "ingest_yolo"), "make a lake by deeplake-mmdet import"),
    "CustomDataset": "derive from mmdet.datasets.BaseDetDataset, whose load_data_list() takes the place of "
    "load_annotations(); or import the data into a lake: deeplake-mmdet import",
    **dict.fromkeys(
        ("auto_fp16", "force_fp32"), "leave it out: 3.x computes in mixed precision by AmpOptimWrapper"
    ),
}
#: Old modules without an equal, as beginnings of their names -> how to go on.
GONE_MODULES = {
    "mmdet.datasets.custom": GONE["CustomDataset"],
    "mmdet.datasets.pipelines": f"its transforms are in mmdet.datasets.transforms; {_PIPELINE}",
    "mmdet.core.evaluation.eval_hooks": GONE["EvalHook"],
    "mmdet.core": "it became mmdet.structures, mmdet.evaluation, mmdet.engine and mmdet.models.task_modules",
    "mmcv.parallel": _BATCHES,
    "mmcv.runner": _RUNNER,
}


def target_of(module: str, name: str) -> tuple[str, str]:
    """Where an old name is now: its module, and its name there.

    Args:
        module: Old module, a key of `OLD_NAMES`.
        name: Old name in it.

    Raises:
        KeyError: It is not in `OLD_NAMES`.
    """
    place, _, other = OLD_NAMES[module][name].partition(":")
    return place, other or name
