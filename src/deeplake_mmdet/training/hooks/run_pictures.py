"""Pictures that a run leaves in its folder by itself."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from deeplake_mmdet.errors import DeepLakeMMDetError
from deeplake_mmdet.evaluation import open_recorded, read_run_predictions
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.report import (
    EVALUATION_PICTURES,
    MosaicItem,
    draw_evaluation,
    drawn,
    label_picture,
    label_statistics,
    packed_items,
    prediction_mosaic,
    training_curve,
)
from deeplake_mmdet.training.hooks.kept_predictions import predictions_file

__all__ = ["RunPicturesHook", "wants_pictures"]

_log = logging.getLogger("deeplake_mmdet")

_CURVE, _BATCH, _LABELS = "training_curve.png", "train_batch.png", "labels.png"
_IMAGES, _COLUMNS, _LONGER = 16, 4, 320  # of the first batches; pixels
_RARELY = 50  # times as long as drawing took, until it is drawn again
_SWITCH = "DEEPLAKE_MMDET_PICTURES"


def wants_pictures(cfg: Mapping[str, Any]) -> bool:
    """Whether a run is to draw pictures: by the config key ``pictures``, else by DEEPLAKE_MMDET_PICTURES.

    Args:
        cfg: The run's config.

    Returns:
        True where neither says no (``pictures=False``, or the variable is 0).
    """
    chosen = cfg.get("pictures")
    return bool(chosen) if chosen is not None else os.environ.get(_SWITCH, "1") != "0"


class RunPicturesHook(Hook):
    """Draws what a run is like into its folder, in the first process.

    ``labels.png`` and ``train_batch.png`` (the first batches as the pipeline makes them) at the beginning;
    ``training_curve.png``, ``predictions.png``, ``confusion.png`` and ``precision_recall.png`` (of the best
    validation) at the end, and meanwhile so often that it takes a fiftieth of the time at most. Of a test, in
    the folder ``test``. What cannot be drawn is named once in the log, and ends nothing.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._missing: dict[str, str] = {}
        self._items: list[MosaicItem] | None = []
        self._next = 0.0

    def before_train(self, runner: Any) -> None:
        """Draw the labels."""
        if not is_main_process():
            self._items = None
            return
        self._next = time.monotonic()
        if runner.iter and (Path(runner.work_dir) / _BATCH).exists():
            self._items = None  # a resumed run's first batches are not the first
        if not (runner.iter and (Path(runner.work_dir) / _LABELS).exists()):
            self._draw(_LABELS, lambda: _labels(runner.train_loop, Path(runner.work_dir), "training data"))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Take the images of the first batches, before the model has them."""
        if self._items is None:
            return
        items, rgb = self._items, _is_rgb(runner)
        before = len(items)
        why = drawn(lambda: items.extend(packed_items(data_batch, _IMAGES - before, rgb=rgb)))
        if why or len(items) >= _IMAGES or len(items) == before:
            self._batch(runner, why)

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Draw, if it is time to."""
        if is_main_process() and time.monotonic() >= self._next and hasattr(runner._train_loop, "dataloader"):
            began = time.monotonic()
            self._progress(runner)
            self._next = time.monotonic() + _RARELY * (time.monotonic() - began)

    def after_train(self, runner: Any) -> None:
        """Draw, and tell of what could not be drawn."""
        if not is_main_process():
            return
        if self._items:
            self._batch(runner, "")
        self._progress(runner)
        names = (_CURVE, _BATCH, *EVALUATION_PICTURES, _LABELS)
        self._tell(Path(runner.work_dir), names)

    def after_test_epoch(self, runner: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Draw what was tested."""
        if not is_main_process():
            return
        folder = Path(runner.work_dir) / "test"
        self._evaluation(runner, folder, "test")
        self._draw(_LABELS, lambda: _labels(runner.test_loop, folder, "test data"))
        self._tell(folder, (*EVALUATION_PICTURES, _LABELS))

    def _progress(self, runner: Any) -> None:
        folder = Path(runner.work_dir)
        self._draw(_CURVE, lambda: training_curve(folder, folder / _CURVE))
        self._evaluation(runner, folder, "val")

    def _evaluation(self, runner: Any, folder: Path, split: str) -> None:
        file = predictions_file(runner.work_dir, split)
        if not file.is_file():
            why = "nothing was validated by a metric of this package" if split == "val" else "no such metric"
            self._missing.update(dict.fromkeys(EVALUATION_PICTURES, why))
            return
        try:
            predictions = read_run_predictions(file)
            views = [open_recorded(lake) for lake in predictions.lakes]
        except DeepLakeMMDetError as error:
            self._missing.update(dict.fromkeys(EVALUATION_PICTURES, str(error)))
            return
        name, score = next(iter(predictions.scores.items()), ("", 0.0))
        title = f"{'validation' if split == 'val' else 'test'} data, epoch {predictions.epoch}, "
        title += f"iteration {predictions.iteration}" + (f": {name} {score:.3f}" if name else "")
        for picture in EVALUATION_PICTURES:
            self._missing.pop(picture, None)
        self._missing.update(draw_evaluation(folder, predictions, views, title))

    def _batch(self, runner: Any, why: str) -> None:
        items, self._items = self._items or [], None
        if why or not items:
            self._missing[_BATCH] = why or "the first batches hold no image"
            return
        lakes = lakes_under(runner.train_loop.dataloader.dataset)
        meta = getattr(runner.train_loop.dataloader.dataset, "metainfo", None) or {}
        names = lakes[0].view.classes if lakes else tuple(map(str, meta.get("classes") or ()))
        height, width = items[0].image.shape[:2]
        options: dict[str, Any] = {
            "columns": _COLUMNS,
            "tile": tuple(max(1, round(side / max(height, width) * _LONGER)) for side in (width, height)),
            "truth_only": True,
            "heading": "",
            "title": f"the first {len(items)} training images as the pipeline makes them",
        }
        self._draw(_BATCH, lambda: prediction_mosaic(items, names, Path(runner.work_dir) / _BATCH, **options))

    def _draw(self, name: str, work: Callable[[], object]) -> None:
        why = drawn(work)
        self._missing.pop(name, None)
        if why:
            self._missing[name] = why

    def _tell(self, folder: Path, names: tuple[str, ...]) -> None:
        done = [name for name in names if name not in self._missing]
        if done:
            _log.info("Pictures in %s: %s", folder, ", ".join(done))
        reasons: dict[str, list[str]] = {}
        for name, why in self._missing.items():
            reasons.setdefault(why, []).append(name)
        for why, missing in reasons.items():
            _log.info("Not drawn: %s (%s)", ", ".join(missing), why)


def _labels(loop: Any, folder: Path, title: str) -> None:
    lakes = lakes_under(loop.dataloader.dataset)
    if not lakes:
        raise DeepLakeMMDetError("the data are no lake's")
    found = label_statistics((lake.view, lake.data_list.rows) for lake in lakes)
    label_picture(found, folder / _LABELS, title=title)


def _is_rgb(runner: Any) -> bool:
    """Whether images reach the model as red, green, blue; usual is the opposite."""
    model = runner.cfg.get("model") or {}
    return bool((model.get("data_preprocessor") or {}).get("rgb_to_bgr"))
