"""Pictures of what a test run found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmdet.engine.hooks import DetVisualizationHook
from mmengine.dist import get_world_size
from mmengine.fileio import get

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.evaluation.rle import compress, compress_dense
from deeplake_mmdet.lake import LakeView, find_view, parse_uri
from deeplake_mmdet.loading import lakes_under
from deeplake_mmdet.registry import HOOKS
from deeplake_mmdet.report import Predicted, fitting_tile, lake_item, prediction_mosaic

__all__ = ["LakeVisualizationHook", "plain_name"]

_NO_NAME = re.compile(r"[^\w .()+-]+")  # what a file of any system may not be called, and slashes
_LONGEST = 150  # characters


@HOOKS.register_module()
class LakeVisualizationHook(DetVisualizationHook):
    """MMDetection's hook, for test runs on lakes: each image has a picture of its own, and its own truth.

    A picture is named after the image's file, folders and all (``a_b.jpg`` for ``a/b.png``), or, of lakes
    that do not name it, after its row: ``00000012.jpg``. If several lakes are tested, ``lake1.`` stands
    before, numbered as in files of predictions; ``.row12`` behind a name that another picture has already.
    MMDetection's hook would draw rows of the same number over each other. Truth beside the predictions is
    that of the lake, whatever the pipeline loads.

    Args:
        options: Those of MMDetection's hook.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._numbers: dict[str, int] = {}
        self._taken: set[str] = set()

    def before_test(self, runner: Any) -> None:
        """Number the lakes.

        Raises:
            ConfigError: There are other processes, whose pictures would be missing.
        """
        if self.draw and self.test_out_dir is not None and get_world_size() > 1:
            raise ConfigError(
                "Pictures are drawn by one process alone: those of the others' images would be missing",
                where="argument show_dir of the test run",
                advice="draw in a run of one process",
            )
        keys = sorted({lake.view.key for lake in lakes_under(runner.test_loop.dataloader.dataset)})
        self._numbers, self._taken = {key: number for number, key in enumerate(keys)}, set()

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any, outputs: Sequence[Any]) -> None:
        """Draw a batch.

        Args:
            runner: Of the test run.
            batch_idx: Of the batch, from 0.
            data_batch: Not used.
            outputs: Samples with predictions, in pixels of the stored images.
        """
        if not self.draw or self.test_out_dir is None or not self._numbers:
            super().after_test_iter(runner, batch_idx, data_batch, outputs)
            return
        folder = Path(runner.work_dir) / runner.timestamp / self.test_out_dir
        folder.mkdir(parents=True, exist_ok=True)
        for sample in outputs:
            self._test_index += 1
            key, _, row = parse_uri(sample.img_path)
            file = folder / self._name(key, row, Path(sample.img_path))
            self._draw(find_view(key), row, sample, file)
            if self.show:
                self._visualizer.show(mmcv.imread(str(file), channel_order="rgb"), file.name, self.wait_time)

    def _draw(self, view: LakeView, row: int, sample: Any, file: Path) -> None:
        found = sample.pred_instances.numpy()
        masks = found.get("masks")
        size = int(view.table.heights[row]), int(view.table.widths[row])
        predicted = Predicted(
            found.bboxes,
            found.labels,
            found.scores,
            None if masks is None else _run_lengths(masks, size),
        )
        image = np.asarray(mmcv.imfrombytes(get(sample.img_path)))
        names = view.file_names([row])
        item = lake_item(view, row, image, predicted, (names or [""])[0] or f"row {row}")
        options: dict[str, Any] = {"columns": 1, "tile": fitting_tile(image), "numbers": True}
        prediction_mosaic([item], view.classes, file, min_score=self.score_thr, **options)

    def _name(self, key: str, row: int, path: Path) -> str:
        view = find_view(key)
        [file] = view.file_names([row]) or [""]
        name = f"lake{self._numbers[key]}." * (len(self._numbers) > 1) + (plain_name(file) or path.stem)
        if name.casefold() in self._taken:
            name = f"{name}.row{row}"
        self._taken.add(name.casefold())
        return name + path.suffix


def plain_name(file: str) -> str:
    """The name of a picture of a file, without ending, which any system takes; empty if nothing is left.

    Args:
        file: The file's name, folders and all.
    """
    return _NO_NAME.sub("_", file.rpartition(".")[0] or file).strip("._ ")[-_LONGEST:]


def _run_lengths(masks: Any, size: tuple[int, int]) -> list[Any]:
    """Masks of a model, dense or as run lengths, as `annotate` takes them."""
    if isinstance(masks, (list, tuple)):
        return [compress(mask, *size) for mask in masks]
    return compress_dense(np.asarray(masks))
