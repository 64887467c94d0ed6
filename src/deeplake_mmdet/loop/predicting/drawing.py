"""Pictures and videos with what was found drawn into them, as MMDetection's visualizer draws it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from deeplake_mmdet.errors import StorageError
from deeplake_mmdet.loop.predicting.images import Images
from deeplake_mmdet.loop.predicting.videos import frame_rate
from deeplake_mmdet.loop.predictions import Prediction
from deeplake_mmdet.loop.spool import Spooled

__all__ = ["Drawing", "Pictures", "write_videos"]

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_numbers = itertools.count(1)


class Drawing:
    """Draws predictions.

    Args:
        metainfo: ``classes`` and, perhaps, ``palette``.
        score_thr: Objects of lower scores are not drawn.

    Attributes:
        score_thr: The same.
    """

    def __init__(self, metainfo: dict[str, Any], score_thr: float) -> None:
        self._visualizer = DetLocalVisualizer(name=f"deeplake_mmdet_predict_{next(_numbers)}")
        self._visualizer.dataset_meta = metainfo
        self.score_thr = score_thr

    def drawn(self, image: NDArray[np.uint8], one: Prediction) -> NDArray[np.uint8]:
        """Draw one image.

        Args:
            image: Shape (height, width, 3), RGB.
            one: What was found on it.

        Returns:
            A drawing of the same shape, RGB.
        """
        sample = DetDataSample()
        found = {
            "bboxes": torch.from_numpy(one.boxes),
            "labels": torch.from_numpy(one.labels),
            "scores": torch.from_numpy(one.scores),
        }
        if one.masks:
            from pycocotools import mask

            found["masks"] = torch.from_numpy(np.stack([mask.decode(dict(part)) for part in one.masks]) > 0)
        sample.pred_instances = InstanceData(**found)
        with matplotlib.rc_context({"text.parse_math": False}):  # a class may be called '$a$'
            self._visualizer.add_datasample(
                "predictions", image, sample, draw_gt=False, show=False, pred_score_thr=self.score_thr
            )
            drawing: NDArray[np.uint8] = self._visualizer.get_image()
        return drawing


class Pictures:
    """Draws each image into a folder; frames of videos are left to `write_videos`.

    Args:
        folder: The folder.
        images: The images.
        drawing: Draws them.
    """

    def __init__(self, folder: Path, images: Images, drawing: Drawing) -> None:
        self._folder, self._images, self._drawing = folder, images, drawing
        self._names = images.picture_names()
        folder.mkdir(parents=True, exist_ok=True)

    def draw(self, predictions: Iterable[Prediction]) -> None:
        """Draw some.

        Args:
            predictions: What was found on these images.
        """
        listing = self._images.listing
        for one in predictions:
            if listing is not None and listing.source(one.index)[1] >= 0:
                continue
            name = self._names[one.index] if self._names else self._images.picture_name(one.index)
            if Path(name).suffix.lower() not in _ENDINGS:
                name += ".jpg"
            _write(self._folder / name, self._drawing.drawn(self._images.pixels(one.index), one))


def write_videos(folder: Path, images: Images, drawing: Drawing, spooled: Spooled) -> list[Path]:
    """Write each video with what was found drawn into its frames, as ``.mp4`` files.

    Args:
        folder: Where to.
        images: The images; of a lake there are no videos.
        drawing: Draws them.
        spooled: The predictions. Frames that nothing was predicted for, as with a limit, end the video.

    Returns:
        The files.

    Raises:
        StorageError: One cannot be written.
    """
    listing = images.listing
    written: list[Path] = []
    for file in [] if listing is None else np.flatnonzero(listing.frames).tolist():
        assert listing is not None
        first = listing.first(file)
        target = (folder / images.picture_name(first)).with_suffix(".mp4")
        if target in written:  # of two videos clip.avi and clip.mp4
            target = target.with_name(f"{Path(listing.path(file)).name}.mp4")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".unfinished-{target.name}")
        writer = None
        for index in range(first, first + listing.frames.item(file)):
            one = spooled.find(index)
            if one is None:
                continue
            frame = drawing.drawn(images.pixels(index), one)
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(part), code, frame_rate(listing.path(file)), size)
                if not writer.isOpened():
                    raise StorageError("The video cannot be written", where=str(target))
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        if writer is not None:
            writer.release()
            part.replace(target)
            written.append(target)
    return written


def _write(file: Path, image: NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(file.suffix, np.ascontiguousarray(image[..., ::-1]))
    if not encoded:
        raise StorageError("The picture cannot be written", where=str(file))
    file.write_bytes(data.tobytes())
