"""Read the values that 2.28.2's config files and their 3.x counterparts have differently; no test of its own.

    python tests/legacy/zoo_values.py

writes ``zoo_values.json`` of the package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zoo

import deeplake_mmdet.legacy
from deeplake_mmdet.legacy import as_legacy, counterpart

TABLE = Path(deeplake_mmdet.legacy.__file__).with_name("zoo_values.json")
# The keys that are compared, and what 2.x took where a file did not say.
KEYS: dict[str, Any] = {
    "cudnn_benchmark": False,
    "evaluation.interval": 1,
    "evaluation.metric": None,
    "evaluation.dynamic_intervals": None,
    "evaluation.save_best": None,
    "checkpoint_config.interval": 1,
    "checkpoint_config.max_keep_ckpts": -1,
    "log_config.interval": 10,
    "data.samples_per_gpu": None,
    "data.workers_per_gpu": None,
    "data.persistent_workers": False,
    "runner.max_epochs": None,
    "runner.max_iters": None,
    "optimizer.lr": None,
    "optimizer.weight_decay": None,
    "optimizer_config.grad_clip": None,
    "lr_config.step": None,
    "lr_config.warmup": None,
    "lr_config.warmup_iters": None,
    "lr_config.warmup_ratio": None,
    "lr_config.min_lr_ratio": None,
    "data.val_dataloader.samples_per_gpu": 1,
    "data.test_dataloader.samples_per_gpu": 1,
    "auto_scale_lr.base_batch_size": None,
}
IN_EPOCHS = (
    *("evaluation.interval", "evaluation.dynamic_intervals", "checkpoint_config.interval"),
    *("runner.max_epochs", "lr_config.step"),
)


def read() -> dict[str, dict[str, Any]]:
    """File -> key -> the value of 2.28.2, where the 3.x file has another."""
    root, table = zoo.folder(), {}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        new = counterpart(f"configs/{name}")
        if new is None or not (zoo.OFFICIAL / new).is_file():
            continue
        old, base = zoo.old(name), as_legacy(zoo.official(new))
        if found := dict(_pairs(old, base)):
            table[name] = found
    return table


def _pairs(old: dict[str, Any], base: dict[str, Any]) -> Any:
    # Epochs of the one are not those of the other where one of them repeats its data.
    repeats = len({json.dumps(_times(content)) for content in (old, base)}) > 1
    idle = (old.get("lr_config") or {}).get("warmup_ratio") == 1.0
    for key, default in KEYS.items():
        part = key.partition(".")[0]
        if (part not in old or part not in base) and "." in key:
            continue
        if (idle and "warmup" in key) or (repeats and key in IN_EPOCHS):
            continue
        ours, theirs = (_plain(_at(content, key)) for content in (old, base))
        ours = default if ours is None else ours
        if ours is not None and ours != (default if theirs is None else theirs):
            yield key, ours
            if key == "lr_config.min_lr_ratio":  # one of the two must be None
                yield "lr_config.min_lr", None
    yield from _fp16(old, base)
    yield from _hooks(old, base)
    for split in ("train", "val", "test"):
        ours, theirs = ((content.get("data") or {}).get(split) or {} for content in (old, base))
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _files(ours, theirs, f"data.{split}")


def _at(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _fp16(old: dict[str, Any], base: dict[str, Any]) -> Any:
    """2.x took a scale of 512 where it was not said."""
    if old.get("fp16") is not None:
        scale = _plain(old["fp16"].get("loss_scale", 512.0))
        if scale != _plain((base.get("fp16") or {}).get("loss_scale")):
            yield "fp16.loss_scale", scale


def _hooks(old: dict[str, Any], base: dict[str, Any]) -> Any:
    """What tells the model the epoch; what only checks is no matter."""
    ours, theirs = ([hook["type"] for hook in content.get("custom_hooks") or ()] for content in (old, base))
    if "SetEpochInfoHook" in ours and "SetEpochInfoHook" not in theirs:
        yield "custom_hooks", _plain(old["custom_hooks"])


def _files(ours: dict[str, Any], theirs: dict[str, Any], key: str) -> Any:
    if ours.get("type") == "RepeatDataset" and theirs.get("type") != "RepeatDataset":
        yield f"{key}.times", ours["times"]
        ours = ours["dataset"]
    elif "dataset" in ours and "dataset" in theirs:
        yield from _files(ours["dataset"], theirs["dataset"], f"{key}.dataset")
        return
    for name in ("type", "ann_file", "img_prefix", "proposal_file"):
        one, two = (str(dataset.get(name)).rstrip("/") for dataset in (ours, theirs))
        if isinstance(ours.get(name), str) and name in theirs and one != two:
            yield f"{key}.{name}", ours[name]


def _times(content: dict[str, Any]) -> Any:
    train = (content.get("data") or {}).get("train")
    return train.get("times", 1) if isinstance(train, dict) else 1


def _plain(value: Any) -> Any:
    """Lists for tuples, and one name for a list of one."""
    value = json.loads(json.dumps(value))
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value


if __name__ == "__main__":
    lines = [f" {json.dumps(name)}: {json.dumps(values)}" for name, values in read().items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
