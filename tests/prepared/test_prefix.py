"""What of a pipeline is prepared, and the size that it has."""

from __future__ import annotations

import mmcv
import mmdet.datasets.transforms as stock
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import LoadImageFromFile

from deeplake_mmdet.errors import ConfigError
from deeplake_mmdet.pipeline.steps import planes_from
from deeplake_mmdet.prepared.opening import read_prepared_settings
from deeplake_mmdet.prepared.prefix import prepared_steps

LOAD = [LoadImageFromFile(), stock.LoadAnnotations(with_bbox=True)]
SIDES = st.integers(1, 5000)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.booleans())
def test_sizes_are_those_that_mmcv_gives(size, scale, keep_ratio):
    steps = prepared_steps([*LOAD, stock.Resize(scale, keep_ratio=keep_ratio)])
    width, height = steps.sizes(np.array([size[0]]), np.array([size[1]]))
    found = mmcv.rescale_size(size, scale) if keep_ratio else scale
    assert (width[0], height[0]) == tuple(found)


def test_rows_without_an_image_have_no_size():
    for more in ([], [stock.Resize((5, 5))], [stock.Resize((5, 5), keep_ratio=True)]):
        width, height = prepared_steps([*LOAD, *more]).sizes(np.array([0]), np.array([0]))
        assert (width[0], height[0]) == (0, 0)


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([*LOAD, stock.RandomFlip(0.5), stock.Resize((8, 8))], "decoded images"),
        ([LOAD[1], LOAD[0], stock.Resize((8, 8))], "images resized to 8x8"),
        ([*LOAD, stock.Resize(scale_factor=0.5)], "decoded images"),
        ([*LOAD, stock.Resize((8, 9), keep_ratio=True), stock.PackDetInputs()], "8x9, ratio kept"),
        ([*LOAD], "decoded images"),
    ],
)
def test_what_is_kept_is_told(steps, what):
    assert str(prepared_steps(steps)).endswith(what)


@pytest.mark.parametrize(
    "first",
    [
        LoadImageFromFile(to_float32=True),
        LoadImageFromFile(color_type="grayscale"),
        stock.LoadEmptyAnnotations(),
        stock.RandomFlip(0.5),
    ],
)
def test_nothing_is_kept_of_a_pipeline_that_begins_otherwise(first):
    assert prepared_steps([first, *LOAD]) is None
    assert prepared_steps([]) is None


def test_a_subclass_may_do_anything():
    class Own(LoadImageFromFile):
        pass

    class OwnSize(stock.Resize):
        pass

    assert prepared_steps([Own(), LOAD[1]]) is None
    assert str(prepared_steps([*LOAD, OwnSize((8, 8))])) == "decoded images"


@pytest.mark.parametrize("turned", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("planar", [False, True])
def test_planes_of_any_layout_are_the_image(turned, planar):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    if planar:
        image = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    mirrored = image[:: turned[0], :: turned[1]]
    found = planes_from(mirrored)
    assert np.array_equal(found, mirrored)
    assert found.transpose(2, 0, 1).flags.c_contiguous
    assert np.shares_memory(found, image) == (planar and turned == (1, 1))


@pytest.mark.parametrize("wrong", ["much", 0, -3, True, [], {"folder": "/x"}, {"size": "1GB", "place": "x"}])
def test_settings_that_mean_nothing_name_the_key(wrong):
    with pytest.raises(ConfigError, match="prepared"):
        read_prepared_settings(wrong)


def test_memory_of_the_machine_is_a_folder():
    for given_ in ("ram", {"folder": "ram"}, {"folder": "ram", "size": "5MB"}):
        settings = read_prepared_settings(given_)
        assert str(settings.folder).startswith("/dev/shm/")
        assert settings.size > 0
    assert read_prepared_settings(None) is read_prepared_settings(False) is None
