"""What a model finds on one image, and where predictions go."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTED_FROM", "Prediction", "Sink"]

COUNTED_FROM = 0.3  # score from which predictions are counted and drawn; MMDetection's own for pictures


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model found on one image.

    Attributes:
        index: Place of the image among all those of the inputs; of one lake its row.
        name: Name of the file, or ``deeplake://`` address.
        size: Height and width of the image as it was loaded, in pixels.
        boxes: (left, top, right, bottom) in pixels of the image as loaded, best score first, shape (n, 4),
            float32.
        labels: Index into the model's classes, shape (n,), int64.
        scores: Shape (n,), float32.
        masks: n of COCO's compressed run-length dicts, as large as the image; None if the model has no masks.
        extras: What was asked for beside: ``loss``, a float; ``embedding``, shape (d,), float32.
    """

    index: int
    name: str
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    masks: Sequence[Mapping[str, Any]] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Takes predictions, batch by batch, in each of the processes of a run."""

    def done(self) -> Container[int]:
        """Indices of images that need not be predicted again, as an interrupted run has left them."""

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Take the predictions of one batch.

        Args:
            predictions: In the order of the batch. An image may come twice; both times mean the same.
        """

    def finish(self) -> None:
        """Publish what was taken; called in every process after all have taken their last batch."""

    def abandon(self, error: BaseException) -> None:
        """Clean up, as the run ends without `finish`.

        Args:
            error: Why.
        """
