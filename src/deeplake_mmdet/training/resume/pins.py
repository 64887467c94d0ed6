"""What a checkpoint's position belongs to: lakes by version and query, their rows, and the rules of order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from deeplake_mmdet.dataset import DeepLakeDataset
from deeplake_mmdet.lake import is_same_contents, lineage_in
from deeplake_mmdet.loading import LakeBatchSampler, lakes_under

__all__ = ["differences", "pins_of", "unknown_contents"]

_WORDS = {
    "dataset_id": "is another lake",
    "branch_id": "is another branch",
    "version": "is at another version",
    "queries": "is read through another query",
    "format": "has another format",
    "rows_digest": "has other rows in its view",
    "held": "is another opened dataset",
    "contents": "holds other data at the same version, as after a backup was restored or in a copy that went "
    "its own way",
    "used_rows": "gives other rows to training (filters, classes or skipped images differ)",
}
_FACTS = (
    "dataset_id",
    "branch_id",
    "version",
    "queries",
    "format",
    "rows_digest",
    "held",
    "contents",
)


def pins_of(loader: Any) -> dict[str, Any]:
    """What the order of a loader's samples depends on, as plain values without secrets.

    Args:
        loader: A torch ``DataLoader``.
    """
    sampler = loader.batch_sampler
    own = isinstance(sampler, LakeBatchSampler)
    return {
        "lakes": [_facts(lake) for lake in lakes_under(loader.dataset)],
        "length": len(loader.dataset),
        "order": sampler.rules if own else None,
        "seed": sampler.sampler.seed if own else None,
    }


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two runs' pins differ, so that a position of one means nothing to the other; in words.

    Where a lake lies does not count: a copy with the same id and version holds the same rows.

    Args:
        saved: From `pins_of`, of the run that wrote the checkpoint.
        now: From `pins_of`, of this run.

    Returns:
        A sentence for each difference; empty if the position is valid.
    """
    found = []
    if len(saved["lakes"]) != len(now["lakes"]):
        found.append(f"it trained on {len(saved['lakes'])} lakes, not {len(now['lakes'])}")
    else:
        for before, after in zip(saved["lakes"], now["lakes"], strict=True):
            for name in _FACTS:
                if name == "contents":
                    differ = not is_same_contents(before.get(name, ""), after[name])
                else:
                    differ = before[name] != after[name]
                if differ:
                    found.append(f"{after['url']} {_WORDS[name]}{_values(name, before[name], after[name])}")
                    break
            else:
                if before["used_rows"] != after["used_rows"]:
                    found.append(f"{after['url']} {_WORDS['used_rows']}")
    if saved["length"] != now["length"]:
        found.append(f"the dataset has {now['length']} samples, had {saved['length']}")
    if now["order"] is not None and saved["order"] is not None:
        found += [
            f"{name} is {value!r}, was {saved['order'].get(name)!r}"
            for name, value in now["order"].items()
            if saved["order"].get(name) != value
        ]
        if saved["seed"] != now["seed"]:
            found.append(f"the seed is {now['seed']}, was {saved['seed']}")
    return found


def unknown_contents(saved: Mapping[str, Any]) -> list[str]:
    """Addresses of the lakes of which a checkpoint records id and version only, not a digest of the data.

    Args:
        saved: From `pins_of`, of the run that wrote the checkpoint.
    """
    return [lake["url"] for lake in saved["lakes"] if not lake.get("contents")]


def _values(name: str, before: Any, after: Any) -> str:
    if name == "version":
        return f": {after!r}, was {before!r}; the dataset key commit={before!r} pins the old one"
    return f": {after!r}, was {before!r}" if name == "queries" else ""


def _facts(lake: DeepLakeDataset) -> dict[str, Any]:
    source, rows = lake.view.source, lake.data_list.rows
    return {
        **source.facts(),
        "branch": source.branch,
        "key": source.key,
        "view_key": lake.view.key,
        "rows": len(lake.view.table),
        "view": source.view,
        "lineage": lineage_in(source.view_message),
        "used_rows": hashlib.blake2s(np.ascontiguousarray(rows, "<i8").tobytes(), digest_size=8).hexdigest(),
    }
