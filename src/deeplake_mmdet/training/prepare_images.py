"""`prepare`: decoding a config's images once, before it is trained; and the setting for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from deeplake_mmdet.config import lakes_in
from deeplake_mmdet.dataset import DeepLakeDataset, Filled, fill_prepared
from deeplake_mmdet.environment import available_cores
from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.lake import Shard
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.terminal import Progress
from deeplake_mmdet.training.prepare import prepare_config

__all__ = ["prepare", "use_prepared"]


def prepare(
    config: str | Path | Config,
    *,
    prepared: Any = None,
    splits: Sequence[str] = ("train",),
    shard: Any = (0, 1),
    threads: int | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[Filled]:
    """Make the images that a config's datasets keep prepared, on all cores; what is there already stays.

    Args:
        config: Config file, or a loaded config, which is not changed; for MMDetection 2.x or 3.x.
        prepared: The key ``prepared`` for those of its lakes that have none; see `DeepLakeDataset`.
        splits: Of ``'train'``, ``'val'`` and ``'test'``.
        shard: ``(i, n)`` or ``'i/n'``: only each ``n``-th row, the ``i``-th of them, counted from 0;
            ``'auto'`` takes both from Slurm, Kubernetes or torchrun.
        threads: Threads that decode; one for each core otherwise.
        cfg_options: Changes by dotted key.
        progress: Whether to draw a progress bar on stderr.

    Returns:
        What was done for each lake.

    Raises:
        ConfigError: No lake has the key, or an argument is out of range.
        DeepLakeMMDetError: Config or data cannot be used.
    """
    part = Shard.read(shard)
    cfg = prepare_config(config, cfg_options=cfg_options, launcher="none")
    use_prepared(cfg, prepared, splits)
    init_default_scope(cfg.default_scope)
    nodes = [cfg[f"{split}_dataloader"].dataset for split in splits if cfg.get(f"{split}_dataloader")]
    if not any(node.get("prepared") for whole in nodes for node in lakes_in(whole)):
        raise ConfigError(
            "No dataset prepares images",
            where=", ".join(f"config key '{split}_dataloader.dataset'" for split in splits),
            advice="say how much room they may take: --prepared 40GB, or prepared='40GB' in the dataset",
        )
    found = []
    for node in nodes:
        for lake in lakes_under(DATASETS.build(node)):
            found.append(_fill(lake, part, threads or available_cores(), progress))
    return found


def _fill(lake: DeepLakeDataset, shard: tuple[int, int], threads: int, progress: bool) -> Filled:
    with Progress("Preparing", None, shown=progress) as bar:
        return fill_prepared(lake, shard=shard, threads=threads, tell=bar.move)


def use_prepared(cfg: Config, prepared: Any, splits: Sequence[str]) -> None:
    """Give the lakes of a config the key ``prepared`` where they have none.

    Args:
        cfg: From `prepare_config`; changed in place.
        prepared: Value of the key; None changes nothing.
        splits: Of ``'train'``, ``'val'`` and ``'test'``; those that the config lacks are left out.
    """
    if prepared is None:
        return
    for split in splits:
        for node in lakes_in((cfg.get(f"{split}_dataloader") or {}).get("dataset")):
            node.setdefault("prepared", prepared)
