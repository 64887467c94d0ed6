"""Drawing what a detector found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deeplake_mmdet.cli.old_scripts.results import instances_of
from deeplake_mmdet.lake.images.headers import check_stated_size, most_bytes
from deeplake_mmdet.lake.images.regular_files import read_regular

__all__ = ["drawn", "present"]


def drawn(model: Any, img: Any, result: Any, score_thr: float) -> Any:
    """An image with boxes, masks and names; (height, width, 3), BGR.

    Args:
        model: Its ``dataset_meta`` or ``CLASSES`` names the classes.
        img: File, encoded bytes or BGR array.
        result: In 2.x's form, or MMDetection 3.x's data sample.
        score_thr: From which score predictions are drawn.
    """
    from mmdet.structures import DetDataSample
    from mmdet.visualization import DetLocalVisualizer

    picture = _read(img)
    sample = DetDataSample()
    sample.pred_instances = (
        result.pred_instances if isinstance(result, DetDataSample) else instances_of(result)
    )
    visualizer = DetLocalVisualizer()
    meta = dict(getattr(model, "dataset_meta", None) or {})
    meta.setdefault("classes", getattr(model, "CLASSES", None))
    visualizer.dataset_meta = {**meta, "palette": meta.get("palette") or "random"}
    visualizer.add_datasample(
        "result", picture[..., ::-1], sample.cpu(), draw_gt=False, show=False, pred_score_thr=score_thr
    )
    return np.ascontiguousarray(visualizer.get_image()[..., ::-1])


def present(picture: Any, title: str | None, wait: float, file: str | Path | None) -> None:
    """Write a picture to a file, or show it in a window; without a screen nothing is shown.

    Args:
        picture: BGR.
        title: Of the window; None to show nothing.
        wait: Seconds; 0 until it is closed.
        file: Where to write it, if anywhere.
    """
    if file is not None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        encoded = cv2.imencode(Path(file).suffix or ".jpg", picture)[1]
        Path(file).write_bytes(encoded.tobytes())
    if title is None:
        return
    import matplotlib.pyplot as plt

    plt.figure(title)
    plt.imshow(picture[..., ::-1])
    plt.axis("off")
    plt.show(block=not wait)
    if wait:
        plt.pause(wait)


def _read(img: Any) -> Any:
    if isinstance(img, np.ndarray):
        return img
    encoded = img if isinstance(img, bytes) else read_regular(Path(img), most=most_bytes())
    check_stated_size(encoded, "" if isinstance(img, bytes) else str(img))
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
