"""`predict_on_ray`: a prediction's shards as tasks of a Ray cluster."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from deeplake_mmdet.config import load_config, take_in
from deeplake_mmdet.errors import ConfigError, ImportRefusedError
from deeplake_mmdet.evaluation import check_target
from deeplake_mmdet.evaluation.export import replaced, write_list
from deeplake_mmdet.lake import merge
from deeplake_mmdet.loop.predict import Predicted, predict
from deeplake_mmdet.loop.predicting.listing import LeftOut
from deeplake_mmdet.loop.predicting.run_folder import config_beside
from deeplake_mmdet.scale.cluster import connected, run_tasks
from deeplake_mmdet.training.resume.checkpoint_files import usable_checkpoint

__all__ = ["predict_on_ray"]


def predict_on_ray(
    config: str | Path | Config | None,
    checkpoint: str | Path,
    inputs: str | Path | Sequence[str | Path],
    *,
    workers: int | None = None,
    gpus: float = 0,
    cpus: float = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
    write_back: bool = False,
    progress: bool = True,
    **options: Any,
) -> Predicted:
    """Predict as `predict` does, by shards on a Ray cluster: that of ``RAY_ADDRESS``, or a local one.

    Config and checkpoint are handed to the workers; the inputs must be reachable from all machines by the
    same path or address, with credentials of their own environment. A shard whose worker is lost is predicted
    again.

    Args:
        config, checkpoint, inputs: See `predict`.
        workers: How many shards; None for as many as the cluster has room for at once.
        gpus, cpus: What each takes of the cluster.
        out: COCO results of all (``.json``).
        overwrite: Replace the file ``out``.
        write_back: Write the predictions into the lake, in one commit at the end.
        progress: Whether to draw a progress bar on stderr.
        options: The others of `predict`, but for pictures and processes.

    Returns:
        What all shards have done.

    Raises:
        ConfigError: An option does not go with Ray, or the cluster has no such resources.
        InstallError, ProcessError: Ray is missing, or its cluster or workers fail.
        DeepLakeMMDetError: As `predict` raises it.
    """
    for name in ("show_dir", "processes", "shard", "limit"):
        if options.get(name):
            raise ConfigError(
                f"'{name}' does not go with --engine ray",
                where=f"argument {name}",
                advice="leave it out, or predict without Ray",
            )
    options = {name: value for name, value in options.items() if value is not None}
    target = None if out is None else check_target(out, overwrite=overwrite).absolute()
    if target is not None and target.suffix != ".json":
        raise ConfigError(
            "Predictions of several machines are joined as COCO results only",
            where=f"out={target}",
            advice="end the file's name in .json, or write back into the lake",
        )
    listed = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    file = usable_checkpoint(checkpoint)
    config = config_beside(file) if config is None else config
    name = Path(config).stem if isinstance(config, (str, Path)) else Path(config.filename or "run").stem
    cfg = take_in(config.copy()) if isinstance(config, Config) else load_config(config)  # secrets stay here
    with connected() as ray:
        if workers is None:
            there = ray.cluster_resources()
            workers = max(1, int(there.get("GPU", 0) / gpus if gpus else there.get("CPU", 1) / cpus))
        given = {
            "config": ray.put((cfg.pretty_text, name)),
            "weights": ray.put(file.read_bytes()),
            "checkpoint": file.name,
            "inputs": listed,
            "options": {**options, "write_back": write_back},
            "out": target is not None,
        }
        parts = run_tasks(
            ray,
            _predict_shard,
            [{**given, "shard": (number, workers)} for number in range(workers)],
            what="Predicting",
            cpus=cpus,
            gpus=gpus,
            progress=progress,
        )
    found = [part for part, _ in parts]
    whole = _joined(found)
    if target is not None:
        with replaced(target) as part, part.open("w") as stream:
            write_list(stream, (entry for _, text in parts for entry in json.loads(text)))
        whole = replace(whole, out=target)
    if write_back:
        branch = next(one.branch for one in found if one.branch)
        whole = replace(whole, branch=merge(str(listed[0]), run=branch.split("/")[1]).branch)
    return whole


def _predict_shard(
    config: tuple[str, str],
    weights: bytes,
    checkpoint: str,
    inputs: Any,
    options: Mapping[str, Any],
    out: bool,
    shard: tuple[int, int],
) -> tuple[Predicted, str]:
    """One shard, on a worker."""
    with tempfile.TemporaryDirectory(prefix="deeplake-mmdet-") as folder:
        file = Path(folder, checkpoint)
        file.write_bytes(weights)
        result = Path(folder, "out.json") if out else None
        written = Path(folder, f"{config[1]}.py")
        written.write_text(config[0])
        try:
            done = predict(
                written,
                file,
                inputs,
                shard=shard,
                out=result,
                keep=not out and not options["write_back"],
                **options,
            )
        except ImportRefusedError as error:
            # Its worker was lost after the commit.
            if "has shard" not in error.what:
                raise
            run_id = str(error.where).rpartition(" run ")[2]
            done = Predicted(
                0, 0, {}, (), LeftOut(), 0.0, branch=f"run-shards/{run_id}/{shard[0]}-of-{shard[1]}"
            )
        return done, result.read_text() if result else ""


def _joined(parts: Sequence[Predicted]) -> Predicted:
    counts: Counter[str] = Counter()
    left_out = LeftOut()
    for part in parts:
        counts.update(part.by_class)
        left_out.join(part.left_out)
    return replace(
        parts[0],
        images=sum(part.images for part in parts),
        objects=sum(part.objects for part in parts),
        by_class=dict(counts.most_common()),
        classes=max((part.classes for part in parts), key=len),
        left_out=left_out,
        seconds=max(part.seconds for part in parts),
        out=None,
        predictions=tuple(one for part in parts for one in part.predictions),
        entries=(),
    )
