"""`Results`: predictions on their way into a file, into videos, or back to the caller."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size, is_main_process

from deeplake_mmdet.loop.drawing import Drawing, write_videos
from deeplake_mmdet.loop.files import entries_of, write_json, write_parquet
from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.run_source import RunSource
from deeplake_mmdet.loop.spool import Spool, Spooled

__all__ = ["Results"]


class Results:
    """A `Sink` that keeps predictions on disk until all are there, and then has them in order.

    Args:
        folder: Folder for them, one for all processes.
        source: The images.
        out: File to write; None for none.
        videos: Where videos go; None for nowhere.
        drawing: Draws into their frames.
        keep: Whether to leave all in ``predictions``.

    Attributes:
        predictions: In the first process, when all is done.
        entries: The objects of a single image as COCO results, likewise.
        videos: The files of videos, likewise.
    """

    def __init__(
        self,
        folder: Path,
        source: RunSource,
        *,
        out: Path | None,
        videos: Path | None,
        drawing: Drawing,
        keep: bool,
    ) -> None:
        self._spool, self._folder, self._source = Spool(folder, get_rank()), folder, source
        self._out, self._videos_in, self._drawing, self._keep = out, videos, drawing, keep
        self._masks = False
        self.predictions: list[Prediction] = []
        self.entries: list[dict[str, Any]] = []
        self.videos: list[Path] = []

    def done(self) -> Container[int]:
        """See `Sink`."""
        return ()

    def add(self, predictions: Sequence[Prediction]) -> None:
        """See `Sink`."""
        self._spool.add(predictions)
        self._masks = self._masks or any(one.masks is not None for one in predictions)

    def finish(self) -> None:
        """See `Sink`."""
        self._spool.close()
        masks = any(all_gather_object(self._masks))  # and all spools are closed by then
        if not is_main_process():
            return
        spooled, images, classes = (
            Spooled(self._folder, get_world_size()),
            self._source.images,
            self._source.classes,
        )
        try:
            if self._out is not None and self._out.suffix == ".json":
                write_json(self._out, spooled, images, classes)
            elif self._out is not None:
                write_parquet(self._out, spooled, images, classes, masks=masks)
            if self._videos_in is not None:
                self.videos = write_videos(self._videos_in, images, self._drawing, spooled)
            if self._keep:
                self.predictions = list(spooled)
            if len(spooled) == 1:
                self.entries = list(entries_of(spooled, images, classes))
        finally:
            spooled.close()

    def abandon(self, error: BaseException) -> None:
        """See `Sink`: the folder is removed by whoever made it."""
        del error
