"""Predictions on their way to the end of a run: on disk, for any number of images and processes."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplake_mmdet.loop.predictions import Prediction

__all__ = ["Spool", "Spooled"]


class Spool:
    """The file of one process.

    Args:
        folder: Folder of the run, one for all processes.
        rank: Number of the process.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self._rank = folder, rank
        self._file = (folder / f"predictions.{rank}").open("wb")
        self._places = array("q")

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Keep some.

        Args:
            predictions: Of images, each of which may come again later.
        """
        for one in predictions:
            self._places.extend((one.index, self._file.tell()))
            pickle.dump(one, self._file, pickle.HIGHEST_PROTOCOL)

    def close(self) -> None:
        """Have all in the file."""
        self._file.close()
        np.save(self.folder / f"places.{self._rank}.npy", np.array(self._places, np.int64).reshape(-1, 2))


class Spooled:
    """What all processes have kept, each image once, in order.

    Args:
        folder: Folder of the run, in which all spools are closed.
        ranks: Number of processes.
    """

    def __init__(self, folder: Path, ranks: int) -> None:
        parts = [np.load(folder / f"places.{rank}.npy") for rank in range(ranks)]
        indices = np.concatenate([part[:, 0] for part in parts])
        self._offsets = np.concatenate([part[:, 1] for part in parts])
        self._ranks = np.repeat(np.arange(ranks), [len(part) for part in parts])
        self.indices, self._order = np.unique(indices, return_index=True)
        self._files: list[Any] = [(folder / f"predictions.{rank}").open("rb") for rank in range(ranks)]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Prediction]:
        return (self._at(place) for place in self._order.tolist())

    def find(self, index: int) -> Prediction | None:
        """The prediction for an image, if there is one.

        Args:
            index: Of the image.
        """
        place = int(np.searchsorted(self.indices, index))
        if place == len(self.indices) or self.indices[place] != index:
            return None
        return self._at(int(self._order[place]))

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def _at(self, place: int) -> Prediction:
        file = self._files[self._ranks.item(place)]
        file.seek(self._offsets.item(place))
        found: Prediction = pickle.load(file)  # written by this very run
        return found
