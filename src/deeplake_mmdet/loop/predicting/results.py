"""`Results`: predictions on their way into a file, into pictures, or back to the caller."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_world_size, is_main_process

from deeplake_mmdet.loop.predicting.counts import Counts
from deeplake_mmdet.loop.predicting.drawing import Drawing, Pictures, write_videos
from deeplake_mmdet.loop.predicting.files import entries_of, write_json, write_parquet
from deeplake_mmdet.loop.predicting.run_source import RunSource
from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.spool import Spool, Spooled

__all__ = ["Results"]


class Results:
    """A `Sink` that keeps predictions on disk until all are there, and then has them in order.

    Args:
        folder: Folder for them, one for all processes.
        source: The images.
        out: File to write; None for none.
        show_dir: Where pictures and videos go; None for nowhere.
        drawing: Draws them.
        keep: Whether to leave all in ``predictions``.

    Attributes:
        predictions: In the first process, when all is done.
        entries: The objects of a single image as COCO results, likewise.
        videos: The files of videos, likewise.
        recounted: Counts of what several processes have found, each image once, likewise.
    """

    def __init__(
        self,
        folder: Path,
        source: RunSource,
        *,
        out: Path | None,
        show_dir: Path | None,
        drawing: Drawing,
        keep: bool,
    ) -> None:
        self._spool, self._source = Spool(folder / "spool"), source
        self._out, self._show_dir, self._drawing, self._keep = out, show_dir, drawing, keep
        self._pictures = None
        # MMDetection's visualizer draws in the first process alone: what others found is drawn at the end.
        if show_dir is not None and is_main_process():
            self._pictures = Pictures(show_dir, source.images, drawing)
        self._masks = False
        self.predictions: list[Prediction] = []
        self.entries: list[dict[str, Any]] = []
        self.videos: list[Path] = []
        self.recounted: Counts | None = None

    def done(self) -> Container[int]:
        """See `Sink`."""
        return ()

    def add(self, predictions: Sequence[Prediction]) -> None:
        """See `Sink`."""
        self._spool.add(predictions)
        if self._pictures is not None and get_world_size() == 1:
            self._pictures.draw(predictions)
        self._masks = self._masks or any(one.masks is not None for one in predictions)

    def finish(self) -> None:
        """See `Sink`."""
        self._spool.close()
        masks = any(all_gather_object(self._masks))  # and all spools are closed by then
        if not is_main_process():
            return
        spooled, images, classes = Spooled(self._spool.folder), self._source.images, self._source.classes
        try:
            if self._out is not None and self._out.suffix == ".json":
                write_json(self._out, spooled, images, classes)
            elif self._out is not None:
                write_parquet(self._out, spooled, images, classes, masks=masks)
            if self._pictures is not None and get_world_size() > 1:
                self._pictures.draw(spooled)
            if self._show_dir is not None:
                self.videos = write_videos(self._show_dir, images, self._drawing, spooled)
            if self._keep:
                self.predictions = list(spooled)
            if get_world_size() > 1:  # they may have had the same neighbour of an image that was left out
                self.recounted = Counts(classes=classes)
                for one in spooled:
                    self.recounted.add([one], self._drawing.score_thr)
            if len(spooled) == 1:
                self.entries = list(entries_of(spooled, images, classes))
        finally:
            spooled.close()

    def abandon(self, error: BaseException) -> None:
        """See `Sink`: the folder is removed by whoever made it."""
        del error
        self._spool.close()
