"""Sizes that changed their order: the converted steps, run by MMDetection 3.x, against what 2.x drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zoo_compare
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from deeplake_mmdet.legacy.notes import Notebook
from deeplake_mmdet.legacy.pipelines.facts import Facts
from deeplake_mmdet.legacy.pipelines.sizes import as_old_steps
from deeplake_mmdet.legacy.pipelines.transforms import convert_step

HEIGHT, WIDTH, DRAWS = 80, 120, 300


@pytest.fixture(scope="module", autouse=True)
def _registered():
    zoo_compare.register()


def converted(step):
    (new,) = convert_step(step, "p", Facts(train=True), Notebook())
    return TRANSFORMS.build(new)


def sample(height=HEIGHT, width=WIDTH, dtype=np.uint8):
    boxes = torch.tensor([[10.0, 10.0, width - 10.0, height - 10.0], [0.0, 0.0, width / 2, height / 2]])
    masks = BitmapMasks(np.ones((2, height, width), np.uint8), height, width)
    return {
        "img": np.full((height, width, 3), 50, dtype),
        "img_shape": (height, width),
        "gt_bboxes": HorizontalBoxes(boxes),
        "gt_bboxes_labels": np.array([0, 1]),
        "gt_ignore_flags": np.zeros(2, bool),
        "gt_masks": masks,
    }


def shapes(step, draws=DRAWS, **changes):
    """Heights and widths of what the converted step makes."""
    np.random.seed(0)
    transform = converted(step)
    made = [transform({**sample(), **changes})["img"].shape[:2] for _ in range(draws)]
    return np.array(made).T


def crop_2x(kind, size, draw):
    """The size of a crop, as 2.x's documentation of RandomCrop gives it: of height and width."""
    if kind == "absolute":
        return min(size[0], HEIGHT), min(size[1], WIDTH)
    if kind == "absolute_range":
        return tuple(draw.integers(min(side, size[0]), min(side, size[1]) + 1) for side in (HEIGHT, WIDTH))
    parts = size if kind == "relative" else [draw.uniform(least, 1) for least in size]
    return int(HEIGHT * parts[0] + 0.5), int(WIDTH * parts[1] + 0.5)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("absolute", (30, 100)),
        ("absolute", (100, 30)),
        ("absolute_range", (20, 100)),
        ("relative", (0.3, 0.8)),
        ("relative", (0.9, 0.2)),
        ("relative_range", (0.3, 0.8)),
        ("relative_range", (0.9, 0.2)),
    ],
)
def test_crops_have_the_sizes_that_2x_drew(kind, size):
    step = {"type": "RandomCrop", "crop_type": kind, "crop_size": size, "allow_negative_crop": True}
    draw = np.random.default_rng(1)
    right = np.array([crop_2x(kind, size, draw) for _ in range(4 * DRAWS)]).T
    for ours, theirs, whole in zip(shapes(step), right, (HEIGHT, WIDTH), strict=True):
        for part in (0, 0.25, 0.5, 0.75, 1):
            assert abs(np.quantile(ours, part) - np.quantile(theirs, part)) <= 0.08 * whole


def test_mosaic_and_mixup():
    step = {"type": "Mosaic", "img_scale": (40, 70)}  # height, width
    heights, widths = shapes(step, 20, mix_results=[sample() for _ in range(3)])
    assert set(heights) == {80}
    assert set(widths) == {140}
    # MixUp makes the other image fit into its size: 40 by 60, of 80 by 120.
    mix = {"type": "MixUp", "img_scale": (40, 120), "ratio_range": (1.0, 1.0), "pad_val": 250}
    made = converted(mix)({**sample(), "mix_results": [sample()]})["img"]
    assert (made[..., 0] == 50).sum() == 40 * 60


def test_affine_borders():
    step = {"type": "RandomAffine", "border": (-10, -30), "max_rotate_degree": 0, "max_shear_degree": 0}
    results = sample()
    del results["gt_masks"]
    made = converted(step)(results)["img"]
    assert made.shape[:2] == (HEIGHT - 20, WIDTH - 60)


def test_centre_crops():
    step = {"type": "RandomCenterCropPad", "crop_size": (40, 100), "ratios": (1.0,), "border": 16}
    step |= {"mean": [0, 0, 0], "std": [1, 1, 1], "to_rgb": True, "test_pad_mode": None}
    results = sample(dtype=np.float32)
    del results["gt_masks"]
    assert converted(step)(results)["img"].shape[:2] == (40, 100)


def test_padding():
    assert converted({"type": "Pad", "size": (90, 200)})(sample())["img"].shape[:2] == (90, 200)


@pytest.mark.parametrize("keep_ratio", [True, False])
@pytest.mark.parametrize("scales", [[(60, 20), (90, 40)], [(20, 60), (90, 40)], [(20, 60), (40, 90)]])
def test_a_range_of_scales_is_one_of_long_and_of_short_sides(scales, keep_ratio):
    """In whatever order they are written: 2.x drew a long side and a short side."""
    step = {"type": "Resize", "img_scale": scales, "keep_ratio": keep_ratio}
    np.random.seed(0)
    transform = converted(step)
    drawn = np.array([transform(sample())["scale"] for _ in range(DRAWS)]).T
    assert (drawn[0].min(), drawn[0].max()) == (60, 90)
    assert (drawn[1].min(), drawn[1].max()) == (20, 40)


STOCK = [
    {"type": "Resize", "scale": (9, 8)},
    {"type": "Resize", "scale": (9, 8), "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": (3, 5)},
    {"type": "RandomCrop", "crop_size": (0.3, 0.5), "crop_type": "relative"},
    {"type": "RandomCrop", "crop_size": (0.3, 0.5), "crop_type": "relative_range"},
    {"type": "RandomCrop", "crop_size": (3, 5), "crop_type": "absolute_range"},
    {"type": "Mosaic", "img_scale": (3, 5)},
    {"type": "MixUp", "img_scale": (3, 5)},
    {"type": "RandomAffine", "border": (-3, -5)},
    {"type": "RandomCenterCropPad", "crop_size": (3, 5)},
    {"type": "Pad", "size": (3, 5)},
    {"type": "CachedMosaic", "img_scale": (3, 5)},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "LoadAnnotations", "with_bbox": True, "box_type": "qbox"},
    {"type": "LoadPanopticAnnotations", "imdecode_backend": "pillow"},
]


@pytest.mark.parametrize("step", STOCK, ids=str)
def test_steps_of_a_3x_base_come_back_as_they_are(step):
    before = repr(step)
    notes = Notebook()
    (new,) = convert_step(as_old_steps([step])[0], "p", Facts(train=True), notes)
    assert repr(step) == before
    assert {"keep_ratio": False, **new} == {"keep_ratio": False, **step}
    assert not [note for note in notes if note.severity != "info"]
