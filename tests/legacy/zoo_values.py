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
        part, _, name = key.partition(".")
        if part not in old or part not in base or (idle and "warmup" in name):
            continue
        if repeats and key in IN_EPOCHS:
            continue
        ours, theirs = (_plain((content[part] or {}).get(name)) for content in (old, base))
        ours = default if ours is None else ours
        if ours is not None and ours != (default if theirs is None else theirs):
            yield key, ours


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
