"""What is known of a run before it begins: its id, and the facts that its branch will tell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import ResolvedSource, Shard, short_hash
from deeplake_mmdet.loop.predictions import COUNTED_FROM
from deeplake_mmdet.loop.tracing import file_hash
from deeplake_mmdet.training.resume.run_state import STATE_KEY

__all__ = ["RunFacts", "check_run_id", "facts_of_run", "lakes_trained_on"]

_PACKAGES = ("deeplake-mmdet", "deeplake", "onedl-mmdetection", "mmdet", "torch")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LONGEST = 100
_TRAINED_ON = ("url", "branch", "version", "view")


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run.

    Attributes:
        run_id: See `facts_of_run`.
        metadata: What its branch tells, but for what only the end brings.
        loss: Whether each row's loss is wanted.
        embed: Whether each row's embedding is wanted.
        shard: Which part of the run this is; None of a whole one.
    """

    run_id: str
    metadata: Mapping[str, Any]
    loss: bool = False
    embed: bool = False
    shard: Shard | None = None


def check_run_id(run_id: str) -> str:
    """Refuse ids that cannot be part of a branch's name.

    Args:
        run_id: As the user gives it; ``runs/`` before it does not matter.

    Raises:
        ConfigError: It is empty, too long, or holds other characters than letters, digits, '_', '.', '-'.
    """
    name = run_id.removeprefix("runs/")
    if not _ID.fullmatch(name) or len(name) > _LONGEST:
        raise ConfigError(
            "A run cannot have this id",
            where=f"argument run_id={run_id[:_LONGEST]!r}",
            advice=f"take up to {_LONGEST} letters, digits, '_', '.' or '-'",
        )
    return name


def facts_of_run(
    cfg: Config,
    checkpoint: Path,
    source: ResolvedSource,
    *,
    name: str,
    run_id: str | None = None,
    score_thr: float | None = None,
    tta: bool = False,
    limit: int | None = None,
    trained_on: Sequence[Mapping[str, Any]] = (),
    loss: bool = False,
    embed: bool = False,
    shard: Shard | None = None,
) -> RunFacts:
    """Put together what is known of a run before it begins.

    The same model, config, rows and thresholds give the same id, so that the same command goes on with a run
    that was interrupted.

    Args:
        cfg: The config that is run.
        checkpoint: Its weights.
        source: The lake.
        name: Name of the config, which the id begins with.
        run_id: The id; None for one of the facts: the config's name and 8 hex digits.
        score_thr: From which objects are kept; None for all that the model gives.
        tta: Whether several versions of each image are predicted on.
        limit: Number of images; None for all.
        trained_on: The lakes of the checkpoint's training, see `lakes_trained_on`.
        loss, embed: What is wanted beside the predictions.
        shard: Which part of the run is predicted; all parts have the same id.
    """
    base: dict[str, Any] = {"branch": source.branch, "version": source.version}
    if source.queries:
        base["query"] = source.query
    if source.view:
        base["view"] = source.view
    counted = COUNTED_FROM if score_thr is None else score_thr
    kept: dict[str, Any] = {
        "model": checkpoint.name,
        "checkpoint_hash": file_hash(checkpoint),
        "config_hash": _config_hash(cfg, tta),
        "config_name": name,
        "lake_id": source.dataset_id,
        "base": base,
        "thresholds": {"score_thr": counted, "iou_thr": 0.5, "kept_from": score_thr or 0.0},
    }
    if limit is not None:
        kept["limit"] = limit
    identity = [kept[key] for key in ("checkpoint_hash", "config_hash", "lake_id", "base", "thresholds")]
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "run"
    own = f"{stem[: _LONGEST - 9]}-{short_hash([*identity, limit])[:8]}"
    run_id = own if run_id is None else check_run_id(run_id)
    kept = {"run_id": run_id, **kept, "classes": [], "packages": _packages()}
    if trained_on:
        kept["trained_on"] = list(trained_on)
    kept["created"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return RunFacts(run_id, kept, loss, embed, shard)


def lakes_trained_on(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Address, branch, version and view of the lakes that a checkpoint was trained on, as far as it tells.

    Args:
        checkpoint: Its content.
    """
    state = checkpoint.get(STATE_KEY)
    pins = state.get("pins") if isinstance(state, Mapping) else None
    lakes = pins.get("lakes") if isinstance(pins, Mapping) else None
    found = [lake for lake in lakes or () if isinstance(lake, Mapping)]
    return [{key: lake[key] for key in _TRAINED_ON if lake.get(key)} for lake in found]


def _config_hash(cfg: Config, tta: bool) -> str:
    pipeline = cfg.test_dataloader.dataset.pipeline
    model = {key: value for key, value in cfg.model.items() if key not in ("train_cfg", "init_cfg")}
    return short_hash([json.dumps([model, pipeline, tta], default=str, sort_keys=True)])


def _packages() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
