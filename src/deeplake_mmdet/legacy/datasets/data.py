"""``data`` -> the three dataloaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deeplake_mmdet.legacy.datasets.datasets import balanced, convert_dataset, leaf_of
from deeplake_mmdet.legacy.datasets.lakes import is_lake
from deeplake_mmdet.legacy.datasets.parts import Part, scored_parts
from deeplake_mmdet.legacy.notes import Notebook, Settings
from deeplake_mmdet.legacy.pipelines.facts import Facts, Step
from deeplake_mmdet.legacy.pipelines.pipeline import convert_pipeline

__all__ = ["Data", "convert_data"]

_SPLITS = ("train", "val", "test")
_TORCH = (
    *("pin_memory", "prefetch_factor", "timeout", "multiprocessing_context", "collate_fn", "worker_init_fn"),
)
_GONE = ("buffer_size", "num_threads", "mode", "dist", "num_gpus", "runner_type")


@dataclass
class Data:
    """Converted data.

    Attributes:
        loaders: By split; without those that the config does not have.
        facts: What each split's pipeline says, innermost dataset first.
        parts: The 2.x datasets of val and test that are scored each by itself; usually one.
        tta: The pipeline with test-time augmentation, if there was any.
        seed: That of a ``deeplake_dataloader``.
    """

    loaders: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, list[Facts]] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    tta: list[Step] | None = None
    seed: int | None = None


def convert_data(cfg: Mapping[str, Any], notes: Notebook) -> Data:
    """Make ``train_dataloader``, ``val_dataloader`` and ``test_dataloader`` of ``data``.

    Args:
        cfg: A whole 2.x config; its ``data``, ``train_pipeline`` and ``test_pipeline`` are read.
        notes: Where remarks go.

    Returns:
        The dataloaders, and what else the datasets and their pipelines say.

    Raises:
        ConfigError: A dataset or wrapper cannot be converted.
    """
    data, found = cfg.get("data") or {}, Data()
    nodes = {split: data[split] for split in _SPLITS if data.get(split)}
    if "test" in nodes and not is_lake(nodes["test"]) and is_lake(nodes.get("val")):
        notes.info(
            "data.test",
            "becomes data.val",
            "it names files while data.val reads a lake; the old integration never used it",
        )
        nodes["test"] = nodes["val"]
    for split, node in nodes.items():
        _Split(cfg, data, split, found, notes).convert(node)
    known = {*_SPLITS, "samples_per_gpu", "workers_per_gpu", "imgs_per_gpu", "persistent_workers", "shuffle"}
    known |= {f"{split}_dataloader" for split in _SPLITS}
    for key in data:
        if key not in known:
            notes.dropped(f"data.{key}", "dropped", "data has no such key in MMDetection 2.x", old=data[key])
    return found


class _Split:
    def __init__(
        self, cfg: Mapping[str, Any], data: Mapping[str, Any], split: str, found: Data, notes: Notebook
    ) -> None:
        self.cfg, self.data, self.split, self.found, self.notes = cfg, data, split, found, notes
        self.train = split == "train"
        self.facts: list[Facts] = []

    def convert(self, node: Any) -> None:
        leaf = leaf_of(node)
        self.lake = is_lake(node)
        self.annotations = () if self.train else _annotations(self.found.facts.get("train"), self.lake)
        kind = str(leaf.get("type", ""))
        self.extra_meta: tuple[str, ...] = ()
        if kind.startswith("OpenImages") and not self.train:
            self.extra_meta = (
                "instances",
                *(("image_level_labels",) if leaf.get("image_level_ann_file") else ()),
            )
        if not self.train:
            parts = scored_parts(node, f"data.{self.split}", self.notes)
            self.found.parts[self.split] = parts
            node = [part.node for part in parts] if len(parts) > 1 else parts[0].node
        dataset = convert_dataset(
            node,
            f"data.{self.split}",
            self.notes,
            train=self.train,
            fallback=self.cfg.get("train_pipeline" if self.train else "test_pipeline"),
            pipeline=self._pipeline,
        )
        self.found.facts[self.split] = self.facts
        loader = self._loader(node, leaf)
        if (loader["sampler"] or {}).get("type") == "ClassAwareSampler":
            dataset = balanced(dataset)
        self.found.loaders[self.split] = {**loader, "dataset": dataset}

    def _pipeline(self, steps: Sequence[Mapping[str, Any]], key: str, whole: bool, lake: bool) -> list[Step]:
        done = convert_pipeline(
            steps,
            key,
            self.notes,
            train=self.train,
            annotations=self.annotations,
            extra_meta=self.extra_meta,
            whole=whole,
            lake=lake,
        )
        self.facts.append(done.facts)
        if done.tta is not None:  # that of val, if there is no test
            self.found.tta = done.tta
        return done.steps

    def _loader(self, node: Any, leaf: Mapping[str, Any]) -> dict[str, Any]:
        ours = dict(_own_loader(node) or {})
        stock = dict(self.data.get(f"{self.split}_dataloader") or {})
        seed = ours.pop("seed", stock.pop("seed", None))
        if seed is not None and self.train:
            self.found.seed = seed
        key = f"data.{self.split}.deeplake_dataloader" if ours else f"data.{self.split}_dataloader"
        settings = Settings({**stock, **ours}, key, self.notes)
        take = settings.take
        take("samples_per_gpu"), take("workers_per_gpu"), take("batch_size"), take("num_workers")
        batch = _first(
            *(part.get(name) for part in (ours, stock) for name in ("batch_size", "samples_per_gpu")),
            *(() if self.train else (leaf.get("samples_per_gpu"),)),
            *(
                (self.data.get("samples_per_gpu"), self.data.get("imgs_per_gpu"))
                if self.train or self.lake
                else ()
            ),
            2 if self.train else 1,
        )
        workers = _first(
            *(part.get(name) for part in (ours, stock) for name in ("num_workers", "workers_per_gpu")),
            self.data.get("workers_per_gpu"),
            2,
        )
        loader: dict[str, Any] = {"batch_size": batch, "num_workers": workers}
        lasting = take("persistent_workers", self.data.get("persistent_workers"))
        loader["persistent_workers"] = workers > 0 and lasting is not False
        shuffle = take("shuffle", self.data.get("shuffle", self.train))
        drop_last = bool(take("drop_last", False))
        class_aware = take("class_aware_sampler")
        loader |= settings.move(*_TORCH)
        if workers == 0:
            loader.pop("prefetch_factor", None)
        if not self.train:
            if shuffle:
                self.notes.info(
                    settings.at("shuffle"), "ignored", "the order does not change an evaluation", old=True
                )
            loader |= {"drop_last": False, "sampler": {"type": "DefaultSampler", "shuffle": False}}
        elif class_aware:
            loader["sampler"] = {"type": "ClassAwareSampler", **class_aware}
        else:
            loader["sampler"] = {"type": "DefaultSampler", "shuffle": bool(shuffle)}
        if self.train and shuffle and not class_aware:
            loader["batch_sampler"] = {"type": "AspectRatioBatchSampler"}
            if drop_last:
                loader["batch_sampler"]["drop_last"] = True
        elif self.train and drop_last:
            loader["drop_last"] = True
        for name in _GONE:
            settings.drop(name, "this loader has no such setting", harmless=(None, False))
        settings.drop_rest("torch's DataLoader has no such argument")
        return loader


def _own_loader(node: Any) -> Mapping[str, Any] | None:
    """``deeplake_dataloader`` of a dataset or of one that it wraps."""
    if isinstance(node, Mapping):
        return node.get("deeplake_dataloader") or _own_loader(node.get("dataset", node.get("datasets")))
    return _own_loader(node[0]) if isinstance(node, (list, tuple)) and node else None


def _annotations(train: list[Facts] | None, lake: bool) -> tuple[Step, ...]:
    """What loads a test split's annotations: masks if training has them, but none from a lake."""
    facts = next(
        (item for item in train or () if item.seen and any("Annotations" in name for name in item.seen)), None
    )
    if facts is not None and facts.panoptic and not lake:
        return ({"type": "LoadPanopticAnnotations"},)
    step: Step = {"type": "LoadAnnotations", "with_bbox": True}
    if facts is not None and facts.masks and not lake:
        step["with_mask"] = True
    return (step,)


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
