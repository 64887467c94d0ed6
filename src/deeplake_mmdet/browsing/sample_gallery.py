"""Samples of a config on a page, as its pipeline makes them, and made anew for each draw."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from deeplake_mmdet.browsing.gallery import MOST_DRAWN, class_facts, objects_facts
from deeplake_mmdet.browsing.outlines import outline, outline_of_pixels
from deeplake_mmdet.browsing.pictures import Picture, jpeg_of, notice
from deeplake_mmdet.browsing.samples import Shown, shown_sample
from deeplake_mmdet.browsing.thumbnails import Kept
from deeplake_mmdet.config import SPLITS
from deeplake_mmdet.errors import ConfigError, DeepLakeMMDetError, readable, without_secrets
from deeplake_mmdet.lake import find_view, parse_uri

__all__ = ["SampleGallery", "open_samples"]

_SMALL, _LARGE = 320, 2400  # pixels on the longer side
_KEPT = 512  # samples whose objects are kept
_MOST_DRAWS = 10**6
_PER_PAGE = 12
_MOST_LISTED = 60  # classes


class SampleGallery:
    """A dataset of a config for a page, see `Gallery`. Safe to use from several threads.

    Args:
        dataset: With any wrappers around it.
        title: What the page calls it.
        about: What else it says, part by part.
    """

    def __init__(self, dataset: Any, title: str, about: list[str]) -> None:
        self._dataset, self._title, self._about = dataset, title, about
        self._names = tuple(map(str, dict(dataset.metainfo).get("classes") or ()))
        normalised = [step for step in _steps(dataset) if type(step).__name__ == "Normalize"]
        facts = ("mean", "std", "to_rgb")
        self._norm = {name: getattr(normalised[-1], name) for name in facts} if normalised else None
        self._pictures = Kept()
        self._items: OrderedDict[tuple[int, int], dict[str, Any]] = OrderedDict()
        self._making = threading.Lock()  # transforms draw from generators of the whole process

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by label."""
        return self._names

    def facts(self) -> dict[str, Any]:
        """See `Gallery.facts`."""
        return {
            "kind": "config",
            "title": readable(self._title),
            "about": list(map(readable, self._about)),
            "rows": len(self),
            "class_count": len(self._names),
            "masks": True,
            "can_save": False,
            "per_page": _PER_PAGE,
        }

    def classes(self, text: str) -> list[dict[str, Any]]:
        """See `Gallery.classes`; in the order of the labels."""
        wanted = text.casefold().strip()
        found = [n for n, name in enumerate(self._names) if wanted in name.casefold()][:_MOST_LISTED]
        facts = class_facts(self._names, found)
        return [{"label": label, **facts[label]} for label in found]

    def page(self, told: Mapping[str, Any], start: int, count: int) -> dict[str, Any]:
        """See `Gallery.page`; ``draw`` tells the draws of random numbers apart."""
        draw = _draw(told.get("draw", "0"))
        start = max(0, min(start, len(self) - 1))
        stop = min(start + min(count, _PER_PAGE), len(self))
        items = [self._item(index, draw) for index in range(start, stop)]
        if not told.get("masks"):
            items = [
                {**item, "truth": {k: v for k, v in item["truth"].items() if k != "outlines"}}
                for item in items
            ]
        bare = items and not any(item["has_truth"] for item in items)
        return {
            "count": len(self),
            "start": start,
            "items": items,
            "classes": class_facts(
                self._names, {label for item in items for label in item["truth"]["labels"]}
            ),
            "note": f"Draw {draw + 1}." + (" The pipeline loads no annotations." if bare else ""),
            "run": None,
        }

    def picture(self, name: str, large: bool) -> Picture:
        """See `Gallery.picture`; the name is index and draw."""
        index, _, draw = name.partition(".")
        if not index.isascii() or not index.isdigit() or len(index) > 12 or int(index) >= len(self):
            raise ConfigError("There is no such sample", where=f"sample {name[:40]!r}")
        place = int(index), _draw(draw)
        found = self._pictures.get((*place, large))
        if found is None:
            with self._making:
                self._make(*place)
            found = self._pictures.get((*place, large))
        return found or notice("The image is too large")

    def save(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """See `Gallery.save`; samples cannot be saved.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("Views are of lakes", where="page", advice="browse the lake itself to save one")

    def close(self) -> None:
        """See `Gallery.close`."""

    def sample(self, index: int, draw: int) -> Shown:
        """A sample as the pipeline makes it.

        Args:
            index: Index into the dataset.
            draw: Each number stands for draws of its own; the same ones whenever it is asked for, unless
                the pipeline remembers earlier samples.

        Raises:
            DeepLakeMMDetError: It cannot be made.
        """
        from deeplake_mmdet.loading.seeding import generators_kept, sample_of, sample_seed

        with generators_kept(), sample_of(sample_seed(0, draw, index)):
            try:
                return shown_sample(self._dataset[index], self._norm)
            except DeepLakeMMDetError:
                raise
            except Exception as error:  # of any step of the pipeline
                raise ConfigError(
                    f"The pipeline fails: {type(error).__name__}: {without_secrets(str(error))[:300]}",
                    where=f"sample {index}",
                    advice="correct the step that it names",
                ) from error

    def _item(self, index: int, draw: int) -> dict[str, Any]:
        with self._making:
            found = self._items.get((index, draw))
            if found is None:
                found = self._make(index, draw)
            return found

    def _make(self, index: int, draw: int) -> dict[str, Any]:
        name = f"{index}.{draw}"
        try:
            shown = self.sample(index, draw)
        except DeepLakeMMDetError as error:
            empty = objects_facts(np.zeros((0, 4)), [])
            item = {"row": index, "image": name, "name": None, "width": 320, "height": 240, "truth": empty}
            item |= {"has_truth": True, "note": readable(error.what)}
            small = large = notice(error.what)
        else:
            height, width = shown.image.shape[:2]
            item = {"row": index, "image": name, "name": readable(_name(shown.name))}
            item |= {"width": width, "height": height, "has_truth": shown.has_truth, "truth": _truth(shown)}
            small, large = (jpeg_of(shown.image, side) for side in (_SMALL, _LARGE))
        self._pictures.put((index, draw, False), small)
        self._pictures.put((index, draw, True), large)
        self._items[index, draw] = item
        while len(self._items) > _KEPT:
            self._items.popitem(last=False)
        return item


def open_samples(path: str, split: str, cfg_options: Mapping[str, Any] | None = None) -> SampleGallery:
    """Build the dataset of a config's split, to be looked at.

    Args:
        path: The config file.
        split: ``'train'``, ``'val'`` or ``'test'``.
        cfg_options: Changes by dotted key.

    Raises:
        ConfigError: There is no such split, or the config cannot be used.
        DeepLakeMMDetError: Its data cannot be read.
    """
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}", where="argument split", advice=", ".join(SPLITS))
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules
    from mmengine.registry import init_default_scope

    from deeplake_mmdet.config import check_data, load_config

    cfg = load_config(path, dict(cfg_options or {}))
    key = f"{split}_dataloader"
    if not cfg.get(key):
        raise ConfigError("The config has no such loader", where=f"config key {key!r}")
    check_data(cfg, (split,), model=False)
    register_all_modules(init_default_scope=False)
    init_default_scope(cfg.get("default_scope") or "mmdet")
    dataset = DATASETS.build(cfg[key]["dataset"])
    dataset.full_init()
    steps = " → ".join(type(step).__name__ for step in _steps(dataset))
    about = [f"split {split}", type(dataset).__name__, f"{len(dataset)} samples", steps]
    return SampleGallery(dataset, path, about)


def _steps(dataset: Any) -> list[Any]:
    """The steps of the pipelines, the innermost dataset's first; of several datasets the first one's."""
    pipeline = getattr(dataset, "pipeline", ())
    inner = getattr(dataset, "dataset", None) or next(iter(getattr(dataset, "datasets", ())), None)
    own = getattr(pipeline, "transforms", pipeline)
    return [*(() if inner is None else _steps(inner)), *(own if isinstance(own, (list, tuple)) else ())]


def _name(address: str) -> str:
    """What an image's file was called, as far as its lake knows that."""
    if not address.startswith("deeplake://"):
        return without_secrets(address)
    key, _, row = parse_uri(address)
    found = find_view(key).file_names([row])
    return f"row {row}" if found is None else found[0]


def _truth(shown: Shown) -> dict[str, Any]:
    height, width = shown.image.shape[:2]
    lines = None
    if shown.masks is not None:
        lines = [
            outline_of_pixels(mask) if isinstance(mask, np.ndarray) else outline(mask, height, width)
            for mask in shown.masks[:MOST_DRAWN]
        ]
    return objects_facts(
        shown.boxes, shown.labels, outlines=lines,
        kinds=["ignored" if aside else "" for aside in shown.ignored] if shown.ignored.any() else None,
    )  # fmt: skip


def _draw(told: Any) -> int:
    text = str(told)
    if not (text.isascii() and text.isdigit()) or len(text) > 7 or int(text) >= _MOST_DRAWS:
        raise ConfigError(f"{text[:40]!r} is no draw", where="draw")
    return int(text)
