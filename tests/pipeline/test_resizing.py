"""Images that have their size already are not copied, and come out as stock MMDetection's."""

from __future__ import annotations

from typing import Any

import cv2
import mmdet.datasets.transforms as stock
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import LoadImageFromFile
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from deeplake_mmdet.pipeline.stand_ins import keep_size
from deeplake_mmdet.pipeline.steps import run_steps

METHODS = ("nearest", "bilinear", "bicubic", "area", "lanczos")
SIZES = st.tuples(st.integers(8, 40), st.integers(8, 40))  # OpenCV refuses to make less than a pixel


def info(height: int, width: int) -> tuple[dict, bytes]:
    """What loaders of annotations give, and the encoded image."""
    random = np.random.default_rng(height * 100 + width)
    corners = random.uniform(-5, 45, (4, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
    masks = random.integers(0, 2, (4, height, width), np.uint8)
    results = {
        "img_path": "somewhere.jpg",
        "gt_bboxes": HorizontalBoxes(boxes),
        "gt_masks": BitmapMasks(masks, height, width),
        "gt_seg_map": masks[0],
    }
    image = random.integers(0, 256, (height, width, 3), np.uint8)
    return results, cv2.imencode(".jpg", image)[1].tobytes()


def loaded(height: int, width: int) -> dict:
    """The same with the image."""
    results, encoded = info(height, width)
    results["img"] = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    results["img_shape"] = results["ori_shape"] = (height, width)
    return results


def ours(size: tuple[int, int], *steps: Any) -> dict:
    results, encoded = info(*size)
    return run_steps([LoadImageFromFile(), *steps], results, lambda path: encoded)


def same(found: dict, theirs: dict) -> None:
    assert found.keys() == theirs.keys()
    for key, value in theirs.items():
        if key == "gt_bboxes":
            assert found[key].tensor.equal(value.tensor)
        elif key == "gt_masks":
            assert np.array_equal(found[key].masks, value.masks)
        else:
            assert np.array_equal(found[key], value), key
            assert type(found[key]) is type(value)


@given(
    size=SIZES,
    scale=SIZES,
    exactly=st.booleans(),
    method=st.sampled_from(METHODS),
    keep_ratio=st.booleans(),
    clip=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_resize_is_stocks(size, scale, exactly, method, keep_ratio, clip) -> None:
    step = stock.Resize(
        size[::-1] if exactly else scale, keep_ratio=keep_ratio, interpolation=method, clip_object_border=clip
    )
    same(ours(size, step), step(loaded(*size)))


class Remember:
    """A user's step that remembers images."""

    def __call__(self, results: dict) -> dict:
        self.image = results["img"]
        return results


RIGHT_SIZE = stock.Resize((40, 40), keep_ratio=True)


def test_an_image_of_the_right_size_is_not_copied() -> None:
    results = loaded(30, 40)
    image = results["img"]
    assert RIGHT_SIZE.transform(dict(results))["img"] is not image
    assert keep_size(RIGHT_SIZE, results)["img"] is image
    assert keep_size(stock.Resize((41, 41), keep_ratio=True), results) is None


def test_an_image_that_others_may_hold_is_copied() -> None:
    remember = Remember()
    found = ours((30, 40), remember, RIGHT_SIZE)
    assert found["img"] is not remember.image
    assert np.array_equal(found["img"], remember.image)
    given = loaded(30, 40)  # by whoever calls
    assert run_steps([RIGHT_SIZE], dict(given))["img"] is not given["img"]


@pytest.mark.parametrize("told", [{"backend": "pillow"}, {"scale_factor": 1.0}])
def test_what_is_not_the_usual_resize_is_left_to_stock(told) -> None:
    step = stock.Resize(None if "scale_factor" in told else (40, 40), keep_ratio=True, **told)
    same(ours((30, 40), step), step(loaded(30, 40)))
