"""What training with a config would leave out of a lake, by the functions that `DeepLakeDataset` uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deeplake_mmdet.checking.images import ImageFacts
from deeplake_mmdet.checking.result import LeftOut
from deeplake_mmdet.config import Place, innermost_of, is_lake, load_config
from deeplake_mmdet.config.tree import SPLITS, kind_of_part
from deeplake_mmdet.errors import ConfigError, listed
from deeplake_mmdet.lake import Cleaning, ExaminedLake, LakeView, clean_boxes, filter_images
from deeplake_mmdet.lake.source.source import absolute_url

__all__ = ["ConfigDataset", "read_config_dataset", "what_is_left_out"]

UNDECODABLE = "cannot be decoded"
UNREADABLE = "have annotations that cannot be read"
SMALL = "are smaller than min_size"
EMPTY = "have no object of the selected classes"
# Steps that leave out objects or samples by what the pipeline has made of them so far.
_AT_RUN_TIME = ("FilterAnnotations", "RandomCrop", "MinIoURandomCrop", "RandomErasing")


@dataclass(frozen=True, eq=False)
class ConfigDataset:
    """The dataset of a config by whose settings a lake is checked.

    Attributes:
        config: The config file.
        place: The dataset in it.
        is_own: Whether it reads this very lake.
        lake: The lake that it reads.
    """

    config: str
    place: Place
    is_own: bool
    lake: str

    def source_options(self) -> dict[str, Any]:
        """Its settings that say which rows of the lake it reads, as arguments of `Source`."""
        names = ("commit", "branch", "tag", "view", "query", "version")
        return {name: self.place.node.get(name) for name in names}

    def open_options(self) -> dict[str, Any]:
        """Its settings that say how a lake is read, as arguments of `open_view`."""
        node = self.place.node
        classes = (node.get("metainfo") or {}).get("classes")
        found = {name: node.get(name) for name in ("tensors", "box_format", "apply_exif")}
        return {**found, "classes": classes}


def read_config_dataset(
    config: str | os.PathLike[str], lake: str, split: str, cfg_options: Mapping[str, Any] | None = None
) -> ConfigDataset:
    """Find the dataset of a config that reads a lake; without one the first dataset that reads any lake.

    Args:
        config: Config file, for MMDetection 3.x or 2.x.
        lake: Path or address.
        split: ``'train'``, ``'val'`` or ``'test'``.
        cfg_options: Changes to the config.

    Raises:
        ConfigError: The split reads no lake.
        DeepLakeMMDetError: As `load_config`.
    """
    if split not in SPLITS:
        raise ConfigError(
            f"split is {split!r}", where="argument 'split'", advice=f"one of {', '.join(SPLITS)}"
        )
    places = [
        place for place in innermost_of(load_config(str(config), cfg_options), split) if is_lake(place.node)
    ]
    if not places:
        raise ConfigError(
            f"The config's {split} data are no lake",
            where=f"{config}, {split}_dataloader.dataset",
            advice="give a config with type='deeplake_mmdet.DeepLakeDataset', or --split val or test",
        )
    wanted = absolute_url(lake)
    paths = [absolute_url(str(place.node.get("path") or "")) for place in places]
    at = paths.index(wanted) if wanted in paths else 0
    return ConfigDataset(str(config), places[at], wanted in paths, paths[at])


def what_is_left_out(
    examined: ExaminedLake, view: LakeView, images: ImageFacts, dataset: ConfigDataset
) -> tuple[LeftOut, Cleaning]:
    """What a training with a dataset's settings would leave out of a lake.

    Args:
        examined: The lake.
        view: The lake, opened with the settings.
        images: What reading the images showed.
        dataset: The settings.

    Returns:
        The figures; and what was found of the boxes.
    """
    node, table = dataset.place.node, view.table
    filter_cfg = {} if node.get("test_mode") else dict(node.get("filter_cfg") or {})
    faulty = examined.faults.any() if examined.has_annotations else np.zeros(len(table), bool)
    unknown = (table.widths == 0) & ~faulty
    rows = np.flatnonzero(table.widths)
    small, empty = filter_images(view, rows, filter_cfg)
    reasons = {
        UNREADABLE: np.flatnonzero(faulty),
        UNDECODABLE: np.flatnonzero(unknown),
        SMALL: rows[small],
        EMPTY: rows[empty],
    }
    cleaning = clean_boxes(view, filter_cfg.get("bbox_min_size"))
    boxes = {
        **cleaning.left_out,
        "of classes that are not selected": cleaning.others,
        "of images that cannot be decoded": cleaning.unreadable,
    }
    kept = int(cleaning.keep.sum())
    left_out = LeftOut(
        config=dataset.config,
        key=dataset.place.key,
        rows=len(table),
        kept=len(rows) - int((small | empty).sum()),
        images={reason: found for reason, found in reasons.items() if len(found)},
        boxes={reason: count for reason, count in boxes.items() if count},
        kept_boxes=kept,
        ignored=kept - cleaning.usable,
        notes=tuple(
            _notes(dataset, images, np.flatnonzero((images.states > 0) & (table.widths > 0)), faulty)
        ),
    )
    return left_out, cleaning


def _notes(dataset: ConfigDataset, images: ImageFacts, broken: Any, faulty: Any) -> list[str]:
    node, notes = dataset.place.node, []
    if not dataset.is_own:
        notes.append(f"The config reads {dataset.lake}; its settings are applied to this lake")
    if faulty.any():
        notes.append("Training refuses this lake as long as annotations of rows cannot be read")
    if len(broken):
        then = "others take their place" if node.get("on_error") == "skip" else "training stops there"
        notes.append(f"Damage that shows only when images are read, rows {listed(broken)}: {then}")
    elif not images.read:
        notes.append("The images were not read: some may turn out to be damaged")
    if node.get("indices") is not None:
        notes.append("indices= then takes a part of what is kept")
    if node.get("test_mode"):
        notes.append("With test_mode=True filter_cfg is not used, as in stock MMDetection")
    steps = {kind_of_part(step) for line in dataset.place.pipelines for step in line or ()}
    if found := sorted(steps & set(_AT_RUN_TIME)):
        notes.append(f"The pipeline's {', '.join(found)} may leave out more objects of a sample as it runs")
    return notes
