"""Lossless JPEG gives back the very pixels, whoever decodes it."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deeplake_mmdet.errors import ImageError
from deeplake_mmdet.lake.images.headers import stated_size
from deeplake_mmdet.transfer import images
from deeplake_mmdet.transfer.decoder import check_image
from deeplake_mmdet.transfer.images import ReadImage, converted
from deeplake_mmdet.transfer.lossless_jpeg import encode_lossless_jpeg


@st.composite
def pictures(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    colours = draw(st.sampled_from([1, 2, 3, 17, 256]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    some = random.integers(0, 256, (colours, 3), np.uint8)
    pixels = some[random.integers(0, colours, (height, width))]
    if draw(st.booleans()):
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)  # the largest differences
    return np.sort(pixels, axis=draw(st.integers(0, 2))) if draw(st.booleans()) else pixels


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@given(pictures())
@settings(max_examples=150, deadline=None)
def test_the_same_pixels(pixels):
    data = encode_lossless_jpeg(pixels)
    assert np.array_equal(decoded(data), pixels)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels[..., ::-1])
    assert stated_size(data) == check_image(data) == pixels.shape[1::-1]


def test_images_of_several_bands():
    random = np.random.default_rng(3)
    for shape in ((3, 60_000, 3), (60_000, 3, 3), (400, 701, 3)):
        pixels = random.integers(0, 256, shape, np.uint8)
        assert np.array_equal(decoded(encode_lossless_jpeg(pixels)), pixels)


KINDS = {
    "bmp": ("RGB", "L", "P", "1", "RGBA"),
    "png": ("RGB", "L", "P", "1", "RGBA", "LA", "I;16"),
    "tiff": ("RGB", "L", "P", "1", "RGBA", "I;16", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L"),
    "ppm": ("RGB", "L", "1"),
}


@given(pictures(), st.sampled_from([(kind, mode) for kind, modes in KINDS.items() for mode in modes]))
@settings(max_examples=120, deadline=None)
def test_every_kind_as_opencv_reads_it(tmp_path_factory, pixels, kind):
    encoding, mode = kind
    picture = Image.fromarray(pixels)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257 + pixels[..., 1])
    path = tmp_path_factory.getbasetemp() / f"kind.{encoding}"
    (picture if mode == "I;16" else picture.convert(mode)).save(path, encoding)
    expected = cv2.imread(str(path), cv2.IMREAD_COLOR)
    data = path.read_bytes()
    if expected is None:
        with pytest.raises(ImageError, match="cannot be decoded"):
            check_image(data)
        return
    read = ReadImage(data, encoding, *check_image(data), 1)
    for target in ("jpeg", "png"):
        assert np.array_equal(decoded(converted(read, target, False)), expected)


@pytest.mark.parametrize("encoding", ["tiff", "gif", "webp", "png"])
def test_of_several_pages_the_first_one(tmp_path, encoding):
    pages = [
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (9, 14, 3), np.uint8)) for n in range(3)
    ]
    path = tmp_path / f"pages.{encoding}"
    pages[0].save(path, encoding, save_all=True, append_images=pages[1:])
    read = images.read_image(path, "jpeg", convert=True)
    assert np.array_equal(decoded(converted(read, "jpeg", True)), cv2.imread(str(path)))


def test_sides_that_no_jpeg_has(tmp_path):
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), np.zeros((2, 65_501, 3), np.uint8))
    read = images.read_image(path, "jpeg", convert=True)
    with pytest.raises(ImageError, match="cannot be converted to JPEG") as refused:
        converted(read, "jpeg", False)
    assert "65501 x 2 pixels" in refused.value.where
