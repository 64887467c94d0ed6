"""Which kind of value each setting of a 2.x config has, as far as the conversion reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deeplake_mmdet.legacy.kinds import (
    DICT,
    NUMBER,
    NUMBERS,
    PAIR,
    TEXT,
    TEXTS,
    WHOLE,
    Kind,
    each,
    either,
    maybe,
    must_be,
    pairs,
)

__all__ = ["FILES", "LOADER", "OF_DATASETS", "check_settings", "check_table", "of_step"]

Table = Mapping[str, Kind]

_SPLITS = ("train", "val", "test")
_ONE_OR_TEXTS = either(TEXT, TEXTS)
_ONE_OR_NUMBERS = either(NUMBER, NUMBERS)
_INTERVALS = Kind(pairs, "a list of pairs of numbers", "[(10, 1)]")
_FLOW = Kind(
    lambda value: (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and isinstance(value[0], str)
        and WHOLE.holds(value[1])
    ),
    "a mode and a number",
    "('train', 1)",
)
_SCALES = either(PAIR, Kind(pairs, "a list of such pairs", "(1333, 800)"))
_FILLS = either(_ONE_OR_NUMBERS, Kind(lambda value: _is_fills(value), "a dict of numbers", "dict(img=0)"))
_FIELD = Kind(lambda value: isinstance(value, Mapping) and TEXT.holds(value.get("key")), "", "")
_PREFIXES = each(maybe(TEXT), "a list of texts", "['...']", least=1)


def _is_fills(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        part is None or _ONE_OR_NUMBERS.holds(part) for part in value.values()
    )


_SCHEDULE: Table = {
    **dict.fromkeys(("warmup_iters", "num_last_epochs", "total_steps", "cyclic_times"), WHOLE),
    **dict.fromkeys(("warmup_ratio", "gamma", "power", "start_percent", "step_ratio_up"), NUMBER),
    **dict.fromkeys(("pct_start", "div_factor", "final_div_factor"), NUMBER),
    **dict.fromkeys(("min_lr", "min_lr_ratio", "min_momentum", "min_momentum_ratio"), NUMBER),
    **dict.fromkeys(("periods", "restart_weights"), NUMBERS),
    "target_ratio": _ONE_OR_NUMBERS,
}
#: Of `data.train_dataloader` and the like.
LOADER: Table = {
    **dict.fromkeys(("samples_per_gpu", "workers_per_gpu", "batch_size", "num_workers"), WHOLE),
    "class_aware_sampler": DICT,
}
# Dotted key of a table -> its settings. None stands for a setting that is not said.
_TABLES: Mapping[str, Table] = {
    "": {
        "total_epochs": WHOLE,
        "workflow": each(_FLOW, "a list of pairs of a mode and a number", "[('train', 1)]"),
    },
    "runner": dict.fromkeys(("max_epochs", "max_iters"), WHOLE),
    "optimizer": {"lr": NUMBER},
    "optimizer_config": dict.fromkeys(("cumulative_iters", "update_interval"), WHOLE),
    "evaluation": {
        **dict.fromkeys(("interval", "start"), WHOLE),
        "metric": _ONE_OR_TEXTS,
        "dynamic_intervals": _INTERVALS,
    },
    "checkpoint_config": {"interval": WHOLE, "file_client_args": DICT},
    "log_config": {"interval": WHOLE},
    "lr_config": _SCHEDULE,
    "momentum_config": _SCHEDULE,
    "custom_imports": {"imports": _ONE_OR_TEXTS},
    "data": {
        **dict.fromkeys(("samples_per_gpu", "workers_per_gpu", "imgs_per_gpu"), WHOLE),
        **{f"{split}_dataloader": DICT for split in _SPLITS},
    },
    **{f"data.{split}_dataloader": LOADER for split in _SPLITS},
}
#: What a dataset may list, one for each file of annotations.
FILES: Table = {
    "ann_file": either(
        TEXT, each(TEXT, "a list of texts with at least one", "'annotations/train.json'", least=1)
    ),
    **dict.fromkeys(("img_prefix", "seg_prefix", "proposal_file"), either(TEXT, _PREFIXES)),
}
#: Of datasets and their wrappers.
OF_DATASETS: Table = {
    **dict.fromkeys(("samples_per_gpu", "workers_per_gpu", "times"), WHOLE),
    **dict.fromkeys(("metainfo", "filter_cfg", "file_client_args"), DICT),
    "oversample_thr": NUMBER,
    "classes": _ONE_OR_TEXTS,
}
_LEVELS: Table = {
    **dict.fromkeys(("max_shear_magnitude", "max_rotate_angle", "max_translate_offset"), NUMBER),
    "level": maybe(NUMBER),
}
_KEYS: Table = {
    "keys": TEXTS,
    "fields": each(_FIELD, "a list of fields with their keys", "[dict(key='img')]"),
}
_OF_STEPS: Mapping[str, Table] = {
    "Normalize": {"mean": NUMBERS, "std": NUMBERS},
    "Pad": {"size": maybe(PAIR), "size_divisor": maybe(WHOLE), "pad_val": maybe(_FILLS)},
    "DefaultFormatBundle": {**_KEYS, "pad_val": maybe(_FILLS)},
    "Resize": {
        "img_scale": maybe(_SCALES),
        "scale": maybe(either(NUMBER, _SCALES)),
        "ratio_range": maybe(PAIR),
    },
    "MultiScaleFlipAug": {
        "img_scale": maybe(_SCALES),
        "scale_factor": maybe(_ONE_OR_NUMBERS),
        "flip_direction": _ONE_OR_TEXTS,
    },
    "RandomFlip": {**dict.fromkeys(("flip_ratio", "prob"), maybe(_ONE_OR_NUMBERS))},
    "SegRescale": {"scale_factor": NUMBER},
    "Collect": {"keys": TEXTS, "meta_keys": TEXTS},
    **dict.fromkeys(("ImageToTensor", "ToTensor", "ToDataContainer", "Transpose"), _KEYS),
    "Mosaic": {"img_scale": PAIR},
    "MixUp": {"img_scale": PAIR},
    "RandomAffine": {"border": PAIR},
    "RandomCrop": {"crop_size": PAIR},
    "RandomCenterCropPad": {"crop_size": maybe(PAIR)},
    **dict.fromkeys(("Shear", "Rotate", "Translate"), _LEVELS),
    **dict.fromkeys(("BrightnessTransform", "ContrastTransform", "ColorTransform"), _LEVELS),
}


def of_step(kind: str) -> Table:
    """The settings of a pipeline step.

    Args:
        kind: Its type, without the scope ``mmdet.``.
    """
    return {**_OF_STEPS.get(kind, {}), "file_client_args": maybe(DICT)}


def check_settings(cfg: Mapping[str, Any]) -> None:
    """Refuse settings outside of models, datasets and pipelines that have a value of another kind.

    Args:
        cfg: The content of a 2.x config, whose parts are dicts where they must be.

    Raises:
        ConfigError: With the dotted key, the value and what to write.
    """
    for key, table in _TABLES.items():
        node: Any = cfg
        for name in filter(None, key.split(".")):
            node = node.get(name) or {}
        check_table(table, {name: value for name, value in node.items() if value is not None}, key)


def check_table(table: Table, node: Mapping[str, Any], key: str) -> None:
    """Refuse settings of one dict that have a value of another kind.

    Args:
        table: The kind of each.
        node: The dict.
        key: Its dotted path.

    Raises:
        ConfigError: With the dotted key, the value and what to write.
    """
    for name, kind in table.items():
        if name in node:
            must_be(kind, node[name], f"{key}.{name}" if key else name)
