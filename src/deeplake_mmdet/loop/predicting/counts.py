"""What a run of `predict` has done, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplake_mmdet.loop.predicting.listing import LeftOut
from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["Counts"]


@dataclass
class Counts:
    """What a run has done.

    Attributes:
        images: Number of images predicted on.
        objects: Number of objects found.
        by_class: Number of those that are drawn, by class.
        left_out: Images that could not be read.
        seconds: Time of the loop, without building and loading.
        videos: Files of videos that were written.
        predictions: The predictions, if they are kept.
        entries: The objects of a single image as COCO results.
        classes: Names of the classes.
        branch: The lake's branch that the predictions were written to.
        run_file: The file that they were written to where the lake may not be written.
    """

    images: int = 0
    objects: int = 0
    by_class: dict[str, int] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)
    seconds: float = 0.0
    videos: list[Path] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    branch: str | None = None
    run_file: Path | None = None

    def add(self, predictions: Sequence[Prediction], shown_thr: float) -> None:
        """Count some.

        Args:
            predictions: Of images that were not counted before.
            shown_thr: See `Job`.
        """
        self.images += len(predictions)
        for one in predictions:
            self.objects += len(one.labels)
            for label in one.labels[one.scores >= shown_thr].tolist():
                name = self.classes[label]
                self.by_class[name] = self.by_class.get(name, 0) + 1
